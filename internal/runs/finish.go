package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/failure"
)

// workersEvery is how often Finish looks whether a worker is alive.
const workersEvery = time.Second

// FinishOptions say how to finish a run.
type FinishOptions struct {
	Timeout time.Duration // 0: none
	Seen    func(Status)  // called with each status; may be nil
	Working func()        // called once, when this process begins to do the work; may be nil
}

// Finish waits for a run as Wait does, and does the work of a worker itself as soon
// as none is alive. It has two errors more than Wait: of the kind
// failure.ErrTimeout when the time is over; of the kind failure.ErrUnreachable when
// this process does the work and every account of the run has closed because of its
// login, its TLS or a server that cannot be reached. In each case the run stays as
// it is.
func (r *Runs) Finish(ctx context.Context, id string, o FinishOptions) (Status, error) {
	rec, err := r.Ledger.Record(ctx, id)
	if err != nil {
		return Status{}, err
	}

	if rec.State.Over() && !rec.Finished.IsZero() {
		return r.Wait(ctx, id, o.Seen) // nothing is left to do
	}

	waiting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if o.Timeout > 0 {
		timeout := fmt.Errorf("run %s: %w after %s", id, failure.ErrTimeout, o.Timeout)
		limited, cancel := context.WithTimeoutCause(waiting, o.Timeout, timeout)
		defer cancel()
		waiting = limited
	}

	stand := &standIn{runs: r, accounts: rec.Accounts, began: o.Working}
	working, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		err := stand.run(working)
		if err != nil {
			giveUp(err)
		}
		done <- err
	}()

	s, err := r.Wait(waiting, id, func(s Status) {
		s.Waiting = withoutWorker(s.Waiting) // this process is about to be one
		if o.Seen != nil {
			o.Seen(s)
		}
		if !stand.working.Load() {
			return
		}
		if err := stand.blocked(waiting, s); err != nil {
			giveUp(err)
		}
	})
	if err != nil && waiting.Err() != nil && !errors.Is(err, failure.ErrRefused) {
		err = context.Cause(waiting)
	}

	stop()
	if workErr := <-done; workErr != nil && err == nil { // the run is over all the same
		r.Log.Warn("worker did not stop cleanly", "run", id, "err", workErr)
	}

	if last, readErr := r.Status(context.WithoutCancel(ctx), id); readErr == nil {
		s = last // what was on the wire has been settled since
	}

	return s, err
}

// A standIn does the work of a worker when there is none.
type standIn struct {
	runs     *Runs
	accounts []string
	began    func()
	working  atomic.Bool
}

// run returns when ctx has ended and its work, if there was any, has stopped.
func (h *standIn) run(ctx context.Context) error {
	t := time.NewTicker(workersEvery)
	defer t.Stop()
	var outage time.Time // when Redis could not be reached last
	for {
		workers, err := h.runs.Ledger.Workers(ctx)
		if err != nil {
			outage = time.Now()
		}

		if len(workers) == 0 && time.Since(outage) >= returnTime {
			return h.work(ctx)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *standIn) work(ctx context.Context) error {
	// The worker that closed these accounts is gone; they are tried again.
	for _, name := range h.accounts {
		err := h.runs.Accounts.Open(ctx, name)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}

	if h.began != nil {
		h.began()
	}

	h.working.Store(true)
	err := h.runs.Work(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}

	return err
}

// Codes of closed accounts.
var (
	// needsPerson are the codes of problems that only a person can solve.
	needsPerson = []codes.Code{
		codes.AccountLogin, codes.AccountSetup, codes.AccountTLS,
		codes.AccountSuspended, codes.AccountSender,
	}
	// unreachable are the codes of a server that does not answer.
	unreachable = []codes.Code{codes.AccountAway, codes.AccountShut}
)

// blocked returns an error of the kind failure.ErrUnreachable when every account is
// closed and none of them can open without a person. A server that has answered for
// a recipient of the run is waited for.
func (h *standIn) blocked(ctx context.Context, s Status) error {
	states, err := h.runs.Accounts.States(ctx, h.accounts...)
	if err != nil || len(states) < len(h.accounts) {
		return nil // Wait itself says what is wrong with Redis
	}

	answered := s.Counts[campaign.Accepted] + s.Counts[campaign.Deferred] + s.Counts[campaign.Bounced] + s.Counts[campaign.Failed]
	var reasons []error
	for _, name := range h.accounts {
		state := states[name]
		code := codes.Code(state.Code)
		if !slices.Contains(needsPerson, code) && (!slices.Contains(unreachable, code) || answered > 0) {
			return nil
		}
		reasons = append(reasons, errors.New(state.Reason))
	}

	return failure.Unreachable(errors.Join(reasons...).Error())
}
