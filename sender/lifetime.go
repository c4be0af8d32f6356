package sender

import (
	"context"
	"sync/atomic"
	"time"
)

// A lifetime is how long a worker works, and how it ends: in two steps, each of
// which is a context. What may as well be left undone is bounded by begin. What
// has begun has to come to its end, and is bounded by finish.
type lifetime struct {
	begin  context.Context // ends first: no work is taken, and no body begun, any more
	finish context.Context // ends a while later: what is still on the wire is abandoned

	stop, abandon context.CancelFunc

	drain, rest time.Duration             // from begin to finish, and from there to over
	over        atomic.Pointer[time.Time] // when the last step has to have ended; nil: it has not begun to end
}

func newLifetime(drain, rest time.Duration) *lifetime {
	l := &lifetime{drain: drain, rest: rest}
	l.begin, l.stop = context.WithCancel(context.Background())
	l.finish, l.abandon = context.WithCancel(context.Background())
	return l
}

// end begins the end. Only the first call does anything.
func (l *lifetime) end() {
	over := time.Now().Add(l.drain + l.rest)
	if l.over.CompareAndSwap(nil, &over) {
		l.stop()
		time.AfterFunc(l.drain, l.abandon)
	}
}

// ending reports whether nothing may be begun any more.
func (l *lifetime) ending() bool { return l.begin.Err() != nil }

// within bounds a step by limit, and by what is left of the lifetime.
func (l *lifetime) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(limit)
	if over := l.over.Load(); over != nil && over.Before(until) {
		until = *over
	}
	return context.WithDeadline(ctx, until)
}

// sleep waits for d or the end of ctx, and reports whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
