package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign/ledger"
	"broadside/internal/outage"
)

const (
	// giveBackEvery is how long recipients wait for others that are given back too.
	giveBackEvery = 20 * time.Millisecond
	// maxGiveBack is how many recipients one script gives back.
	maxGiveBack = 500
)

// giveBacks collects the recipients that are given back, and returns them to the
// ledger in batches. While Redis is away they wait. None is lost if they never
// arrive: the feeder issues a recipient again when no worker has ended it.
type giveBacks struct {
	line *ledger.Line
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[giveBackKey][]int
	kick    chan struct{}
}

type giveBackKey struct {
	run   *ledger.Run
	part  int
	delay time.Duration
}

func newGiveBacks(line *ledger.Line, log *slog.Logger) *giveBacks {
	return &giveBacks{line: line, log: log, waiting: map[giveBackKey][]int{}, kick: make(chan struct{}, 1)}
}

// add gives a recipient back, not to be issued again before delay.
func (g *giveBacks) add(ref ledger.Ref, delay time.Duration) {
	delay = max(0, delay.Round(time.Second))
	g.mu.Lock()
	k := giveBackKey{ref.Run, ref.Part, delay}
	g.waiting[k] = append(g.waiting[k], ref.Index)
	g.mu.Unlock()
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// run flushes until ctx ends.
func (g *giveBacks) run(ctx context.Context) {
	notice := outage.NewNotice(g.log, "recipients cannot be given back now", "recipients are given back again")
	for {
		select {
		case <-g.kick:
		case <-ctx.Done():
			return
		}
		sleep(ctx, giveBackEvery)
		err := g.flush(ctx)
		if ctx.Err() != nil {
			return
		}
		notice.Note(err)
		if err != nil {
			sleep(ctx, settleRest)
		}
	}
}

// flush returns to the ledger what is waiting. What cannot be returned waits on.
func (g *giveBacks) flush(ctx context.Context) error {
	g.mu.Lock()
	all := g.waiting
	g.waiting = map[giveBackKey][]int{}
	g.mu.Unlock()
	var failed error
	for k, indexes := range all {
		for len(indexes) > 0 && failed == nil {
			some := indexes[:min(maxGiveBack, len(indexes))]
			if failed = g.line.GiveBack(ctx, k.run, k.part, some, k.delay); failed == nil {
				indexes = indexes[len(some):]
			}
		}
		if len(indexes) > 0 {
			g.mu.Lock()
			g.waiting[k] = append(g.waiting[k], indexes...)
			g.mu.Unlock()
		}
	}

	if failed != nil {
		select {
		case g.kick <- struct{}{}:
		default:
		}
	}

	return failed
}
