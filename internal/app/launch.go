package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
	"broadside/internal/letter"
	"broadside/internal/store"
	"broadside/scheduler"
)

// A Launch says how a campaign is launched; the zero value launches it as the
// file says.
type Launch struct {
	Audience string         // in place of the file's audience.source
	Stdin    io.Reader      // read when the source is "-"
	Now      bool           // although the file has a schedule
	Again    bool           // although it was launched before
	Key      string         // a repeated call with the same key returns the same run
	Rate     float64        // in place of delivery.rate; 0: as the file says
	Exclude  []string       // beside the file's
	Limit    int64          // the first so many recipients; 0: all
	Expect   campaign.Range // in place of audience.expect
	Canary   *int           // in place of guard.canary; 0: none, nil: as the file says
	// Confirm is shown the plan before the first message can leave; its error
	// stops the launch and nothing was created. nil: not asked.
	Confirm func(Plan) error
	// Progress is told the number of rows read, now and then.
	Progress func(rows int64)

	// Stored has the files that the campaign names; nil: they are on disk.
	Stored *scheduler.Schedule
}

// A Plan is what a launch is about to do.
type Plan struct {
	scheduler.Plan
	Campaign string
	Subject  string
	From     string
	Topic    string
	NewTopic bool     // no run of this topic is known: a typing error would mail who unsubscribed
	Accounts []string // with their limits
	Loopback bool     // all accounts are on this machine
	Rate     float64  // the lowest ceiling; 0: none
	Source   string
	Excluded []sources.Exclusion // what was found in each source of exclude
	Blanks   []letter.Gap        // sentences with a gap
	Guard    campaign.Guard
	Redis    store.Memory        // of a dry run: the run needs Memory() bytes of it
	Warnings strictyaml.Problems // about what is allowed, and most probably not meant
}

// Launched is the answer of a launch.
type Launched struct {
	Run     string
	Existed bool // the key was used before: this is its run
	Plan    Plan
}

// prepared is a run to be made whose input has been checked.
type prepared struct {
	spec     campaign.RunSpec
	in       scheduler.Input
	rows     io.Closer            // in.Rows; nil: not opened
	def      *campaign.Definition // nil: of a retry, which has no file
	excluded []sources.Exclusion
	warnings strictyaml.Problems
	gaps     *letter.GapCounter // of the audience that was read; nil: they are not counted
}

