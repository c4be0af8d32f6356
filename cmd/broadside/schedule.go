package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/launch"
	"broadside/scheduler"
	"broadside/scheduler/calendar"
)

func scheduleCommand(c *cli) *cobra.Command {
	var o launch.ScheduleOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "schedule CAMPAIGN",
		Short: "Send a campaign at its time, once or again and again",
		Long: `Check a campaign and store it, with its content and its audience, until its
time comes: schedule.at or schedule.cron in the file, or --at. A list, a file on the
web and a query of a database are read when the time comes, a file here now.
` + "`broadside scheduler`" + ` makes a run of it.

A campaign that is scheduled already is replaced, and what differs is shown. A
time without an offset is in the campaign's timezone, else in the configured one.`,
		Example: `  broadside campaign schedule october.yaml
  broadside campaign schedule october.yaml --at 2026-10-01T09:00
  broadside campaign schedule october-news --at 2026-10-01T10:30+02:00   # the stored one, at another time`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("at") && o.At == "" {
				return usagef(cmd, "--at: found nothing, expected a time such as 2026-10-01T09:00")
			}
			return c.schedule(cmd.Context(), args[0], o, yes)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.At, "at", "", "`TIME` in place of the file's schedule, such as 2026-10-01T09:00 or 2026-10-01T09:00+02:00")
	flags.BoolVar(&o.Again, "again", false, "although the campaign was launched before")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")

	return cmd
}

func (c *cli) schedule(ctx context.Context, name string, o launch.ScheduleOptions, yes bool) error {
	a, err := c.openKept(ctx, false)
	if err != nil {
		if _, fileErr := campaign.Load(ctx, name); exitCode(err) == exitInvalid && fileErr != nil && !errors.Is(fileErr, fs.ErrNotExist) {
			err = errors.Join(err, fileErr) // the problems of both
		}
		return err
	}
	defer c.close(a)
	def, stored, err := a.Schedules.Campaign(ctx, name)
	if err != nil {
		return err
	}

	o.Stored = stored
	o.Progress = c.rowsRead()
	o.Confirm = c.confirm(yes)
	s, err := a.Schedules.Add(ctx, def, o)
	if err != nil {
		return err
	}

	if c.asJSON {
		return c.json(scheduledDocument(s))
	}

	verb := "scheduled"
	if s.Old != nil {
		verb = "replaced"
	}

	people := fmt.Sprintf("%d recipients now", s.Recipients)
	if s.Plan.Columns != nil {
		people = "who gets it is read when it is due"
	}
	fmt.Fprintf(c.stdout, "%s %s: %s, next %s\n", verb, s.ID, people, moment(s.Next, s.Timing))
	if s.Plan.Columns != nil {
		fmt.Fprintf(c.stdout, "  %s answers, and has the columns %s\n", printable(s.Audience), printable(strings.Join(s.Plan.Columns, ", ")))
	}
	for _, ch := range s.Changes {
		fmt.Fprintf(c.stdout, "  %s: %s -> %s\n", ch.What, shownValue(ch.From), shownValue(ch.To))
	}

	if s.Old != nil && len(s.Changes) == 0 {
		fmt.Fprintln(c.stdout, "  nothing differs")
	}

	c.note("a scheduler fires it (broadside scheduler, or all) and a worker sends it; broadside campaign unschedule %s takes it back", s.ID)
	return nil
}

func shownValue(text string) string {
	if text == "" {
		return "(none)"
	}
	return printable(text)
}

// moment writes a time in the zone of the schedule, and in UTC; one of each recipient's own
// clock with its first and its last moment.
func moment(t time.Time, timing scheduler.Timing) string {
	if timing.Recipient {
		const short = "2006-01-02 15:04"
		return fmt.Sprintf("%s by each recipient's clock (%s to %s UTC)",
			calendar.Wall(t).Format(short), t.UTC().Format(short), timing.LastMoment(t).UTC().Format(short))
	}
	zone, err := timing.Location()
	if err != nil {
		zone = time.UTC
	}
	return calendar.InZones(t, zone, time.UTC)
}

// zoneText says by whose clock the times of a schedule are.
func zoneText(timing scheduler.Timing) string {
	if timing.Recipient {
		return "each recipient's own clock"
	}
	return timing.Zone
}

