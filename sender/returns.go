package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign/ledger"
	"broadside/internal/outage"
)

// returnsEvery is how long give-backs wait for company.
const returnsEvery = 20 * time.Millisecond

// maxReturns is how many recipients one script gives back.
const maxReturns = 500

// returns collects recipients that are given back, and tells the ledger in
// batches. While Redis is away they wait; it is no loss if they never arrive:
// the feeder issues again whom nobody has been heard of.
type returns struct {
	line *ledger.Line
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[returnKey][]int
	kick    chan struct{}
}

type returnKey struct {
	run   *ledger.Run
	part  int
	delay time.Duration
}

func newReturns(line *ledger.Line, log *slog.Logger) *returns {
	return &returns{line: line, log: log, waiting: map[returnKey][]int{}, kick: make(chan struct{}, 1)}
}

// add gives a recipient back, not to be issued again before delay.
func (r *returns) add(ref ledger.Ref, delay time.Duration) {
	delay = max(0, delay.Round(time.Second))
	r.mu.Lock()
	k := returnKey{ref.Run, ref.Part, delay}
	r.waiting[k] = append(r.waiting[k], ref.Index)
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// run flushes until ctx ends.
func (r *returns) run(ctx context.Context) {
	notice := outage.NewNotice(r.log, "recipients cannot be given back now", "recipients are given back again")
	for {
		select {
		case <-r.kick:
		case <-ctx.Done():
			return
		}
		sleep(ctx, returnsEvery)
		err := r.flush(ctx)
		if ctx.Err() != nil {
			return
		}
		notice.Note(err)
		if err != nil {
			sleep(ctx, settleRest)
		}
	}
}

// flush tells the ledger what is waiting. What could not be told waits on.
func (r *returns) flush(ctx context.Context) error {
	r.mu.Lock()
	all := r.waiting
	r.waiting = map[returnKey][]int{}
	r.mu.Unlock()
	var failed error
	for k, indexes := range all {
		for len(indexes) > 0 && failed == nil {
			some := indexes[:min(maxReturns, len(indexes))]
			if failed = r.line.GiveBack(ctx, k.run, k.part, some, k.delay); failed == nil {
				indexes = indexes[len(some):]
			}
		}
		if len(indexes) > 0 {
			r.mu.Lock()
			r.waiting[k] = append(r.waiting[k], indexes...)
			r.mu.Unlock()
		}
	}
	if failed != nil {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
	return failed
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
