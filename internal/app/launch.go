package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

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

// prepared is a launch whose input has been checked.
type prepared struct {
	def      *campaign.Definition
	snapshot campaign.Snapshot
	rows     rowSource
	source   string
	sel      scheduler.Selection
	excluded []sources.Exclusion
	blanks   *letter.GapCounter // of the audience that was read last; nil: nobody looked
	once     string             // what it is the one run of; empty: it may be repeated
	guard    campaign.Guard
	retry    *chosen // rows, when they are recipients of another run; else nil
}

// A rowSource is an audience that is closed after use.
type rowSource interface {
	scheduler.Audience
	Close() error
}

// onceOf names a campaign without cron, which has one run.
func onceOf(id string) string { return "campaign:" + id }

// prepare opens the audience and compiles the content. The caller closes rows.
func (a *App) prepare(ctx context.Context, def *campaign.Definition, o Launch) (*prepared, error) {
	if err := unscheduled(def, o); err != nil {
		return nil, err
	}
	p := &prepared{def: def, source: def.Audience.Source, guard: def.Guard}
	if def.Schedule.Cron == "" {
		p.once = onceOf(def.ID)
	}
	if o.Audience != "" {
		p.source = o.Audience
	}
	from := a.Sources(o.Stored)
	from.Stdin = o.Stdin
	rows, openErr := from.Audience(ctx, def, o.Audience)
	var columns []string
	if openErr == nil {
		p.rows, columns = rows, rows.Columns()
	}
	var err error
	if p.snapshot, err = letter.Read(ctx, a.Config, def, columns, from); err != nil || openErr != nil {
		p.close()
		return nil, errors.Join(openErr, err)
	}
	if o.Rate > 0 {
		p.snapshot.Rate = o.Rate
	}
	if err := p.setCanary(o.Canary); err != nil {
		p.close()
		return nil, err
	}
	if err := a.checkWays(p.snapshot.Accounts); err != nil {
		p.close()
		return nil, err
	}
	if err := letter.Check(a.Config, p.snapshot); err != nil {
		p.close()
		return nil, letter.Locate(def, err)
	}
	if err := a.checkDurability(ctx, def); err != nil {
		p.close()
		return nil, err
	}
	if p.sel, p.excluded, err = a.selection(ctx, def, o); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// setCanary takes over how many of the run go first.
func (p *prepared) setCanary(n *int) error {
	if n == nil {
		return nil
	}
	p.guard.Canary = *n
	if *n > 0 && p.guard.CanaryWait >= p.def.Delivery.ExpiresAfter {
		return invalid(fmt.Sprintf("the canary waits for %s (guard.canary_wait), and the run expires after %s (delivery.expires_after): all others would be too late",
			units.FormatDuration(p.guard.CanaryWait), units.FormatDuration(p.def.Delivery.ExpiresAfter)))
	}
	return nil
}

// checkDurability refuses a run whose claims would wait for a replica that is
// not there.
func (a *App) checkDurability(ctx context.Context, def *campaign.Definition) error {
	if def.Delivery.Durability != campaign.Replicated {
		return nil
	}
	err := a.Ledger.CheckReplicas(ctx)
	if errors.Is(err, ledger.ErrNotReplicated) {
		return refused(def.Problem("delivery.durability",
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
		p.rows.Close()
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

func (a *App) selection(ctx context.Context, def *campaign.Definition, o Launch) (scheduler.Selection, []sources.Exclusion, error) {
	sel := scheduler.Selection{Limit: o.Limit, Expect: def.Audience.Expect, Topic: def.Topic}
	if o.Expect != (campaign.Range{}) {
		sel.Expect = o.Expect
	}
	if len(a.Config.OnlyTo) > 0 {
		sel.OnlyTo = func(address string) bool { return configs.MatchAddress(a.Config.OnlyTo, address) }
	}
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
	sp, err := a.expandAudience(ctx, p, p.sel, nil, o)
	if err != nil {
		return Plan{}, err
	}
	return a.dryPlan(ctx, p, sp)
}

// expandAudience reads the audience into an expansion, or only to plan when e is nil,
// and looks for blank values in it.
func (a *App) expandAudience(ctx context.Context, p *prepared, sel scheduler.Selection, e *ledger.Expansion, o Launch) (scheduler.Plan, error) {
	if p.retry == nil { // else the letters were looked at before
		var err error
		if p.blanks, err = letter.NewGapCounter(p.snapshot); err != nil {
			return scheduler.Plan{}, letter.Locate(p.def, err)
		}
		sel.Each = p.blanks.Count
	}
	sp, err := scheduler.Expand(ctx, p.rows, sel, a.Suppression, e, o.Progress)
	if err != nil {
		return scheduler.Plan{}, a.audienceError(p, err)
	}
	if !p.def.Content.Strict || p.blanks == nil {
		return sp, nil
	}
	found, err := p.blanks.Gaps()
	if err != nil {
		return scheduler.Plan{}, err
	}
	return sp, letter.Strict(p.def, found)
}

// dryPlan is plan with what a run that is not written would find.
func (a *App) dryPlan(ctx context.Context, p *prepared, sp scheduler.Plan) (Plan, error) {
	plan, err := a.plan(ctx, p, sp)
	if err != nil {
		return Plan{}, err
	}
	plan.Redis, err = a.store.Memory(ctx)
	return plan, err
}

func (a *App) plan(ctx context.Context, p *prepared, sp scheduler.Plan) (Plan, error) {
	plan := Plan{
		Plan: sp, Campaign: p.def.ID, Subject: p.snapshot.Subject, From: p.snapshot.From, Topic: p.def.Topic,
		Loopback: true, Rate: p.snapshot.Rate, Source: p.source, Excluded: p.excluded, Guard: p.guard,
		Warnings: append(p.def.Warnings(), letter.WarnPostal(a.Config, p.snapshot)...),
	}
	limited := true
	var sum float64
	for _, name := range p.snapshot.Accounts {
		acct := a.Config.Accounts[name]
		plan.Loopback = plan.Loopback && acct.Loopback()
		text := fmt.Sprintf("%s (%s:%d)", name, acct.Host, acct.Port)
		plan.Accounts = append(plan.Accounts, text)
		limited = limited && acct.Limits.Rate > 0
		sum += acct.Limits.Rate
	}
	if limited && (plan.Rate == 0 || sum < plan.Rate) {
		plan.Rate = sum
	}
	known, err := a.Ledger.TopicUsed(ctx, p.def.Topic)
	if err != nil {
		return Plan{}, err
	}
	plan.NewTopic = !known
	if p.blanks != nil {
		plan.Blanks, err = p.blanks.Gaps()
	}
	return plan, err
}

// audienceError says where an audience comes from when it has nobody.
func (a *App) audienceError(p *prepared, err error) error {
	var size *scheduler.AudienceSizeError
	switch {
	case errors.Is(err, scheduler.ErrNobody) && p.retry != nil:
		return p.retry.nobody()
	case errors.Is(err, scheduler.ErrNobody):
		return invalid(fmt.Sprintf("%s: no valid address in it that is not excluded; nothing was sent", p.source))
	case errors.As(err, &size):
		return refused(fmt.Sprintf("%s: %v; nothing was sent", p.source, err))
	}
	return err
}

// Launch makes a run of the campaign now. When it returns without error the
// whole audience is in and workers may send. On an error nothing was sent, but
// after one that is a ledger.UnsureError or ledger.ErrReady. Of calls with the
// same key at the same time one makes the run, the others wait for it.
func (a *App) Launch(ctx context.Context, def *campaign.Definition, o Launch) (Launched, error) {
	p, err := a.prepare(ctx, def, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()
	for {
		launched, err := a.launch(ctx, p, o)
		if o.Key == "" || !errors.Is(err, errBusy) {
			return launched, err
		}
		select {
		case <-time.After(busyRest):
		case <-ctx.Done():
			return Launched{}, context.Cause(ctx)
		}
	}
}

// launch is one try of Launch.
func (a *App) launch(ctx context.Context, p *prepared, o Launch) (Launched, error) {
	id, existed, err := a.nameRun(ctx, p, o)
	if err != nil {
		return Launched{}, full(err)
	}
	if existed {
		return Launched{Run: id, Existed: true}, nil
	}
	return a.expand(ctx, p, id, o)
}

// expand makes the run, reads the audience into it and makes it ready.
func (a *App) expand(ctx context.Context, p *prepared, id string, o Launch) (Launched, error) {
	h, err := a.hold(ctx, id, "launched")
	if err != nil {
		return Launched{}, err
	}
	defer h.letGo(ctx)
	created, err := a.Ledger.Now(ctx) // the clock that the cells go by
	if err != nil {
		return Launched{}, err
	}
	made, err := a.Ledger.Create(ctx, newRun(p, id, o, created))
	if err != nil {
		return Launched{}, a.undo(ctx, p, id, o, full(err))
	}
	if !made { // by a launch of the same second, or by one that died
		switch rec, err := a.Ledger.Record(ctx, id); {
		case err != nil:
			return Launched{}, err
		case rec.Key != "" && rec.Key == o.Key && rec.Attempt != "": // it was faster than our look
			return Launched{Run: id, Existed: true}, nil
		case rec.State != campaign.Expanding:
			return Launched{}, a.repeated(ctx, p, rec, id)
		}
	}
	launched, err := a.fill(ctx, p, id, o)
	if err != nil {
		return Launched{}, a.undo(ctx, p, id, o, err)
	}
	return launched, nil
}

func newRun(p *prepared, id string, o Launch, created time.Time) ledger.NewRun {
	def, parent := p.def, ""
	if p.retry != nil {
		parent = p.retry.of.ID
	}
	return ledger.NewRun{
		ID: id, Campaign: def.ID, Key: o.Key, Parent: parent, Topic: def.Topic, Subject: def.Subject, From: def.From, Audience: p.source,
		Accounts: p.snapshot.Accounts, Created: created, Retry: def.Delivery.Retry,
		MaxAttempts: def.Delivery.MaxAttempts, ExpiresAfter: def.Delivery.ExpiresAfter,
		Resend: def.Delivery.OnUncertain == campaign.Resend, Replicated: def.Delivery.Durability == campaign.Replicated,
		Guard: p.guard,
	}
}

// read writes content and audience of the run to a new expansion, which the
// caller makes ready or discards.
func (a *App) read(ctx context.Context, p *prepared, id string, o Launch) (*ledger.Expansion, scheduler.Plan, error) {
	e := a.Ledger.Expand(id)
	if err := e.Content(ctx, p.snapshot); err != nil {
		return e, scheduler.Plan{}, err
	}
	sel := p.sel
	sel.Room = a.room
	sp, err := a.expandAudience(ctx, p, sel, e, o)
	return e, sp, err
}

// fill reads the audience, has the plan confirmed and makes the run ready. What
// it wrote is gone when it returns an error, unless that is a ledger.UnsureError.
func (a *App) fill(ctx context.Context, p *prepared, id string, o Launch) (launched Launched, err error) {
	e, sp, err := a.read(ctx, p, id, o)
	defer func() {
		if err != nil {
			err = full(err)
			a.discard(ctx, id, e)
		}
	}()
	if err != nil {
		return Launched{}, err
	}
	plan, err := a.plan(ctx, p, sp)
	if err != nil {
		return Launched{}, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(plan); err != nil {
			return Launched{}, err
		}
	}
	for p.retry != nil {
		stale, err := p.retry.stale(ctx)
		if err != nil {
			return Launched{}, err
		}
		if !stale {
			break
		}
		a.discard(ctx, id, e)
		if e, sp, err = a.read(ctx, p, id, o); err != nil {
			return Launched{}, err
		}
		plan.Plan = sp
	}
	switch err = e.Ready(ctx, sp.Skipped); {
	case errors.Is(err, ledger.ErrReady): // whoever took the run for ours to be dead
		plan.Plan, err = a.planOf(ctx, id)
	case err == nil:
		a.noteReady(ctx, p, id, o)
	}
	if err != nil {
		return Launched{}, err
	}
	a.log.Info("run is ready", "run", id, "campaign", p.def.ID, "recipients", plan.Total, "suppressed", plan.Suppressed)
	return Launched{Run: id, Plan: plan}, nil
}

// noteReady notes what follows from a run that is ready, also when the launch
// was interrupted meanwhile.
func (a *App) noteReady(ctx context.Context, p *prepared, id string, o Launch) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if p.once != "" && (o.Again || o.Key != "") {
		a.takeName(ctx, p, id)
	}
	if err := a.Ledger.UseTopic(ctx, p.def.Topic); err != nil {
		a.log.Warn("topic could not be noted as used", "topic", p.def.Topic, "err", err)
	}
}

// planOf says what a run was made of by another launch.
func (a *App) planOf(ctx context.Context, id string) (scheduler.Plan, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return scheduler.Plan{}, err
	}
	tally, err := a.Ledger.Counts(ctx, id)
	if err != nil {
		return scheduler.Plan{}, err
	}
	sp := scheduler.Plan{Total: rec.Total(), Suppressed: tally.Counts[campaign.Suppressed], Skipped: rec.Skipped, Parts: map[int]int64{}}
	for _, p := range rec.Sizes {
		sp.Parts[p.Part] = int64(p.Size)
	}
	return sp, nil
}

// undo removes a run that did not become ready: it does not count as launched.
// It returns the cause, with what is known of the run when it is ready after all.
func (a *App) undo(ctx context.Context, p *prepared, id string, o Launch, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := a.Ledger.Drop(ctx, id, p.def.ID)
	ready := errors.Is(err, ledger.ErrReady)
	if err != nil && !ready {
		return cause // what is left expires by itself
	}
	if unsure, ok := errors.AsType[*ledger.UnsureError](cause); ok {
		cause = unsure.Err // it is known now
	}
	if ready {
		return fmt.Errorf("%w\n  run %s: %w", cause, id, err)
	}
	if p.once != "" {
		err = a.Ledger.Unname(ctx, p.once, id)
	}
	if o.Key != "" {
		err = errors.Join(err, a.Ledger.Unname(ctx, keyName(o.Key), id))
	}
	if err != nil {
		a.log.Warn("launch could not be undone completely", "run", id, "err", err)
	}
	return cause
}
