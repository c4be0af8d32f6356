package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/presence"
	"broadside/internal/report"
)

// helpEvery is how often an attendant looks whether a worker is alive.
const helpEvery = time.Second

// An Attendance says how a run is attended.
type Attendance struct {
	Timeout time.Duration // 0: none
	Seen    func(Status)  // told each status; may be nil
	Alone   func()        // told once when this process begins to do the work; may be nil
}

// Attend waits for a run as Wait does, and does the work itself as soon as no
// worker is alive. Beside Wait's errors: ErrTimeout when the time is over;
// ErrUnreachable when this process does the work and every account of the run
// closed because of its login, its TLS or a server that cannot be reached. In
// each case the run stays as it is.
func (a *App) Attend(ctx context.Context, id string, o Attendance) (Status, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return Status{}, err
	}
	if rec.State.Over() && !rec.Finished.IsZero() {
		return a.Wait(ctx, id, o.Seen) // nothing is left to do
	}
	waiting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if o.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(waiting, o.Timeout, fmt.Errorf("run %s: %w after %s", id, failure.ErrTimeout, o.Timeout))
		defer cancel()
		waiting = limited
	}
	h := &helper{a: a, accounts: rec.Accounts, began: o.Alone}
	working, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		err := h.run(working)
		if err != nil {
			giveUp(err)
		}
		done <- err
	}()
	s, err := a.Wait(waiting, id, func(s Status) {
		// Where no worker is alive this process is about to be one.
		s.Waiting = slices.DeleteFunc(slices.Clone(s.Waiting), func(w report.Wait) bool { return w.For == report.ForWorker })
		if o.Seen != nil {
			o.Seen(s)
		}
		if h.alone.Load() {
			if err := h.blocked(waiting, s); err != nil {
				giveUp(err)
			}
		}
	})
	if err != nil && waiting.Err() != nil && !errors.Is(err, ErrRefused) {
		err = context.Cause(waiting)
	}
	stop()
	if helpErr := <-done; helpErr != nil && err == nil {
		a.log.Warn("work was not put down in order", "err", helpErr) // but the run is over
	}
	if last, readErr := a.Status(context.WithoutCancel(ctx), id); readErr == nil {
		s = last // what was on the wire has been settled since
	}
	return s, err
}

// A helper does the work of a worker when there is none.
type helper struct {
	a        *App
	accounts []string
	began    func()
	alone    atomic.Bool // it does the work
}

// run returns when ctx has ended and the work, if any, has been put down.
func (h *helper) run(ctx context.Context) error {
	t := time.NewTicker(helpEvery)
	defer t.Stop()
	var away time.Time // Redis could not be reached then
	for {
		alive, err := h.a.Ledger.Workers(ctx)
		if err != nil {
			away = time.Now()
		}
		if len(alive) == 0 && time.Since(away) >= returnWithin {
			return h.work(ctx)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *helper) work(ctx context.Context) error {
	// Whoever closed these accounts is gone; they are tried anew.
	for _, name := range h.accounts {
		if err := h.a.Accounts.Open(ctx, name); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	if h.began != nil {
		h.began()
	}
	h.alone.Store(true)
	if err := h.a.workAs(ctx, presence.Launch); err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		return err
	}
	return nil
}

// Codes of closed accounts that only a person can do something about, and those
// of a server that is not there.
var (
	needsPerson = []campaign.Code{
		campaign.CodeAccountLogin, campaign.CodeAccountSetup, campaign.CodeAccountTLS,
		campaign.CodeAccountSuspended, campaign.CodeAccountSender,
	}
	notThere = []campaign.Code{campaign.CodeAccountAway, campaign.CodeAccountShut}
)

// blocked returns ErrUnreachable when there is no way out left that could
// open without a person. A server that has taken a message is waited for.
func (h *helper) blocked(ctx context.Context, s Status) error {
	states, err := h.a.Accounts.States(ctx, h.accounts...)
	if err != nil || len(states) < len(h.accounts) {
		return nil // the wait itself tells what is wrong with the store
	}
	heard := s.Counts[campaign.Accepted] + s.Counts[campaign.Deferred] + s.Counts[campaign.Bounced] + s.Counts[campaign.Failed]
	var errs []error
	for _, name := range h.accounts {
		state := states[name]
		code := campaign.Code(state.Code)
		if !slices.Contains(needsPerson, code) && (!slices.Contains(notThere, code) || heard > 0) {
			return nil
		}
		errs = append(errs, errors.New(state.Reason))
	}
	return unreachable(errors.Join(errs...).Error())
}

// WorkerAlive reports whether any worker process is alive.
func (a *App) WorkerAlive(ctx context.Context) (bool, error) {
	alive, err := a.Ledger.Workers(ctx)
	return len(alive) > 0, err
}

// LaunchedBefore returns the run that keeps a campaign without cron from
// being launched again; empty when there is none.
func (a *App) LaunchedBefore(ctx context.Context, name string) (string, error) {
	return a.standing(ctx, campaign.OnceCampaign(name))
}

// standing returns the run that a name stands for, unless it failed.
func (a *App) standing(ctx context.Context, once string) (string, error) {
	id, err := a.Ledger.Named(ctx, once)
	if err != nil || id == "" {
		return "", err
	}
	switch rec, err := a.Ledger.Record(ctx, id); {
	case ledger.Gone(err):
		return id, nil
	case err != nil:
		return "", err
	case rec.State == campaign.RunFailed:
		return "", nil
	}
	return id, nil
}
