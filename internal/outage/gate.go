package outage

import (
	"context"
	"sync"
	"time"
)

// rest is the shortest time from a failure to the next try.
const rest = time.Second

// A Gate stands in front of something that may be away. A failure shuts it; then
// one caller a second may try, and the first success opens it for all. It is
// safe for concurrent use.
type Gate struct {
	notice *Notice

	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens; nil while it is open; guarded by mu
	next   time.Time     // of the next try; guarded by mu
}

// NewGate returns an open gate. What Tell is told goes to notice too.
func NewGate(notice *Notice) *Gate { return &Gate{notice: notice} }

// Try waits until the gate is open, or until it is the caller's turn to try; Tell
// should follow. Its error is that of ctx.
func (g *Gate) Try(ctx context.Context) error {
	for {
		g.mu.Lock()
		opened, wait := g.opened, time.Until(g.next)
		if opened != nil && wait <= 0 {
			g.next = time.Now().Add(rest) // the others wait for this one
		}
		g.mu.Unlock()
		if opened == nil || wait <= 0 {
			return context.Cause(ctx)
		}

		select {
		case <-opened:
		case <-time.After(wait):
		case <-ctx.Done():
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// Pass waits until the gate is open. Its error is that of ctx.
func (g *Gate) Pass(ctx context.Context) error {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		select {
		case <-opened:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// Tell says how a try went; nil is a success.
func (g *Gate) Tell(err error) {
	g.mu.Lock()
	switch {
	case err == nil && g.opened != nil:
		close(g.opened)
		g.opened = nil
	case err != nil && g.opened == nil:
		g.opened = make(chan struct{})
		fallthrough
	case err != nil:
		g.next = time.Now().Add(rest)
	}
	g.mu.Unlock()
	g.notice.Note(err)
}
