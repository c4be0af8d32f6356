package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// byOperator is the reason of a state that a person asked for.
var byOperator = codes.Operator.Reason("by the operator")

// Pause stops a running run: within a second no message begins any more. The error
// is of the kind failure.ErrRefused when the run is not running.
func (r *Runs) Pause(ctx context.Context, id string) error {
	return r.turn(ctx, id, campaign.Paused, campaign.Running)
}

// PauseAll pauses every run that is running and returns their ids. An error about
// one does not keep the others running.
func (r *Runs) PauseAll(ctx context.Context) ([]string, error) {
	ids, err := r.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}

	var errs []error
	paused := []string{}
	for _, id := range ids {
		before, err := r.Ledger.Turn(ctx, id, campaign.Paused, byOperator, campaign.Running)
		switch {
		case err != nil:
			errs = append(errs, err)
		case before == campaign.Running:
			paused = append(paused, id)
		}
	}

	return paused, errors.Join(errs...)
}

// Resume continues a run that is paused or held. If a guard has paused it, the guards
// count from here, because the old numbers would pause it again at once.
func (r *Runs) Resume(ctx context.Context, id string) error {
	s, err := r.Status(ctx, id)
	if err != nil {
		return err
	}

	if s.State == campaign.Paused && codes.Of(s.Reason).ByGuard() {
		if err := r.Ledger.NoteBase(ctx, id, s.Sample()); err != nil {
			return err
		}
	}

	return r.turn(ctx, id, campaign.Running, campaign.Paused, campaign.Held)
}

// Cancel ends a run: recipients that have not been sent to get nothing. What is on
// the wire at that moment still gets its outcome.
func (r *Runs) Cancel(ctx context.Context, id string) error {
	if err := r.turn(ctx, id, campaign.RunCancelled, campaign.Running, campaign.Paused, campaign.Held, campaign.Expanding); err != nil {
		return err
	}

	run, err := r.handle(ctx, id)
	if errors.Is(err, failure.ErrInvalid) {
		return nil // it never became ready
	}
	if err != nil {
		return err
	}

	return r.Ledger.Sweep(ctx, run)
}

// turn changes the state of a run, if it is in one of the states from.
func (r *Runs) turn(ctx context.Context, id string, to campaign.RunState, from ...campaign.RunState) error {
	reason := byOperator
	if to == campaign.Running {
		reason = ""
	}

	before, err := r.Ledger.Turn(ctx, id, to, reason, from...)
	if err != nil {
		return err
	}

	if !slices.Contains(from, before) {
		if before == to {
			return failure.Refused(fmt.Sprintf("run %s is %s already", id, before))
		}
		return failure.Refused(fmt.Sprintf("run %s is %s: it cannot become %s", id, before, to))
	}

	r.Log.Info("run changed its state", "run", id, "from", before, "to", to, "reason", byOperator)
	return nil
}

// AcceptUncertain makes every uncertain recipient of a run accepted: the operator
// knows, from the logs of the servers, that they have the message. It returns how
// many they were. A reply that has come since counts instead.
func (r *Runs) AcceptUncertain(ctx context.Context, id string) (int64, error) {
	run, err := r.handle(ctx, id)
	if err != nil {
		return 0, err
	}

	var accepted int64
	for _, p := range run.Sizes {
		for first := 0; first < p.Size; first += ledger.PageCells {
			cells, err := r.Ledger.Page(ctx, run, p.Part, first/ledger.PageCells)
			if err != nil {
				return accepted, err
			}

			for i, cell := range cells {
				if cell.State != campaign.Uncertain {
					continue
				}
				ref := ledger.Ref{Run: run, Part: p.Part, Index: first + i}
				done, err := r.Ledger.Resolve(ctx, ref, campaign.Accepted, ledger.Reply{Text: "accepted " + byOperator})
				if err != nil {
					return accepted, err
				}
				if done {
					accepted++
				}
			}
		}
	}

	r.Log.Info("uncertain recipients were accepted", "run", id, "recipients", accepted, "reason", byOperator)
	return accepted, nil
}
