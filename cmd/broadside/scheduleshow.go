package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/configs/units"
	"broadside/internal/app"
	"broadside/internal/launch"
	"broadside/scheduler"
)

// maxNext is how many times to come are shown at most.
const maxNext = 1000

func showScheduleCommand(c *cli) *cobra.Command {
	next := 0
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "A scheduled campaign: next times, what was missed, last runs",
		Example: "  broadside campaign show october-news\n  broadside campaign show weekly --next 10 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("next") && (next < 1 || next > maxNext) {
				return usagef(cmd, "--next: found %d, expected 1 to %d", next, maxNext)
			}
			return c.withSchedule(cmd.Context(), args[0], func(a *app.App, id string) error {
				s, err := a.Schedules.Show(cmd.Context(), id, next)
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(shownDocument(s))
				}
				c.printSchedule(s)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&next, "next", 0, "show N times to come (default 5)")
	return cmd
}

// An occurrenceRow is a past time in `campaign show --json`.
type occurrenceRow struct {
	At      *string `json:"at"`
	Until   *string `json:"until"` // the last of a row of missed times
	Times   int64   `json:"times"`
	Outcome string  `json:"outcome"`
	Run     string  `json:"run,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// A scheduleRun is a run in `campaign show --json`.
type scheduleRun struct {
	Run       string  `json:"run"`
	State     string  `json:"state"`
	Total     int64   `json:"total"`
	Accepted  int64   `json:"accepted"`
	CreatedAt *string `json:"created_at"`
}

func shownDocument(s launch.Shown) any {
	doc := struct {
		scheduleRow
		Subject     string          `json:"subject"`
		From        string          `json:"from"`
		Audience    string          `json:"audience"`
		Total       int64           `json:"total"` // recipients when it was scheduled; 0: the audience is read each time
		MaxLateness string          `json:"max_lateness"`
		Trouble     string          `json:"trouble"`
		Upcoming    []*string       `json:"upcoming"`
		LastMoments []*string       `json:"last_moments,omitempty"` // of upcoming, by each recipient's own clock
		Skipped     []*string       `json:"skipped"`                // those of upcoming that are left out
		Occurrences []occurrenceRow `json:"occurrences"`
		Runs        []scheduleRun   `json:"runs"`
	}{
		scheduleRow: rowOf(s.Entry), Subject: s.Subject, From: s.From, Audience: s.Audience, Total: s.Recipients,
		MaxLateness: units.FormatDuration(s.Timing.MaxLateness), Trouble: s.Trouble,
		Upcoming: []*string{}, Skipped: []*string{}, Occurrences: []occurrenceRow{}, Runs: []scheduleRun{},
	}
	for i, t := range s.Upcoming {
		doc.Upcoming = append(doc.Upcoming, stamp(t))
		if s.Timing.Recipient {
			doc.LastMoments = append(doc.LastMoments, stamp(s.Timing.LastMoment(t)))
		}
		if s.Skipped[i] {
			doc.Skipped = append(doc.Skipped, stamp(t))
		}
	}

	for _, o := range s.Occurrences {
		doc.Occurrences = append(doc.Occurrences, occurrenceRow{stamp(o.At), stamp(o.Until), o.Times(), o.Outcome, o.Run, o.Reason})
	}

	for _, r := range s.Runs {
		doc.Runs = append(doc.Runs, scheduleRun{r.ID, string(r.State), r.Total(), r.Counts[campaign.Accepted], stamp(r.Created)})
	}

	return doc
}

// overdueAfter is when a time that was not fired raises the question why.
const overdueAfter = 3 * time.Second

// shownOccurrences is how many past times are printed; --json has all that are
// kept.
const shownOccurrences = 10

func (c *cli) printSchedule(s launch.Shown) {
	w := c.stdout
	fmt.Fprintf(w, "campaign    %s, %s\n", s.ID, stateOf(s.Entry))
	fmt.Fprintf(w, "subject     %s\n", printable(s.Subject))
	fmt.Fprintf(w, "from        %s\n", printable(s.From))
	fmt.Fprintf(w, "topic       %s\n", s.Topic)
	people := fmt.Sprintf("%d recipients when it was scheduled", s.Recipients)
	if campaign.IsRemote(s.Audience) {
		people = "read each time"
	}
	fmt.Fprintf(w, "audience    %s, %s\n", printable(s.Audience), people)
	fmt.Fprintf(w, "schedule    %s (%s), not more than %s late\n", s.Timing, zoneText(s.Timing), units.FormatDuration(s.Timing.MaxLateness))
	for i, t := range s.Upcoming {
		label := ""
		if i == 0 {
			label = "next"
		}
		skipped := ""
		if s.Skipped[i] {
			skipped = "  skipped"
		}
		fmt.Fprintf(w, "%-11s %s%s\n", label, moment(t, s.Timing), skipped)
	}

	if !s.Done() && time.Since(s.Next) > overdueAfter {
		fmt.Fprintln(w, "overdue     is `broadside scheduler` running?")
	}
	if s.Trouble != "" {
		fmt.Fprintf(w, "trouble     %s\n", printable(s.Trouble))
	}
	if s.Fired+s.Missed+s.Failed > 0 {
		fmt.Fprintf(w, "so far      %d fired, %d missed, %d failed\n", s.Fired, s.Missed, s.Failed)
	}

	for _, o := range s.Occurrences[:min(len(s.Occurrences), shownOccurrences)] {
		fmt.Fprintf(w, "  %s\n", occurrenceText(o, s.Timing))
	}

	for i, r := range s.Runs {
		label := ""
		if i == 0 {
			label = "runs"
		}
		fmt.Fprintf(w, "%-11s %s, %s, %d of %d accepted\n", label, r.ID, r.State, r.Counts[campaign.Accepted], r.Total())
	}
}

func occurrenceText(o scheduler.Occurrence, t scheduler.Timing) string {
	text := moment(o.At, t)
	if !o.Until.IsZero() {
		text = fmt.Sprintf("%d times, %s to %s", o.Times(), text, moment(o.Until, t))
	}

	text += "  " + o.Outcome
	if o.Run != "" {
		text += "  " + o.Run
	}
	if o.Reason != "" {
		text += ": " + printable(o.Reason)
	}

	return text
}
