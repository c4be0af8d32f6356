package app

import (
	"context"
	"errors"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/doctor"
	"broadside/internal/presence"
	"broadside/scheduler"
)

// dueSoon is how long before its time a campaign is worth a look at who is alive.
const dueSoon = 24 * time.Hour

// duty looks at what is to be done, who is there to do it, and what in Redis
// cannot be read.
func (a *App) duty(ctx context.Context) ([]doctor.Finding, error) {
	alive, err := a.Processes.List(ctx)
	if err != nil {
		return nil, err
	}
	d := doctor.Duty{
		Alive:   presence.Summary(alive),
		Workers: presence.Count(alive, presence.Worker) + presence.Count(alive, presence.Launch), Schedulers: presence.Count(alive, presence.Scheduler), Webs: presence.Count(alive, presence.Web),
	}
	if a.Config.ReadersElsewhere() {
		d.Readers = a.Config.PublicURL
	}
	var broken []error
	if d.Running, err = a.runningNow(ctx); err != nil {
		return nil, err
	}
	schedules, err := a.schedules.List(ctx)
	if err != nil {
		return nil, err
	}
	now, err := a.schedules.Now(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range schedules {
		if e.Broken != nil {
			broken = append(broken, e.Broken)
		} else if isDue(e, now) {
			d.Due = append(d.Due, e.ID+" at "+e.Next.UTC().Format(time.RFC3339))
		}
	}
	others, err := a.brokenState(ctx)
	return append(doctor.Processes(d), doctor.Broken(append(broken, others...))...), err
}

func isDue(e *scheduler.Entry, now time.Time) bool {
	return !e.Done() && e.Next.Sub(now) < dueSoon
}

// runningNow returns the runs that workers have to do with. Broken ones are told of
// by brokenState.
func (a *App) runningNow(ctx context.Context) ([]string, error) {
	ids, err := a.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}
	var running []string
	for _, id := range ids {
		rec, err := a.Ledger.Record(ctx, id)
		_, broken := errors.AsType[*campaign.BrokenError](err)
		switch {
		case broken || ledger.Gone(err):
		case err != nil:
			return nil, err
		case rec.State == campaign.Running:
			running = append(running, id)
		}
	}
	return running, nil
}

// brokenState returns the runs, lists and closings of accounts that cannot be
// read.
func (a *App) brokenState(ctx context.Context) ([]error, error) {
	var broken []error
	runs, err := a.Ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, id := range runs {
		if _, err := a.Runs.Status(ctx, id); campaign.IsBroken(err) {
			broken = append(broken, err)
		}
	}
	lists, err := a.Lists.Ls(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		if l.Broken != "" {
			broken = append(broken, errors.New(l.Broken))
		}
	}
	closings, err := a.Accounts.Closings(ctx, a.accountNames()...)
	if err != nil {
		return nil, err
	}
	for _, c := range closings {
		if c.Code == string(codes.BrokenState) {
			broken = append(broken, errors.New(c.Reason))
		}
	}
	return broken, nil
}
