package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// A hold is the right to expand a run, or to make runs that are linked to it.
// It is economy: of two expansions of a run the first that is ready wins.
type hold struct {
	a          *App
	id, holder string
	stop       context.CancelFunc
	done       chan struct{}
}

// errBusy: another process has the right.
var errBusy = errors.New("another process is at it")

// hold takes the right and keeps it until it is let go; ErrRefused when another
// process has it.
func (a *App) hold(ctx context.Context, id, what string) (*hold, error) {
	h := &hold{a: a, id: id, holder: rand.Text(), done: make(chan struct{})}
	held, err := h.held(ctx)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, failure.New(ErrRefused, fmt.Sprintf("run %s is being %s right now by another process", id, what), errBusy)
	}
	renewing, stop := context.WithCancel(ctx)
	h.stop = stop
	go func() {
		defer close(h.done)
		t := time.NewTicker(ledger.ExpansionLease / 4)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				_, _ = h.held(renewing) // what is lost is seen when it counts
			case <-renewing.Done():
				return
			}
		}
	}()
	return h, nil
}

// held renews the right and reports whether it is still ours.
func (h *hold) held(ctx context.Context) (bool, error) {
	return h.a.Ledger.Expanding(ctx, h.id, h.holder, ledger.ExpansionLease)
}

// letGo gives the right up: what came to nothing may be repeated at once.
func (h *hold) letGo(ctx context.Context) {
	h.stop()
	<-h.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = h.a.Ledger.Expanding(ctx, h.id, h.holder, 0) // else it runs out by itself
}