// prepare opens the audience and compiles the content. The caller closes rows.
func (a *App) prepare(ctx context.Context, def *campaign.Definition, o Launch) (*prepared, error) {
	if err := unscheduled(def, o); err != nil {
		return nil, err
	}
	p := &prepared{def: def}
	p.spec = campaign.RunSpec{Delivery: def.Delivery, Guard: def.Guard, Audience: def.Audience.Source, Again: o.Again, Key: o.Key}
	if def.Schedule.Cron == "" {
		p.spec.Once = campaign.OnceCampaign(def.ID)
	}
	if o.Audience != "" {
		p.spec.Audience = o.Audience
	}

	from := a.Sources(o.Stored)
	from.Stdin = o.Stdin
	rows, openErr := from.Audience(ctx, def, o.Audience)
	var columns []string
	if openErr == nil {
		p.rows, p.in.Rows, columns = rows, rows, rows.Columns()
	}
	var err error
	p.spec.Snapshot, err = letter.Read(ctx, a.Config, def, columns, from)
	err = errors.Join(openErr, err)
	if err == nil {
		err = a.check(ctx, p, o)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// check takes over the options, and refuses what could not be sent.
func (a *App) check(ctx context.Context, p *prepared, o Launch) error {
	if o.Rate > 0 {
		p.spec.Snapshot.Rate = o.Rate
	}
	if err := p.setCanary(o.Canary); err != nil {
		return err
	}
	if err := a.checkWays(p.spec.Snapshot.Accounts); err != nil {
		return err
	}
	if err := letter.Check(a.Config, p.spec.Snapshot); err != nil {
		return letter.Locate(p.def, err)
	}
	if err := a.checkDurability(ctx, p.spec.Delivery, p.def.Problem); err != nil {
		return err
	}

	var err error
	if p.in.Select, p.excluded, err = a.selection(ctx, p.def, o); err != nil {
		return err
	}
	if p.gaps, err = letter.NewGapCounter(p.spec.Snapshot); err != nil {
		return letter.Locate(p.def, err)
	}
	p.in.Select.Each = p.gaps.Count
	p.in.Progress = o.Progress
	p.in.Explain = func(err error) error { return audienceError(p.spec.Audience, err) }
	p.in.Confirm = func(ctx context.Context, _ scheduler.Plan) error { return p.strict() }
	p.warnings = append(p.def.Warnings(), letter.WarnPostal(a.Config, p.spec.Snapshot)...)
	return nil
}

// setCanary takes over how many of the run go first.
func (p *prepared) setCanary(n *int) error {
	if n == nil {
		return nil
	}
	p.spec.Guard.Canary = *n
	wait, expires := p.spec.Guard.CanaryWait, p.spec.Delivery.ExpiresAfter
	if *n > 0 && wait >= expires {
		return invalid(fmt.Sprintf("the canary waits for %s (guard.canary_wait), and the run expires after %s (delivery.expires_after): all others would be too late",
			units.FormatDuration(wait), units.FormatDuration(expires)))
	}
	return nil
}

// strict refuses gaps in the letters of the audience that was read, where
// content.strict is set.
func (p *prepared) strict() error {
	if p.def == nil || !p.def.Content.Strict {
		return nil
	}
	found, err := p.gaps.Gaps()
	if err != nil {
		return err
	}
	return letter.Strict(p.def, found)
}

// checkDurability refuses a run whose claims would wait for a replica that is not
// there. problem says where that is asked for.
func (a *App) checkDurability(ctx context.Context, d campaign.Delivery, problem func(key, format string, args ...any) strictyaml.Problem) error {
	if d.Durability != campaign.Replicated {
		return nil
	}
	err := a.Ledger.CheckReplicas(ctx)
	if errors.Is(err, ledger.ErrNotReplicated) {
		return refused(problem("delivery.durability",
			"found replicated, but no replica of Redis answers: connect one, or use fast; nothing was sent").Error())
	}
	return err
}

// unscheduled refuses what has its time, unless it shall go at once.
func unscheduled(def *campaign.Definition, o Launch) error {
	key := "schedule.at"
	if def.Schedule.Cron != "" {
		key = "schedule.cron"
	}
	switch {
	case o.Now:
		return nil
	case o.Stored != nil:
		return invalid(fmt.Sprintf("campaign %s is scheduled: %s; `broadside campaign schedule %s --at TIME` changes that, `launch --now` sends at once", def.ID, o.Stored.Timing, def.ID))
	case !def.Schedule.IsZero():
		return strictyaml.Problems{def.Problem(key, "the file has a schedule: use `broadside campaign schedule %s` to send at that time, or `launch --now` to send at once", def.File)}
	}
	return nil
}

func (p *prepared) close() {
	if p.rows != nil {
		_ = p.rows.Close() // only read
	}
}

// checkWays refuses accounts that are elsewhere when the store forgets.
func (a *App) checkWays(names []string) error {
	if !a.Embedded() {
		return nil
	}
	for _, name := range names {
		if acct := a.Config.Accounts[name]; !acct.Loopback() {
			return refused(fmt.Sprintf("account %s sends to %s, and without redis_url (or REDIS_URL) Broadside forgets at exit whom it has mailed and who unsubscribed: "+
				"the embedded store sends to this machine only", name, acct.Host))
		}
	}
	return nil
}

// onlyTo is the check of only_to; nil without one.
func (a *App) onlyTo() func(address string) bool {
	if len(a.Config.OnlyTo) == 0 {
		return nil
	}
	return func(address string) bool { return configs.MatchAddress(a.Config.OnlyTo, address) }
}

func (a *App) selection(ctx context.Context, def *campaign.Definition, o Launch) (scheduler.Selection, []sources.Exclusion, error) {
	sel := scheduler.Selection{Limit: o.Limit, Expect: def.Audience.Expect, Topic: def.Topic}
	if o.Expect != (campaign.Range{}) {
		sel.Expect = o.Expect
	}
	sel.OnlyTo = a.onlyTo()
	excluded, err := a.Sources(o.Stored).Exclusions(ctx, def, o.Exclude)
	if err != nil {
		return sel, nil, err
	}
	sel.Excluded = excluded.Has
	return sel, excluded.Found, nil
}

// Plan reads the whole audience and says what a launch would do. It writes
// nothing.
func (a *App) Plan(ctx context.Context, def *campaign.Definition, o Launch) (Plan, error) {
	p, err := a.prepare(ctx, def, o)
	if err != nil {
		return Plan{}, err
	}
	defer p.close()
	return a.dryPlan(ctx, p)
}

// dryPlan is the plan of a run that is not written.
func (a *App) dryPlan(ctx context.Context, p *prepared) (Plan, error) {
	read, err := a.maker.Plan(ctx, p.in)
	if err != nil {
		return Plan{}, err
	}
	if err := p.strict(); err != nil {
		return Plan{}, err
	}
	plan, err := a.plan(ctx, p, read)
	if err != nil {
		return Plan{}, err
	}
	plan.Redis, err = a.store.Memory(ctx)
	return plan, err
}

func (a *App) plan(ctx context.Context, p *prepared, read scheduler.Plan) (Plan, error) {
	s := p.spec.Snapshot
	plan := Plan{
		Plan: read, Campaign: s.Campaign, Subject: s.Subject, From: s.From, Topic: s.Topic,
		Loopback: true, Rate: s.Rate, Source: p.spec.Audience, Excluded: p.excluded, Guard: p.spec.Guard, Warnings: p.warnings,
	}
	limited := true
	var sum float64
	for _, name := range s.Accounts {
		acct := a.Config.Accounts[name]
		plan.Loopback = plan.Loopback && acct.Loopback()
		plan.Accounts = append(plan.Accounts, fmt.Sprintf("%s (%s:%d)", name, acct.Host, acct.Port))
		limited = limited && acct.Limits.Rate > 0
		sum += acct.Limits.Rate
	}
	if limited && (plan.Rate == 0 || sum < plan.Rate) {
		plan.Rate = sum
	}

	known, err := a.Ledger.TopicUsed(ctx, s.Topic)
	if err != nil {
		return Plan{}, err
	}
	plan.NewTopic = !known
	if p.gaps != nil {
		plan.Blanks, err = p.gaps.Gaps()
	}
	return plan, err
}

// audienceError says where an audience comes from that cannot be sent to.
func audienceError(source string, err error) error {
	var size *scheduler.AudienceSizeError
	switch {
	case errors.Is(err, scheduler.ErrNobody):
		return invalid(fmt.Sprintf("%s: no valid address in it that is not excluded; nothing was sent", source))
	case errors.As(err, &size):
		return refused(fmt.Sprintf("%s: %v; nothing was sent", source, err))
	}
	return err
}

// Launch makes a run of the campaign now, as scheduler.Maker.Make says.
func (a *App) Launch(ctx context.Context, def *campaign.Definition, o Launch) (Launched, error) {
	p, err := a.prepare(ctx, def, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()
	launched, err := a.make(ctx, p, o.Confirm)
	if before, ok := errors.AsType[*scheduler.RepeatedError](err); ok {
		return Launched{}, a.launchedBefore(ctx, def, before)
	}
	return launched, err
}

// make makes a run; confirm, if any, is shown its plan before.
func (a *App) make(ctx context.Context, p *prepared, confirm func(Plan) error) (Launched, error) {
	var plan Plan
	in := p.in
	in.Confirm = func(ctx context.Context, read scheduler.Plan) error {
		if err := p.strict(); err != nil {
			return err
		}
		var err error
		plan, err = a.plan(ctx, p, read)
		if err != nil || confirm == nil {
			return err
		}
		return confirm(plan)
	}
	run, err := a.maker.Make(ctx, p.spec, in)
	if err != nil {
		return Launched{}, err
	}
	plan.Plan = run.Plan
	return Launched{Run: run.ID, Existed: run.Existed, Plan: plan}, nil
}
