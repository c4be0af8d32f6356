package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// pollEvery is how often Wait reads a run.
const pollEvery = 200 * time.Millisecond

// Wait returns when the run is over, or when it stands still: paused or held,
// which is of the kind failure.ErrRefused, with the reason. seen, if it is not nil,
// is called with each status, with what the run waits for and what readers do; while Redis cannot be
// reached, with the last status that was read.
func (r *Runs) Wait(ctx context.Context, id string, seen func(Status)) (Status, error) {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	waits := &waitsReader{runs: r}
	readers := &trackingReader{runs: r}
	var last Status
	for {
		s, err := r.Status(ctx, id)
		switch {
		case err == nil:
			s.Waiting = waits.read(ctx, s)
			s.Tracking = readers.read(ctx, s.Handle())
			last = s
		case ledger.Gone(err) || campaign.IsBroken(err) || ctx.Err() != nil:
			return Status{}, err
		default: // Redis may be restarting
			last.Waiting = waits.during(err)
		}

		if seen != nil && last.Record != nil {
			seen(last)
		}
		if err == nil {
			over, err := s.atRest()
			if over || err != nil {
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
// paused or held, which is an error.
func (s Status) atRest() (over bool, err error) {
	if s.State == campaign.Paused || s.State == campaign.Held {
		return false, failure.Refused(fmt.Sprintf("run %s is %s: %s", s.ID, s.State, s.Reason))
	}
	return s.State.Over() && (!s.Finished.IsZero() || s.State == campaign.RunFailed), nil
}

// Watch returns when the run is over. Unlike Wait it goes on while the run is
// paused or held.
func (r *Runs) Watch(ctx context.Context, id string, seen func(Status)) (Status, error) {
	for {
		s, err := r.Wait(ctx, id, seen)
		if !errors.Is(err, failure.ErrRefused) {
			return s, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}
