package app

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// waitEvery is how often a run is looked at while somebody waits for it.
const waitEvery = 200 * time.Millisecond

// A Status is a run at one moment.
type Status struct {
	*ledger.Record
	*ledger.Tally
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
	return Status{rec, tally}, nil
}

// Wait returns when the run is over, or when it stands still: paused or held,
// which is ErrRefused with the reason. seen, if any, is told each status.
func (a *App) Wait(ctx context.Context, id string, seen func(Status)) (Status, error) {
	t := time.NewTicker(waitEvery)
	defer t.Stop()
	for {
		s, err := a.Status(ctx, id)
		if err != nil {
			if ledger.Gone(err) || ctx.Err() != nil {
				return Status{}, err
			}
			// A Redis that restarts is waited for like everything else.
		} else {
			if seen != nil {
				seen(s)
			}
			switch {
			case s.State == campaign.Paused || s.State == campaign.Held:
				return s, refused(fmt.Sprintf("run %s is %s: %s", id, s.State, s.Reason))
			case s.State.Over() && (!s.Finished.IsZero() || s.State == campaign.RunFailed):
				return s, nil
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}
