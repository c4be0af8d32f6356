package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/campaign/where"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/internal/letter"
	"broadside/scheduler"
)

// A prepared run has been checked and can be made.
type prepared struct {
	spec     campaign.RunSpec
	in       scheduler.Input
	rows     io.Closer            // in.Rows; nil: not opened
	def      *campaign.Definition // nil: it is a retry, which has no file
	excluded []sources.Exclusion
	warnings strictyaml.Problems
	begins   time.Time          // when it is sent; zero: now
	where    *where.Filter      // nil: all rows are sent to
	gaps     *letter.GapCounter // counts them while the audience is read; nil: they are not counted
}

// prepare opens the audience, compiles the content and checks both. The caller closes
// what it returns.
func (l *Launcher) prepare(ctx context.Context, def *campaign.Definition, o Options) (*prepared, error) {
	if err := unscheduled(def, o); err != nil {
		return nil, err
	}

	p := &prepared{def: def, begins: o.Begins}
	p.spec = campaign.RunSpec{Delivery: def.Delivery, Guard: def.Guard, High: def.Priority == campaign.HighPriority, Audience: def.Audience.Source, Again: o.Again, Key: o.Key}
	if def.Schedule.Cron == "" {
		p.spec.Once = campaign.OnceCampaign(def.ID)
	}

	if o.Audience != "" {
		p.spec.Audience = o.Audience
	}

	from := l.Sources(o.Stored)
	from.Stdin = o.Stdin
	rows, openErr := from.Audience(ctx, def, o.Audience)
	var columns []string
	if openErr == nil {
		p.rows = rows
		p.in.Rows = rows
		columns = rows.Columns()
	}

	// The content is read even without the audience, so that the problems of both are
	// reported.
	var err error
	p.spec.Snapshot, err = letter.Read(ctx, l.Config, def, columns, from)
	var filterErr error
	if openErr == nil {
		p.where, filterErr = sources.Filter(def, columns)
	}
	begins := p.begins
	if begins.IsZero() {
		begins = time.Now()
	}
	var windowErr error
	p.spec.Window, windowErr = letter.Window(ctx, l.Config, def, from, begins)
	p.spec.Spread = def.Schedule.Spread
	err = errors.Join(openErr, err, filterErr, windowErr)
	if err == nil {
		err = l.check(ctx, p, o)
	}
	if err != nil {
		p.close()
		return nil, err
	}

	return p, nil
}

// Sources are where a campaign's content and audience are read from. stored has the
// files of a scheduled campaign; when it is nil they are on disk.
func (l *Launcher) Sources(stored *scheduler.Schedule) sources.Sources {
	s := sources.Sources{Lists: l.Lists, Runs: l.Runs}
	if stored != nil {
		s.Stored = func(ctx context.Context, key string) (io.ReadCloser, error) {
			return l.Stored.Open(ctx, stored, key)
		}
	}
	return s
}

// check applies the options, and refuses a run that could not be sent.
func (l *Launcher) check(ctx context.Context, p *prepared, o Options) error {
	if o.Rate > 0 {
		p.spec.Snapshot.Rate = o.Rate
	}
	if err := p.setCanary(o.Canary); err != nil {
		return err
	}
	if err := l.checkAccounts(p.spec.Snapshot.Accounts); err != nil {
		return err
	}
	if err := letter.Check(l.Config, p.spec.Snapshot); err != nil {
		return letter.Locate(p.def, err)
	}
	if err := l.checkDurability(ctx, p.spec.Delivery, p.def.Problem); err != nil {
		return err
	}

	var err error
	p.in.Select, p.excluded, err = l.selection(ctx, p.def, o)
	if err != nil {
		return err
	}

	if p.where != nil {
		p.in.Select.Where = p.where.Match
	}

	p.gaps, err = letter.NewGapCounter(p.spec.Snapshot)
	if err != nil {
		return letter.Locate(p.def, err)
	}

	p.in.Select.Each = p.gaps.Count
	p.in.Select.Domains = l.hasLane(p.spec.Snapshot.Accounts)
	p.in.Progress = o.Progress
	p.in.Explain = func(err error) error { return audienceError(p.spec.Audience, err) }
	p.in.Confirm = func(context.Context, scheduler.Plan) error { return p.strict() }
	p.warnings = append(p.def.Warnings(), letter.WarnPostal(l.Config, p.spec.Snapshot)...)
	return nil
}

