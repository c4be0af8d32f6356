package queue

import (
	"context"
	"sync"
	"time"
)

const (
	// pollEvery is the mean time between two questions of a server that found
	// no task. asynq varies it by half, so a task waits 40 ms at most.
	pollEvery = 26 * time.Millisecond
	// highEvery is the same for runs of high priority, which mostly have no task, and
	// leftEvery for shards that are not configured any more.
	highEvery = 50 * time.Millisecond
	leftEvery = time.Second
	// wakePause is how long a server that was woken rests before each task, for wakeTime:
	// by then the servers of other processes, which look again every highEvery, have their
	// part of what came.
	wakePause = 10 * time.Millisecond
	wakeTime  = 2 * highEvery
	// lullAfter is how long no task must have come before only one server asks. It is
	// more than what a feeder rests between two looks at a run.
	lullAfter = 500 * time.Millisecond
)

// A lull is the time in which no tasks come: asynq's servers all ask again and
// again, which costs them and Redis as much as real work. In a lull one does
// for all, and the first task that it finds sends the others on their way.
type lull struct {
	gentle bool // after it tasks are taken slowly at first, so that other processes get some

	mu    sync.Mutex
	last  time.Time     // when a task came; guarded by mu, like all below
	woken time.Time     // when the latest lull ended
	asks  *gated        // the server that asks in this lull; nil: there is none
	ended chan struct{} // closed at the end of this lull
}

// wait lets g ask at once, unless there is a lull in which another asks.
// The one that asks always comes back: it holds the room for the task that it did
// not find. The error is that of ctx.
func (l *lull) wait(ctx context.Context, g *gated) error {
	l.mu.Lock()
	if l.asks == nil && time.Since(l.last) >= lullAfter {
		l.asks, l.ended = g, make(chan struct{})
	}
	asks, ended := l.asks, l.ended
	waking := l.gentle && asks == nil && time.Since(l.woken) < wakeTime
	l.mu.Unlock()

	var rest <-chan time.Time
	switch {
	case asks != nil && asks != g: // another asks
	case waking:
		rest = time.After(wakePause)
	default:
		return context.Cause(ctx)
	}
	select {
	case <-ended:
	case <-rest:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// end says that a task came.
func (l *lull) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	if l.asks != nil {
		close(l.ended)
		l.ended = nil
		l.asks = nil
		l.woken = l.last
	}
}
