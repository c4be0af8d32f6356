package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/campaign/where"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/internal/letter"
	"broadside/scheduler"
	"broadside/scheduler/calendar"
)

// A prepared run has been checked and can be made.
type prepared struct {
	spec     campaign.RunSpec
	in       scheduler.Input
	rows     io.Closer            // in.Rows; nil: not opened
	def      *campaign.Definition // nil: it is a retry, which has no file
	excluded []sources.Exclusion
	warnings strictyaml.Problems
	begins   time.Time          // the occurrence that it is of; zero: it is of none, and sent now
	where    *where.Filter      // nil: all rows are sent to
	gaps     *letter.GapCounter // counts them while the audience is read; nil: they are not counted

	nothingNew bool // the items of its feed were all sent
}

// starts returns when the run is made.
func (p *prepared) starts() time.Time {
	now := time.Now()
	if p.begins.After(now) {
		return p.begins
	}
	return now
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
	from.Feed = l.newItems(p)
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
	timesErr := l.setTimes(ctx, p, columns, from)
	err = errors.Join(openErr, err, filterErr, timesErr)
	if err == nil {
		err = l.check(ctx, p, o)
	}
	if err == nil && p.nothingNew && !o.Later {
		err = feed.ErrNothingNew
	}
	if err != nil {
		p.close()
		return nil, err
	}

	return p, nil
}

// setTimes says when the run may send: at hours of one clock, or at those of each
// recipient's own.
func (l *Launcher) setTimes(ctx context.Context, p *prepared, columns []string, from sources.Sources) error {
	hours, windowErr := letter.Window(ctx, l.Config, p.def, from, p.starts())
	local, localErr := letter.LocalTime(l.Config, p.def, columns, hours)
	if !p.def.Schedule.Recipient {
		p.spec.Window = hours
		p.spec.Spread = p.def.Schedule.Spread
		return windowErr
	}

	if local != nil {
		p.spec.Local = local
		if hours != nil {
			p.spec.Snapshot.Hours = &local.Hours
		}
		if !p.begins.IsZero() {
			local.At = calendar.Wall(p.begins)
		}
	}
	return errors.Join(windowErr, localErr)
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

	p.in.Select.Local = p.spec.Local
	p.in.Select.Made = p.starts()
	p.in.Select.Lasts = p.spec.Delivery.ExpiresAfter
	p.in.Select.Each = p.gaps.Count
	p.in.Select.Domains = l.hasLane(p.spec.Snapshot.Accounts)
	p.in.Progress = o.Progress
	p.in.Explain = p.explain
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
	if *n > 0 && p.spec.Local != nil {
		return failure.Invalid("--canary: the campaign has schedule.timezone: recipient; " + campaign.NoCanary)
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

// explain turns an error of reading the audience into one for people.
func (p *prepared) explain(err error) error {
	switch {
	case errors.Is(err, scheduler.ErrNoZone):
		return strictyaml.Problems{p.def.Problem("schedule.timezone_field",
			"no row of %s has a zone that is known in the field %s, expected names such as Europe/Berlin; nothing was sent", p.spec.Audience, p.def.Schedule.ZoneField)}
	case errors.Is(err, scheduler.ErrTooLong):
		return strictyaml.Problems{p.def.Problem("schedule", "the run would not be over within %d days, expected an earlier time or a window that opens sooner; nothing was sent",
			int(ledger.MaxDue/(24*time.Hour)))}
	}
	return audienceError(p.spec.Audience, err)
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
