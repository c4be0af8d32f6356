package scheduler

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// errBusy: another process has the lease.
var errBusy = errors.New("another process has the lease")

// A Lease is the right to expand a run, or to make runs that are linked to it. It saves
// work and protects nothing: of two expansions of a run the first that is ready wins.
type Lease struct {
	m          *Maker
	id, holder string
	stop       context.CancelFunc
	done       chan struct{}
}

// Lease takes the right and renews it until it is released. The error is a
// failure.ErrRefused when another process has it; done is what that process does
// with the run.
func (m *Maker) Lease(ctx context.Context, id, done string) (*Lease, error) {
	l := &Lease{m: m, id: id, holder: rand.Text(), done: make(chan struct{})}
	held, err := l.Held(ctx)
	if err != nil {
		return nil, err
	}

	if !held {
		return nil, failure.New(failure.ErrRefused, fmt.Sprintf("run %s is being %s right now by another process", id, done), errBusy)
	}

	renewing, stop := context.WithCancel(ctx)
	l.stop = stop
	go l.renew(renewing)

	return l, nil
}

func (l *Lease) renew(ctx context.Context) {
	defer close(l.done)
	t := time.NewTicker(ledger.ExpansionLease / 4)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_, _ = l.Held(ctx) // a lease that is lost is noticed when it matters
		case <-ctx.Done():
			return
		}
	}
}

// Held renews the lease and reports whether this process still has it.
func (l *Lease) Held(ctx context.Context) (bool, error) {
	return l.m.Ledger.Expanding(ctx, l.id, l.holder, ledger.ExpansionLease)
}

// Release gives the lease up, so that a failed attempt can be repeated at once.
func (l *Lease) Release(ctx context.Context) {
	l.stop()
	<-l.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = l.m.Ledger.Expanding(ctx, l.id, l.holder, 0) // else it runs out by itself
}
