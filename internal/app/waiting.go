package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/presence"
	"broadside/internal/report"
	"broadside/scheduler"
	"broadside/throttle"
)

// waiting returns what keeps a run from going on now; nothing for one that is
// over, paused or held: its reason says why.
func (a *App) waiting(ctx context.Context, s Status) ([]report.Wait, error) {
	switch s.State {
	case campaign.Running:
		return a.waitingToSend(ctx, s)
	case campaign.Expanding:
		return a.waitingForAudience(ctx, s.Record)
	}
	return nil, nil
}

// waitingToSend looks for workers, and for a way out for those who are left.
func (a *App) waitingToSend(ctx context.Context, s Status) ([]report.Wait, error) {
	var waits []report.Wait
	alive, err := a.WorkerAlive(ctx)
	if err != nil {
		return nil, err
	}
	if !alive && !a.Embedded() { // this process alone sends from the embedded store
		waits = append(waits, report.Wait{
			For: report.ForWorker, Code: campaign.CodeNoWorker,
			Reason: campaign.CodeNoWorker.Reason("no worker is alive: start `broadside worker`, or `broadside all`"),
		})
	}
	closings, err := a.Accounts.Closings(ctx, s.Accounts...)
	if err != nil {
		return nil, err
	}
	for _, c := range closings {
		if affects(c, s) {
			waits = append(waits, waitFor(c))
		}
	}
	return waits, nil
}

// affects reports whether somebody of the run waits for what is closed. An entry
// that cannot be read closes nothing.
func affects(c throttle.Closing, s Status) bool {
	switch {
	case c.Code == string(campaign.CodeBrokenState):
		return false
	case c.Provider == "":
		return true
	}
	part := slices.Index(campaign.Providers, campaign.Provider(c.Provider))
	return part < 0 || s.Parts[part].Open() > 0 // what is no provider is a domain
}

func waitFor(c throttle.Closing) report.Wait {
	w := report.Wait{For: report.ForAccount, What: c.Account, Code: campaign.Code(c.Code), Reason: c.Reason, Until: c.Until}
	if c.Provider != "" {
		w.For = report.ForLane
		w.What = c.Account + "/" + c.Provider
	}
	if campaign.CodeOf(w.Reason) == "" && w.Code != "" {
		w.Reason = w.Code.Reason("%s", w.Reason)
	}
	return w
}

// waitingForAudience finds out whether anybody is still reading the audience.
func (a *App) waitingForAudience(ctx context.Context, rec *ledger.Record) ([]report.Wait, error) {
	now, err := a.Ledger.Now(ctx)
	if err != nil || now.Sub(rec.Created) < scheduler.LeaseTime {
		return nil, err
	}
	held, err := a.Ledger.Expanded(ctx, rec.ID)
	if err != nil || held {
		return nil, err
	}
	scheduled, err := a.isFiring(ctx, rec)
	if err != nil {
		return nil, err
	}
	if !scheduled {
		return []report.Wait{{
			For: report.ForLaunch, What: rec.Campaign, Code: campaign.CodeAbandoned,
			Reason: campaign.CodeAbandoned.Reason("the process that read the audience gives no sign of life: launch the campaign again, which takes the run over"),
		}}, nil
	}
	all, err := a.Processes(ctx)
	if err != nil || doing(all, presence.Scheduler) > 0 {
		return nil, err // it takes over within seconds
	}
	return []report.Wait{{
		For: report.ForScheduler, What: rec.Campaign, Code: campaign.CodeNoScheduler,
		Reason: campaign.CodeNoScheduler.Reason("no scheduler is alive: start `broadside scheduler`, or `broadside all`"),
	}}, nil
}

// isFiring reports whether a run is that of an occurrence which is under way.
func (a *App) isFiring(ctx context.Context, rec *ledger.Record) (bool, error) {
	e, err := a.schedules.Get(ctx, rec.Campaign)
	if errors.Is(err, scheduler.ErrNoSchedule) || campaign.IsBroken(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !e.Firing.IsZero() && campaign.RunID(e.ID, e.Firing) == rec.ID, nil
}

// redisAway is what everybody waits for who cannot read the state of a run.
func redisAway(err error) report.Wait {
	return report.Wait{
		For: report.ForRedis, Code: campaign.CodeRedisUnreachable,
		Reason: campaign.CodeRedisUnreachable.Reason("%v", err),
	}
}

// lookEvery is how often somebody who waits for a run looks what it waits for.
const lookEvery = time.Second

// returnWithin is how long after Redis was away a worker may take to give a sign
// of life again: until then that there is none says nothing.
const returnWithin = 7 * time.Second

// A lookout finds out now and then what a run waits for.
type lookout struct {
	a    *App
	last time.Time
	seen []report.Wait
	away time.Time // Redis could not be reached then
}

// look returns what the run waits for, as far as is known.
func (l *lookout) look(ctx context.Context, s Status) []report.Wait {
	now := time.Now()
	if now.Sub(l.last) < lookEvery {
		return l.seen
	}
	waits, err := l.a.waiting(ctx, s)
	if err != nil {
		return l.seen
	}
	if now.Sub(l.away) < returnWithin {
		waits = slices.DeleteFunc(waits, func(w report.Wait) bool { return w.For == report.ForWorker })
	}
	l.last = now
	l.seen = waits
	return l.seen
}
