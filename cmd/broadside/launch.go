package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/configs/units"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/report"
	"broadside/internal/runs"
)

// launchFlags are the flags of launch as they were typed.
type launchFlags struct {
	audience, key, rate, expect, maxFailed, timeout string

	exclude                       []string
	limit                         int64
	canary                        int
	dryRun, now, again, wait, yes bool
}

func launchCommand(c *cli) *cobra.Command {
	var f launchFlags
	cmd := &cobra.Command{
		Use:   "launch CAMPAIGN",
		Short: "Make a run of a campaign now",
		Long: `Read the whole audience, make a run of it, and return when it is ready: workers
send it. With --wait this command stays until the run is over, and does the work
itself when no worker is alive.

To anything but this machine the plan is shown and the number of people has to
be typed; --yes answers for scripts. A campaign without cron is launched once.`,
		Example: `  broadside campaign launch october.yaml --dry-run
  broadside campaign launch october.yaml --wait
  broadside campaign launch october.yaml --yes --expect 9000-11000 --key october-2026`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return c.launch(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.audience, "audience", "", "`SRC` in place of the file's audience: a file, -, or list:NAME")
	f.sending(cmd)
	flags.BoolVar(&f.now, "now", false, "send at once although the file has a schedule")
	flags.BoolVar(&f.again, "again", false, "although the campaign was launched before")
	flags.StringVar(&f.key, "key", "", "the same `KEY` returns the same run, however often it is called; a new one needs --again after an earlier run")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out the people of `SRC`: list:NAME, run:ID, run:CAMPAIGN for all its runs, or a file (may be repeated)")
	flags.StringVar(&f.expect, "expect", "", "refuse an audience of another size, such as `9000-11000`")
	flags.IntVar(&f.canary, "canary", 0, "send to `N` first, wait, and go on when they went well (in place of guard.canary; 0: none)")
	laterFlag(cmd, "force")

	return cmd
}

// sending adds the flags of every command that makes a run now.
func (f *launchFlags) sending(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the plan and write nothing")
	flags.BoolVar(&f.wait, "wait", false, "stay until the run is over, and report")
	flags.StringVar(&f.timeout, "timeout", "", "with --wait: leave with 7 after this `DURATION`, such as 10m; the run goes on")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.StringVar(&f.rate, "rate", "", "`RATE` in place of delivery.rate, such as 50/s")
	flags.Int64Var(&f.limit, "limit", 0, "the first `N` recipients only")
	flags.StringVar(&f.maxFailed, "max-failed", "", "with --wait: leave with 5 when more than `N` (or P%) failed, bounced or are uncertain")
}

// maxKey bounds --key, in bytes: it is kept for ever.
const maxKey = 200

// parse turns the flags into a launch.
func (f launchFlags) parse(cmd *cobra.Command) (o launch.Options, timeout time.Duration, err error) {
	o = launch.Options{Audience: f.audience, Now: f.now, Again: f.again, Key: f.key, Exclude: f.exclude, Limit: f.limit}
	switch changed := cmd.Flags().Changed; {
	case len(f.key) > maxKey:
		return o, 0, usagef(cmd, "--key: found %d bytes, expected at most %d", len(f.key), maxKey)
	case changed("key") && f.key == "":
		return o, 0, usagef(cmd, "--key: found nothing, expected a word of your choice")
	case changed("limit") && f.limit < 1:
		return o, 0, usagef(cmd, "--limit: found %d, expected 1 or more", f.limit)
	case f.canary < 0:
		return o, 0, usagef(cmd, "--canary: found %d, expected a number of recipients, or 0 for none", f.canary)
	case f.wait || f.dryRun:
	case changed("timeout") || changed("max-failed"):
		return o, 0, usagef(cmd, "--timeout and --max-failed need --wait")
	}

	if cmd.Flags().Changed("canary") {
		o.Canary = &f.canary
	}

	if f.rate != "" {
		if o.Rate, err = units.ParseRate(f.rate); err != nil {
			return o, 0, usagef(cmd, "--rate: %v", err)
		}
	}

	if f.expect != "" {
		if o.Expect.Min, o.Expect.Max, err = units.ParseRange(f.expect); err != nil {
			return o, 0, usagef(cmd, "--expect: %v", err)
		}
	}

	if f.timeout != "" {
		if timeout, err = units.ParseDuration(f.timeout); err != nil || timeout <= 0 {
			return o, 0, usagef(cmd, "--timeout: found %q, expected a duration such as 90s or 10m", f.timeout)
		}
	}

	if f.maxFailed != "" {
		if _, err := allowed(f.maxFailed, 0); err != nil {
			return o, 0, usagef(cmd, "--max-failed: %v", err)
		}
	}

	return o, timeout, nil
}

// allowed returns how many of total may fail: N, or P%.
func allowed(text string, total int64) (int64, error) {
	if strings.HasSuffix(text, "%") {
		p, err := units.ParsePercent(text)
		return int64(p * float64(total)), err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("found %q, expected a number such as 10, or a share such as 5%%", text)
	}
	return n, nil
}

func (c *cli) launch(cmd *cobra.Command, name string, f launchFlags) error {
	ctx := cmd.Context()
	o, timeout, err := f.parse(cmd)
	if err != nil {
		return err
	}

	cfg, cfgErr := c.load(ctx)
	var def *campaign.Definition
	if isFile := cfgErr != nil || cfg.RedisURL == "" || launch.IsFile(name); isFile {
		def, err = campaign.Load(ctx, name)
	}
	if err := errors.Join(cfgErr, err); err != nil {
		return err
	}

	wait := f.wait || cfg.RedisURL == ""
	a, err := c.openWith(ctx, cfg, wait && !f.dryRun)
	if err != nil {
		return err
	}
	defer c.close(a)
	if def == nil {
		if def, o.Stored, err = a.Schedules.Campaign(ctx, name); err != nil {
			return err
		}
	}

	o.Stdin = c.in
	o.Progress = c.rowsRead()
	if f.dryRun {
		return c.dryRun(ctx, a, def, o)
	}
	if a.Embedded() {
		c.note("no redis_url: the embedded store is used, it forgets this run at exit; set REDIS_URL to keep it")
	}

	o.Confirm = c.confirm(f.yes)
	launched, err := a.Launcher.Launch(ctx, def, o)
	if errors.Is(err, feed.ErrNothingNew) {
		return c.nothingNew(def.ID, err)
	}
	if err != nil {
		return notMade(ctx, err)
	}

	if launched.Existed {
		c.note("this key was used before: run %s", launched.Run)
	} else {
		c.note("run %s is ready: %d recipients", launched.Run, launched.Plan.Total)
	}

	if !wait {
		return c.launched(ctx, a, launched.Run)
	}

	return c.attend(ctx, a, launched.Run, timeout, f.maxFailed)
}

// nothingNew says that a campaign has no run because its feed has nothing new, which is no
// error.
func (c *cli) nothingNew(id string, reason error) error {
	if c.asJSON {
		return c.json(map[string]any{"run": nil, "campaign": id, "reason": reason.Error()})
	}
	c.note("%s: %v; no run was made", id, reason)
	return nil
}

// notMade is the error of a run that did not become ready, as far as is known.
func notMade(ctx context.Context, err error) error {
	unsure, ok := errors.AsType[*ledger.UnsureError](err)
	if ok {
		err = fmt.Errorf("%w\n  broadside run show %s    says it when Redis answers again", err, unsure.Run)
	}

	switch {
	case ctx.Err() == nil:
		return err
	case ok || errors.Is(err, ledger.ErrReady):
		return fmt.Errorf("%w: %v", errInterrupted, err)
	}

	return fmt.Errorf("%w before the whole audience was in: nothing was sent", errInterrupted)
}

func (c *cli) dryRun(ctx context.Context, a *app.App, def *campaign.Definition, o launch.Options) error {
	plan, err := a.Launcher.Plan(ctx, def, o)
	if errors.Is(err, feed.ErrNothingNew) {
		return c.nothingNew(def.ID, err)
	}
	if err != nil {
		return err
	}
	if before, err := a.Launcher.LaunchedBefore(ctx, def.ID); err == nil && before != "" && def.Schedule.Cron == "" && !o.Again {
		c.note("launched before as run %s: launch would be refused without --again; --exclude run:%s leaves out everyone that a run of it has reached", before, def.ID)
	}
	return c.printPlan(plan)
}

// printPlan prints what --dry-run was asked for.
func (c *cli) printPlan(plan launch.Plan) error {
	if c.asJSON {
		return c.json(planDocument(plan))
	}
	showPlan(c.stdout, plan, c.ink())
	fmt.Fprintln(c.stdout, "dry run: nothing was written or sent")
	return nil
}

// answer reads what a person types; the error is that a signal came instead.
func (c *cli) answer() (string, error) {
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if errors.Is(err, context.Canceled) {
		return "", err
	}
	return strings.TrimSpace(line), nil // what ends without a line is an answer too
}

// confirm returns what asks before a message can leave for anywhere but this
// machine.
func (c *cli) confirm(yes bool) func(launch.Plan) error {
	return func(p launch.Plan) error {
		if p.Loopback {
			return nil
		}
		return c.ask(p, yes)
	}
}

// ask shows the plan and has the number of people typed. Without a terminal,
// or where the standard input is the audience, only --yes will do.
func (c *cli) ask(p launch.Plan, yes bool) error {
	if yes && c.quiet {
		return nil
	}

	showPlan(c.stderr, p, c.errInk())
	if yes {
		return nil
	}
	want := strconv.FormatInt(p.Total-p.Suppressed, 10)
	people := want + " people"
	question := "the number of people to send (" + want + ")"
	if p.Columns != nil {
		want = "yes"
		people = "everybody who is in its audience when it is due"
		question = "yes to send it at its time"
	}
	if p.Source == "-" || !c.asks() {
		return fmt.Errorf("%w: this would mail %s, and there is no terminal to ask at: add --yes; nothing was sent", failure.ErrRefused, people)
	}

	fmt.Fprintf(c.stderr, "type %s, anything else stops: ", question)
	got, err := c.answer()
	if err != nil {
		return err
	}

	if got != want {
		return fmt.Errorf("%w: found %q, expected %s; nothing was sent", failure.ErrRefused, printable(got), want)
	}

	return nil
}

// launched reports a run that others will send.
func (c *cli) launched(ctx context.Context, a *app.App, id string) error {
	r, err := a.Runs.Report(ctx, id)
	if err != nil {
		return err
	}

	if !r.State.Over() {
		c.noteWorkers(ctx, a)
	}
	if c.asJSON {
		return c.json(r)
	}

	fmt.Fprintln(c.stdout, id)
	c.note("follow it with: broadside run watch %s", id)

	return nil
}

// noteWorkers says how to start a worker when none is alive.
func (c *cli) noteWorkers(ctx context.Context, a *app.App) {
	if workers, err := a.Ledger.Workers(ctx); err == nil && len(workers) == 0 {
		c.note("no worker is alive: start one with `broadside worker` (or launch with --wait to send from there)")
	}
}

// attend stays until the run is over, and says what became of it.
func (c *cli) attend(ctx context.Context, a *app.App, id string, timeout time.Duration, maxFailed string) error {
	progress := c.progress()
	s, err := a.Runs.Finish(ctx, id, runs.FinishOptions{
		Timeout: timeout, Seen: progress.see,
		Working: func() {
			if !a.Embedded() {
				c.note("no worker is alive: this process does the work")
			}
		},
	})
	progress.end()
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r, readErr := a.Runs.Report(after, id)
	if readErr != nil {
		return errors.Join(err, readErr)
	}

	if err := c.printRun(r); err != nil {
		return err
	}
	if err != nil {
		return c.goesOn(ctx, after, a, r, err)
	}

	return c.judge(s.State, r, maxFailed)
}

// goesOn says what becomes of a run that this command no longer waits for.
func (c *cli) goesOn(ctx, after context.Context, a *app.App, r report.Run, err error) error {
	if ctx.Err() != nil {
		err = errInterrupted
	}

	switch {
	case r.State.Over():
	case a.Embedded():
		err = fmt.Errorf("%w; the embedded store forgets run %s now, with %d recipients not sent to", err, r.Run, r.Counts.Open())
	case errors.Is(err, failure.ErrRefused):
		err = fmt.Errorf("%w\n  broadside run resume %s    goes on with it\n  broadside run cancel %s    ends it%s", err, r.Run, r.Run, explainHint(r.Reason))
	default:
		state := "goes on"
		if workers, readErr := a.Ledger.Workers(after); readErr == nil && len(workers) == 0 {
			state = "waits for a worker: broadside worker"
		}
		err = fmt.Errorf("%w\n  run %s %s\n  broadside run pause %s     stops it for a while\n  broadside run cancel %s    ends it", err, r.Run, state, r.Run, r.Run)
	}

	return err
}

// judge returns the error of a run that is over.
func (c *cli) judge(state campaign.RunState, r report.Run, maxFailed string) error {
	switch state {
	case campaign.RunCancelled:
		return fmt.Errorf("%w: run %s was cancelled: %s", failure.ErrRefused, r.Run, r.Reason)
	case campaign.RunFailed:
		return fmt.Errorf("run %s did not become ready: %s", r.Run, r.Reason)
	}

	if maxFailed == "" {
		return nil
	}

	limit, err := allowed(maxFailed, r.Total)
	if err != nil {
		return err
	}

	if failed := r.Counts[campaign.Failed] + r.Counts[campaign.Bounced] + r.Counts[campaign.Uncertain]; failed > limit {
		return fmt.Errorf("%w: %d of %d failed, bounced or are uncertain, --max-failed is %s", failure.ErrTooMany, failed, r.Total, maxFailed)
	}

	return nil
}