// setCanary sets how many recipients of the run are sent to first; nil leaves it as the
// file says.
func (p *prepared) setCanary(n *int) error {
	if n == nil {
		return nil
	}
	p.spec.Guard.Canary = *n
	wait := p.spec.Guard.CanaryWait
	expires := p.spec.Delivery.ExpiresAfter
	if *n > 0 && wait >= expires {
		return failure.Invalid(fmt.Sprintf("the canary waits for %s (guard.canary_wait), and the run expires after %s (delivery.expires_after): all others would be too late",
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

func (p *prepared) close() {
	if p.rows != nil {
		_ = p.rows.Close() // only read
	}
}

// checkDurability refuses a run whose claims would wait for a replica when there is
// none. problem says where the campaign asks for it.
func (l *Launcher) checkDurability(ctx context.Context, d campaign.Delivery, problem func(key, format string, args ...any) strictyaml.Problem) error {
	if d.Durability != campaign.Replicated {
		return nil
	}
	err := l.Ledger.CheckReplicas(ctx)
	if errors.Is(err, ledger.ErrNotReplicated) {
		return failure.Refused(problem("delivery.durability",
			"found replicated, but no replica of Redis answers: connect one, or use fast; nothing was sent").Error())
	}
	return err
}

// unscheduled refuses to launch a campaign that has a schedule, unless it is to be sent
// at once.
func unscheduled(def *campaign.Definition, o Options) error {
	key := "schedule.at"
	if def.Schedule.Cron != "" {
		key = "schedule.cron"
	}

	switch {
	case o.Now:
		return nil
	case o.Stored != nil:
		return failure.Invalid(fmt.Sprintf("campaign %s is scheduled: %s; `broadside campaign schedule %s --at TIME` changes that, `launch --now` sends at once", def.ID, o.Stored.Timing, def.ID))
	case !def.Schedule.IsZero():
		return strictyaml.Problems{def.Problem(key, "the file has a schedule: use `broadside campaign schedule %s` to send at that time, or `launch --now` to send at once", def.File)}
	}
	return nil
}

// checkAccounts refuses accounts on other machines when the store is embedded: it
// forgets at exit which recipients were mailed.
func (l *Launcher) checkAccounts(names []string) error {
	if !l.Store.Embedded() {
		return nil
	}
	for _, name := range names {
		if acct := l.Config.Accounts[name]; !acct.Loopback() {
			return failure.Refused(fmt.Sprintf("account %s sends to %s, and without redis_url (or REDIS_URL) Broadside forgets at exit which recipients it has mailed and which have unsubscribed: "+
				"the embedded store sends to this machine only", name, acct.Host))
		}
	}
	return nil
}

// onlyTo is the check of only_to; nil when that is not set.
func (l *Launcher) onlyTo() func(address string) bool {
	if len(l.Config.OnlyTo) == 0 {
		return nil
	}
	return func(address string) bool { return configs.MatchAddress(l.Config.OnlyTo, address) }
}

// selection says which recipients of the audience are sent to, and what was found in
// the sources of excluded addresses.
func (l *Launcher) selection(ctx context.Context, def *campaign.Definition, o Options) (scheduler.Selection, []sources.Exclusion, error) {
	sel := scheduler.Selection{Limit: o.Limit, Sample: def.Audience.Sample, Seed: def.ID, Expect: def.Audience.Expect, Topic: def.Topic, OnlyTo: l.onlyTo()}
	if o.Expect != (campaign.Range{}) {
		sel.Expect = o.Expect
	}
	excluded, err := l.Sources(o.Stored).Exclusions(ctx, def, o.Exclude)
	if err != nil {
		return sel, nil, err
	}
	sel.Excluded = excluded.Has
	return sel, excluded.Found, nil
}

// audienceError names the audience that cannot be sent to. Other errors stay as they
// are.
func audienceError(source string, err error) error {
	var size *scheduler.AudienceSizeError
	switch {
	case errors.Is(err, scheduler.ErrNoRecipients):
		return failure.Invalid(fmt.Sprintf("%s: no valid address in it that is sent to; nothing was sent", source))
	case errors.As(err, &size):
		return failure.Refused(fmt.Sprintf("%s: %v; nothing was sent", source, err))
	}
	return err
}
