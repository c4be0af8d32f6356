package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/sources"
	"broadside/configs/units"
	"broadside/internal/launch"
	"broadside/internal/letter"
	"broadside/templates"
)

func campaignCommand(c *cli) *cobra.Command {
	return noun(
		"campaign", "Campaign files: check, look at, launch, schedule",
		validateCommand(c), previewCommand(c), trialCommand(c), launchCommand(c),
		scheduleCommand(c), unscheduleCommand(c), schedulesCommand(c), showScheduleCommand(c), skipCommand(c), runOccurrenceCommand(c),
	)
}

func validateCommand(c *cli) *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "validate CAMPAIGN",
		Short: "Check a campaign and all that it refers to",
		Long: `Check a campaign file, its templates, its audience and the accounts it names.
Everything that is wrong is shown at once, with its place, and so are the first rows
of the audience that cannot be mailed. Nothing is sent.`,
		Example: `  broadside campaign validate october.yaml
  broadside campaign validate october.yaml --all             # every row that is refused
  broadside campaign validate october.yaml --format github   # annotations of a pull request`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "github" {
				return usagef(cmd, "--format: found %q, expected text or github", format)
			}
			v, err := validate(cmd.Context(), c, args[0], all)
			if err != nil && exitCode(err) != exitInvalid {
				return err
			}
			return c.validated(v, err, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT`: text, or github for annotations of GitHub Actions")
	cmd.Flags().BoolVar(&all, "all", false, "show every row that is refused, not only the first ones")
	laterFlag(cmd, "online")

	return cmd
}

// validate loads configuration and campaign, so that the problems of both come
// out, and checks the rest when they can be read.
func validate(ctx context.Context, c *cli, name string, all bool) (letter.Validation, error) {
	draft, err := c.draft(ctx, name)
	if err != nil {
		return letter.Validation{}, err
	}
	defer draft.close()
	return draft.Validate(ctx, time.Now(), all)
}

// validated prints what validate found.
func (c *cli) validated(v letter.Validation, err error, format string) error {
	if format == "github" {
		for _, p := range problems(err) {
			fmt.Fprintln(c.stdout, p.annotation("error"))
		}
		for _, p := range problems(v.Warnings) {
			fmt.Fprintln(c.stdout, p.annotation("warning"))
		}
	}

	if c.asJSON {
		list := problems(err)
		if list == nil {
			list = []problem{}
		}
		return errors.Join(c.json(struct {
			Valid    bool              `json:"valid"`
			Problems []problem         `json:"problems"`
			Warnings []problem         `json:"warnings"`
			Campaign letter.Validation `json:"campaign"`
		}{err == nil, list, append([]problem{}, problems(v.Warnings)...), v}), err)
	}

	if format != "github" {
		for _, w := range v.Warnings {
			c.note("warning: %s", printable(w.Error()))
		}
		for _, b := range v.Gaps {
			c.note("warning: %s", printable(b.String()))
		}
		if len(v.Unread) > 0 {
			c.note("of exclude was not looked up: %s; validate asks Redis only for a campaign that is stored, or whose audience is a list: "+
				"`broadside campaign launch --dry-run` looks up everything", printable(strings.Join(v.Unread, ", ")))
		}
	}

	if err != nil || format == "github" {
		return err
	}

	fmt.Fprintf(c.stdout, "%s is valid\n", v.Campaign)
	if v.Read {
		c.showRead(v)
	} else if campaign.IsRemote(v.Source) {
		c.note("%s was not asked for: `broadside campaign launch --dry-run` reads it", printable(v.Source))
	}

	return nil
}

// showRead prints what an audience comes to.
func (c *cli) showRead(v letter.Validation) {
	fmt.Fprintf(c.stdout, "%s: %d recipients, %d invalid, %d duplicate", v.Source, v.Recipients, v.Invalid, v.Duplicate)
	if v.Excluded > 0 {
		fmt.Fprintf(c.stdout, ", %d excluded", v.Excluded)
	}
	if v.Filtered > 0 {
		fmt.Fprintf(c.stdout, ", %d not matched by audience.where", v.Filtered)
	}
	fmt.Fprintln(c.stdout)
	showRejects(c.stdout, v.Rejects, v.Invalid, "--all shows all of them")
	showExclusions(c.stdout, v.Exclude)
}

// showRejects prints the first rows that are not mailed, and how to see all n.
func showRejects(w io.Writer, rows []audience.Reject, n int64, how string) {
	for _, r := range rows {
		fmt.Fprintf(w, "  line %d: %s: %s\n", r.Line, r.Reason, audience.Excerpt(r.Value))
	}
	if more := n - int64(len(rows)); more > 0 {
		fmt.Fprintf(w, "  and %d more: %s\n", more, how)
	}
}

// showPlan prints what a launch is about to do.
func showPlan(w io.Writer, p launch.Plan, i ink) {
	skipped := p.Skipped
	fmt.Fprintf(w, "campaign    %s\n", p.Campaign)
	fmt.Fprint(w, "people      ")
	if p.Columns != nil {
		fmt.Fprintf(w, "read when it is due; columns %s", printable(strings.Join(p.Columns, ", ")))
	} else {
		fmt.Fprintf(w, "%d to be mailed = %d rows", p.Total-p.Suppressed, p.Rows())
	}
	for _, s := range []struct {
		n    int64
		what string
	}{
		{p.Suppressed, "suppressed"},
		{skipped.Duplicate, "duplicate"},
		{skipped.Invalid, "invalid"},
		{skipped.Excluded, "excluded"},
		{skipped.Filtered, "not matched by audience.where"},
		{skipped.Sampled, "not in the sample"},
		{skipped.Limited, "left out by --limit"},
		{skipped.Passed, "whose time has passed"},
	} {
		if s.n > 0 {
			fmt.Fprintf(w, " - %d %s", s.n, s.what)
		}
	}

	fmt.Fprintf(w, "\naudience    %s\n", printable(p.Source))
	showRejects(w, p.Rejects, p.Skipped.Invalid, "broadside campaign validate --all shows all of them, run rejects after the launch")
	showExclusions(w, p.Excluded)
	fmt.Fprintf(w, "from        %s\n", printable(p.From))
	fmt.Fprintf(w, "subject     %s\n", printable(p.Subject))
	if p.NewItems > 0 {
		fmt.Fprintf(w, "feed        %d new items", p.NewItems)
		if p.NewItems > templates.MaxFeedItems {
			fmt.Fprintf(w, ", of which the letter has the newest %d", templates.MaxFeedItems)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "topic       %s\n", p.Topic)
	if p.NewTopic {
		fmt.Fprintf(w, "            never used before: if it is a slip of the keyboard, people who left the right one would be mailed\n")
	}

	fmt.Fprintf(w, "account     %s\n", strings.Join(p.Accounts, ", "))
	if p.Rate > 0 {
		fmt.Fprintf(w, "pace        at most %s\n", units.FormatRate(p.Rate))
	} else {
		fmt.Fprintf(w, "pace        as fast as the server takes it\n")
	}

	if p.High {
		fmt.Fprintln(w, "priority    high: before runs of normal priority")
	}
	if p.Spread > 0 {
		fmt.Fprintf(w, "spread      evenly over %s\n", units.FormatDuration(p.Spread))
	}
	now := time.Now()
	showWindow(w, p, now)
	showLocal(w, p)
	showForecast(w, p, i, now)
	showMemory(w, p)
	for _, b := range p.Blanks {
		fmt.Fprintln(w, i.word("warning     "+printable(b.String())))
	}

	if p.Guard.Canary > 0 {
		fmt.Fprintf(w, "canary      %d first; the others %s after their answers, when they went well\n", p.Guard.Canary, units.FormatDuration(p.Guard.CanaryWait))
	}

	for _, warning := range p.Warnings {
		fmt.Fprintln(w, i.word("warning     "+printable(warning.Error())))
	}
}

// showMemory says what a run needs of Redis, when that is known.
func showMemory(w io.Writer, p launch.Plan) {
	if p.Columns != nil {
		return
	}
	fmt.Fprintf(w, "memory      about %s of Redis", units.FormatBytes(p.Memory()))
	if p.Redis.Limit > 0 {
		fmt.Fprintf(w, ", %s are free", units.FormatBytes(p.Redis.Free()))
		if !p.Redis.Fits(p.Memory()) {
			fmt.Fprint(w, ": launch would be refused")
		}
	}

	fmt.Fprintln(w)
}

// showExclusions says what was found in each source of people who are left out.
func showExclusions(w io.Writer, all []sources.Exclusion) {
	for i, e := range all {
		head := "left out"
		if i > 0 {
			head = ""
		}
		fmt.Fprintf(w, "%-11s %s: %d addresses", head, printable(e.Source), e.Addresses)
		if e.Runs > 0 {
			fmt.Fprintf(w, " of %d runs", e.Runs)
		}
		if e.Expired > 0 {
			fmt.Fprintf(w, "; the recipients of %d earlier runs are not known any more (retention.addresses)", e.Expired)
		}
		fmt.Fprintln(w)
	}
}

// planDocument is the plan as --dry-run --json prints it.
func planDocument(p launch.Plan) any {
	return struct {
		DryRun     bool                `json:"dry_run"`
		Campaign   string              `json:"campaign"`
		Rows       int64               `json:"rows"`
		Total      int64               `json:"total"`
		Suppressed int64               `json:"suppressed"`
		Skipped    campaign.Skipped    `json:"skipped"`
		Audience   string              `json:"audience"`
		Exclude    []sources.Exclusion `json:"exclude"`
		Rejects    []audience.Reject   `json:"rejects"` // the first ones
		Blanks     []letter.Gap        `json:"blanks"`
		Warnings   []problem           `json:"warnings"`
		From       string              `json:"from"`
		Subject    string              `json:"subject"`
		Topic      string              `json:"topic"`
		NewTopic   bool                `json:"new_topic"`
		Accounts   []string            `json:"accounts"`
		Loopback   bool                `json:"loopback"`
		Rate       float64             `json:"rate"`
		Window     *windowDocument     `json:"window"` // null: none
		Canary     int                 `json:"canary"`
		Memory     planMemory          `json:"redis_memory"`
		Forecast   []flowDocument      `json:"forecast"`
		Finish     *string             `json:"finish"` // null: never
		Waits      []waitDocument      `json:"waits"`
		Warmups    []warmupDocument    `json:"warmups"`
		Expired    int64               `json:"expired"` // wait for longer than the run lasts
		Local      *localDocument      `json:"local,omitempty"`
	}{
		true, p.Campaign, p.Rows(), p.Total, p.Suppressed, p.Skipped, p.Source, append([]sources.Exclusion{}, p.Excluded...),
		append([]audience.Reject{}, p.Rejects...), append([]letter.Gap{}, p.Blanks...), append([]problem{}, problems(p.Warnings)...),
		p.From, p.Subject, p.Topic, p.NewTopic, p.Accounts, p.Loopback, p.Rate, windowOf(p), p.Guard.Canary, memoryOf(p),
		flowDocuments(p.Forecast), stamp(p.Forecast.Finish), waitDocuments(p.Forecast), warmupDocuments(p.Forecast), p.Forecast.Expired, localDocumentOf(p),
	}
}

// planMemory is what a run needs of Redis' memory, in bytes.
type planMemory struct {
	Needed int64  `json:"needed"`
	Free   *int64 `json:"free"` // null: not known
	Fits   bool   `json:"fits"` // false: launch would be refused
}

func memoryOf(p launch.Plan) planMemory {
	m := planMemory{Needed: p.Memory(), Fits: p.Redis.Fits(p.Memory())}
	if p.Redis.Limit > 0 {
		free := p.Redis.Free()
		m.Free = &free
	}
	return m
}
