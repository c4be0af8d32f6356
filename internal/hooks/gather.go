package hooks

import (
	"context"
	"errors"
	"sync"

	"broadside/campaign"
)

const (
	maxStores    = 2      // ways to the store that are used at once
	maxTogether  = 500    // notices that are stored together, if they are not of one request
	maxGathering = 10_000 // notices that wait to be stored, if they are not of one request
	maxAlone     = 64     // requests whose notices are stored by themselves at once, after a failure
)

var (
	errBusy     = errors.New("more events at once than can be stored")
	errUnstored = errors.New("what was stored together has failed")
)

// A gatherer stores together what requests say that come at the same time: a provider
// with one event in each request then costs the store a few round trips for many
// requests, and not for each. Record returns nil only when what it was given is stored.
//
// While all ways to the store are in use, requests wait. When one is free, the last of those
// that go together stores for all of them, as it has most time left: there is no goroutine
// but those of requests. What failed together is stored by each request alone, so that no
// event keeps those of others from being stored.
type gatherer struct {
	recorder Recorder
	alone    chan struct{} // one for each request that stores its notices after a failure

	mu      sync.Mutex
	used    int       // ways to the store; guarded by mu, like all below
	waiting []*waiter // in the order in which they came; empty while a way is free
	notices int       // of those that wait
}

// A waiter is a request whose notices are to be stored.
type waiter struct {
	notices []campaign.Notice
	told    chan verdict // gets one, once the waiter is not waiting any more
}

// A verdict says what became of a waiter.
type verdict struct {
	together []*waiter // it is to store these, of which it is the last
	err      error     // otherwise: what became of it where another one stored it
}

func newGatherer(r Recorder) *gatherer {
	return &gatherer{recorder: r, alone: make(chan struct{}, maxAlone)}
}

// Record stores notices.
func (g *gatherer) Record(ctx context.Context, notices []campaign.Notice) error {
	w := &waiter{notices, make(chan verdict, 1)}
	if err := g.enter(w); err != nil {
		return err
	}

	var v verdict
	select {
	case v = <-w.told:
	case <-ctx.Done():
		if g.leave(w) {
			return context.Cause(ctx)
		}
		// It was called in the same moment, and others may count on it; or another
		// one stores it, which need not be waited for.
		select {
		case v = <-w.told:
		default:
			return context.Cause(ctx)
		}
	}

	err := v.err
	if v.together != nil {
		err = g.store(ctx, v.together)
	}
	if errors.Is(err, errUnstored) {
		return g.storeAlone(ctx, notices)
	}
	return err
}

// storeAlone stores what one request says. Many may have failed together: some at a time.
func (g *gatherer) storeAlone(ctx context.Context, notices []campaign.Notice) error {
	select {
	case g.alone <- struct{}{}:
		defer func() { <-g.alone }()
		return g.recorder.Record(ctx, notices)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter lets a request wait, or gives it a way to the store at once.
func (g *gatherer) enter(w *waiter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 && g.notices+len(w.notices) > maxGathering {
		return errBusy
	}

	g.waiting = append(g.waiting, w)
	g.notices += len(w.notices)

	if g.used < maxStores {
		g.used++
		g.call()
	}
	return nil
}

// leave takes back a request that does not wait any longer, unless it was called.
func (g *gatherer) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.notices -= len(w.notices)
			return true
		}
	}
	return false
}

// call gives a way to the store to those that have waited longest, or gives it up when
// there are none; g.mu is held.
func (g *gatherer) call() {
	n, notices := 0, 0
	for n < len(g.waiting) && (n == 0 || notices+len(g.waiting[n].notices) <= maxTogether) {
		notices += len(g.waiting[n].notices)
		n++
	}
	if n == 0 {
		g.used--
		return
	}

	together := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.notices -= notices

	together[n-1].told <- verdict{together: together}
}

// store stores what requests say and tells all but the last of them what became of it.
// It does not end when the client of that one is gone, but when its time is over.
func (g *gatherer) store(ctx context.Context, together []*waiter) error {
	err := errUnstored
	defer func() { // also after a panic
		g.mu.Lock()
		g.call()
		g.mu.Unlock()

		for _, w := range together[:len(together)-1] {
			w.told <- verdict{err: err}
		}
	}()

	if len(together) == 1 {
		err = g.recorder.Record(ctx, together[0].notices)
		return err
	}

	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
	}

	var all []campaign.Notice
	for _, w := range together {
		all = append(all, w.notices...)
	}

	if failed := g.recorder.Record(ctx, all); failed == nil {
		err = nil
	}
	return err
}
