package sender

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/internal/outage"
)

// followEvery is how often a worker reads what the others have found out about
// accounts and lanes.
const followEvery = time.Second

// followAccounts follows what other workers and operators do to accounts and
// lanes, until ctx ends.
func (w *Worker) followAccounts(ctx context.Context) {
	notice := outage.NewNotice(w.cfg.Log, "the state of accounts and lanes cannot be read", "the state of accounts and lanes is read again")
	for sleep(ctx, followEvery) {
		notice.Note(w.readAccounts(ctx))
	}
}

// readAccounts reads how accounts and lanes stand, and gives back what waits in lanes
// that are shut.
func (w *Worker) readAccounts(ctx context.Context) error {
	names := slices.Sorted(maps.Keys(w.accounts))
	read := time.Now()
	states, err := w.cfg.Accounts.States(ctx, names...)
	if err != nil {
		return err
	}
	shared, err := w.cfg.Lanes.Read(ctx, names...)
	if err != nil {
		return err
	}

	var errs []error
	for name, a := range w.accounts {
		now := time.Now()
		a.follow(now, read, states[name], shared[name])
		for _, l := range a.shutLanes(now) {
			w.recipients.giveBackAll(a.drainShut(now, l))
		}
		errs = append(errs, a.warmUp(ctx, w.cfg.Days, now))
	}
	return errors.Join(errs...)
}

// tend gives slots back that were not used, and shares what is known of the
// server's limits, until ctx ends.
func (w *Worker) tend(ctx context.Context, a *account) {
	var shared time.Time
	for sleep(ctx, followEvery) {
		now := time.Now()
		a.returnSlots(ctx, now)
		a.releaseLanes(ctx, w.cfg.Conns)
		if now.Sub(shared) >= learntEvery {
			shared = now
			a.shareLearnt(ctx)
		}
	}
	last, cancel := w.life.within(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	a.retireAll()
	a.returnSlots(last, time.Now())
	a.releaseAllLanes(last, w.cfg.Conns)
}

// ShutUntil returns until when nothing can be sent to the recipients of a part by
// any of the accounts; the zero time when something can. What this process does not
// know is open.
func (w *Worker) ShutUntil(accounts []string, part int) time.Time {
	now := time.Now()
	var until time.Time
	for _, name := range accounts {
		a := w.accounts[name]
		if a == nil {
			continue
		}
		shut := a.shutUntil(now, campaign.Providers[part])
		if shut.IsZero() {
			return time.Time{}
		}
		until = earliest(until, shut)
	}
	return until
}