func scheduledDocument(s launch.Scheduled) any {
	list := s.Changes
	if list == nil {
		list = []launch.Change{}
	}

	return struct {
		ID       string          `json:"id"`
		Topic    string          `json:"topic"`
		Next     *string         `json:"next"`
		Schedule string          `json:"schedule"`
		Timezone string          `json:"timezone"`
		Audience string          `json:"audience"`
		Total    int64           `json:"total"` // 0: the audience is read when it is due
		Columns  []string        `json:"columns,omitempty"`
		Replaced bool            `json:"replaced"`
		Changes  []launch.Change `json:"changes"`
	}{s.ID, s.Topic, stamp(s.Next), s.Timing.String(), s.Timing.ZoneName(), s.Audience, s.Recipients, s.Plan.Columns, s.Old != nil, list}
}

func unscheduleCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "unschedule ID",
		Short:   "Take a campaign off the schedule",
		Long:    "Remove a scheduled campaign, its stored files and the record of its past times. Its runs stay.",
		Example: "  broadside campaign unschedule october-news",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withSchedule(ctx, args[0], func(a *app.App, id string) error {
				running, err := a.Schedules.Remove(ctx, id)
				if err != nil {
					return err
				}

				if running != "" {
					c.note("its time had just come: see run %s, and cancel it (broadside run cancel %s) if it is not wanted", running, running)
				}
				if c.asJSON {
					return c.json(map[string]any{"id": id, "unscheduled": true})
				}

				fmt.Fprintf(c.stdout, "unscheduled %s\n", id)
				return nil
			})
		},
	}
}

// withSchedule opens the installation and finds a scheduled campaign.
func (c *cli) withSchedule(ctx context.Context, name string, do func(a *app.App, id string) error) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		id, err := a.Schedules.Find(ctx, name)
		if err != nil {
			return err
		}
		return do(a, id)
	})
}

func schedulesCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "Scheduled campaigns and their next times",
		Example: "  broadside campaign list\n  broadside campaign list --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				all, err := a.Schedules.List(ctx)
				if err != nil {
					return err
				}
				return c.printSchedules(all)
			})
		},
	}
}

// A scheduleRow is a scheduled campaign in `campaign list --json`.
type scheduleRow struct {
	ID       string  `json:"id"`
	Topic    string  `json:"topic"`
	Next     *string `json:"next"`
	Schedule string  `json:"schedule"`
	LastRun  *string `json:"last_run"`
	Timezone string  `json:"timezone"`
	State    string  `json:"state"` // scheduled, firing, done, broken
	Fired    int64   `json:"fired"`
	Missed   int64   `json:"missed"`
	Failed   int64   `json:"failed"`
	Reason   string  `json:"reason,omitempty"` // why it is broken
}

func rowOf(e *scheduler.Entry) scheduleRow {
	if e.Broken != nil {
		return scheduleRow{ID: e.ID, State: stateOf(e), Reason: e.Broken.Error()}
	}

	r := scheduleRow{
		ID: e.ID, Topic: e.Topic, Next: stamp(e.Next), Schedule: e.Timing.String(), Timezone: e.Timing.ZoneName(),
		State: stateOf(e), Fired: e.Fired, Missed: e.Missed, Failed: e.Failed,
	}
	if e.LastRun != "" {
		r.LastRun = &e.LastRun
	}

	return r
}

func stateOf(e *scheduler.Entry) string {
	switch {
	case e.Broken != nil:
		return "broken"
	case e.Done():
		return "done"
	case !e.Firing.IsZero():
		return "firing"
	}
	return "scheduled"
}

func (c *cli) printSchedules(all []*scheduler.Entry) error {
	if c.asJSON {
		rows := make([]scheduleRow, len(all))
		for i, e := range all {
			rows[i] = rowOf(e)
		}
		return c.json(rows)
	}

	if len(all) == 0 {
		c.note("nothing is scheduled: broadside campaign schedule CAMPAIGN")
		return nil
	}

	rows := make([][]string, len(all))
	for i, e := range all {
		if e.Broken != nil {
			rows[i] = []string{e.ID, "", "broken", e.Broken.Error(), "", "", ""}
			continue
		}
		next := "done"
		if !e.Done() {
			next = moment(e.Next, e.Timing)
		}
		rows[i] = []string{e.ID, e.Topic, next, e.Timing.String(), e.LastRun, counted(e.Missed), counted(e.Failed)}
	}

	return c.table([]string{"ID", "TOPIC", "NEXT", "SCHEDULE", "LAST RUN", "MISSED", "FAILED"}, rows)
}

// counted returns n, and nothing for none.
func counted(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
