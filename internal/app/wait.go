package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/report"
)

// waitEvery is how often a run is looked at while somebody waits for it.
const waitEvery = 200 * time.Millisecond

// A Status is a run at one moment.
type Status struct {
	*ledger.Record
	*ledger.Tally
	Waiting []report.Wait // what keeps it from going on; of a Status of Wait alone
}

// Status reads the state of a run.
func (a *App) Status(ctx context.Context, id string) (Status, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return Status{}, err
	}
	tally, err := a.Ledger.Counts(ctx, id)
	if err != nil {
		return Status{}, err
	}
	return Status{Record: rec, Tally: tally}, nil
}

// Wait returns when the run is over, or when it stands still: paused or held,
// which is ErrRefused with the reason. seen, if any, is told each status, and
// what the run waits for; while Redis cannot be reached the last status that was
// read.
func (a *App) Wait(ctx context.Context, id string, seen func(Status)) (Status, error) {
	t := time.NewTicker(waitEvery)
	defer t.Stop()
	waits := &lookout{a: a}
	var last Status
	for {
		s, err := a.Status(ctx, id)
		switch {
		case err == nil:
			s.Waiting = waits.look(ctx, s)
			last = s
		case ledger.Gone(err) || campaign.IsBroken(err) || ctx.Err() != nil:
			return Status{}, err
		default: // a Redis that restarts is waited for like everything else
			last.Waiting = append(slices.Clone(waits.seen), redisAway(err))
			waits.away = time.Now()
		}
		if seen != nil && last.Record != nil {
			seen(last)
		}
		if err == nil {
			if over, err := s.atRest(); over || err != nil {
				return s, err
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return last, context.Cause(ctx)
		}
	}
}

// atRest reports whether nothing happens in the run by itself: it is over, or
// paused or held, which is ErrRefused.
func (s Status) atRest() (over bool, err error) {
	if s.State == campaign.Paused || s.State == campaign.Held {
		return false, refused(fmt.Sprintf("run %s is %s: %s", s.ID, s.State, s.Reason))
	}
	return s.State.Over() && (!s.Finished.IsZero() || s.State == campaign.RunFailed), nil
}
