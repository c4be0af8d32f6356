package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// byOperator is the reason of a state that a person asked for.
var byOperator = codes.Operator.Reason("by the operator")

// Pause stops a running run: within a second no message begins any more.
// ErrRefused when it is not running.
func (a *App) Pause(ctx context.Context, id string) error {
	return a.turn(ctx, id, campaign.Paused, campaign.Running)
}

// PauseAll pauses every run that is running and returns their ids. An error
// about one does not keep the others running.
func (a *App) PauseAll(ctx context.Context) ([]string, error) {
	ids, err := a.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	paused := []string{}
	for _, id := range ids {
		before, err := a.Ledger.Turn(ctx, id, campaign.Paused, byOperator, campaign.Running)
		switch {
		case err != nil:
			errs = append(errs, err)
		case before == campaign.Running:
			paused = append(paused, id)
		}
	}
	return paused, errors.Join(errs...)
}

// Resume goes on with a run that is paused or held. After a guard has paused
// it the guards count from here: the old numbers would stop it again at once.
func (a *App) Resume(ctx context.Context, id string) error {
	s, err := a.Status(ctx, id)
	if err != nil {
		return err
	}
	if s.State == campaign.Paused && codes.Of(s.Reason).ByGuard() {
		if err := a.Ledger.NoteBase(ctx, id, s.Sample()); err != nil {
			return err
		}
	}
	return a.turn(ctx, id, campaign.Running, campaign.Paused, campaign.Held)
}

// Cancel ends a run: who has not been sent to gets nothing. What is on the
// wire at that moment still gets its outcome.
func (a *App) Cancel(ctx context.Context, id string) error {
	if err := a.turn(ctx, id, campaign.RunCancelled, campaign.Running, campaign.Paused, campaign.Held, campaign.Expanding); err != nil {
		return err
	}
	run, err := a.handle(ctx, id)
	if errors.Is(err, ErrInvalid) {
		return nil // it never became ready
	}
	if err != nil {
		return err
	}
	return a.Ledger.Sweep(ctx, run)
}

func (a *App) turn(ctx context.Context, id string, to campaign.RunState, from ...campaign.RunState) error {
	reason := byOperator
	if to == campaign.Running {
		reason = ""
	}
	before, err := a.Ledger.Turn(ctx, id, to, reason, from...)
	if err != nil {
		return err
	}
	if !slices.Contains(from, before) {
		if before == to {
			return refused(fmt.Sprintf("run %s is %s already", id, before))
		}
		return refused(fmt.Sprintf("run %s is %s: it cannot become %s", id, before, to))
	}
	a.log.Info("run changed its state", "run", id, "from", before, "to", to, "reason", byOperator)
	return nil
}

// Watch returns when the run is over; pauses are waited out. seen is told
// each status.
func (a *App) Watch(ctx context.Context, id string, seen func(Status)) (Status, error) {
	for {
		s, err := a.Wait(ctx, id, seen)
		if !errors.Is(err, ErrRefused) {
			return s, err
		}
		select {
		case <-time.After(waitEvery):
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}
