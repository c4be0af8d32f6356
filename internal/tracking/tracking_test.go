package tracking_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/ledger"
	"broadside/campaign/token"
	"broadside/internal/testkit"
	"broadside/internal/tracking"
)

// runs is a ledger that adds up hits, and holds the clicks that it is told to.
type runs struct {
	mu    sync.Mutex
	hits  map[string]int
	calls int
	lists int
	held  int64
	err   error
}

func (r *runs) List(context.Context, string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists++
	return []string{"news-2", "news-1"}, r.err
}

func (r *runs) Record(_ context.Context, id string) (*ledger.Record, error) {
	if id == "news-1" {
		return nil, ledger.ErrNoRun
	}
	return &ledger.Record{ID: id, Attempt: "a"}, nil
}

func (r *runs) CountHits(_ context.Context, run *ledger.Run, hits []ledger.Hit, _ time.Time) (int64, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.err != nil {
		return 0, 0, r.err
	}
	if r.hits == nil {
		r.hits = map[string]int{}
	}
	r.hits[run.ID] += len(hits)
	return r.held, len(hits), nil
}

func (r *runs) set(held int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
	r.err = err
}

func (r *runs) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]int{}
	for id, n := range r.hits {
		all[id] = n
	}
	return all
}

func visit(run string) tracking.Visit {
	return tracking.Visit{Reader: token.Reader{Ref: token.Ref(run), Sent: time.Now().Add(-time.Hour)}, Agent: chrome, At: time.Now()}
}

// started runs a counter in a bubble, until stop.
func started(t *testing.T, l *runs, log *testkit.Log) (c *tracking.Counter, stop func()) {
	t.Helper()
	c = tracking.New(l, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return c, func() { cancel(); <-done }
}

func TestVisitsAreCountedWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &runs{}
		c, stop := started(t, l, &testkit.Log{})
		for range 3 {
			c.Count(visit("news-2"))
		}
		c.Count(visit("news-1")) // it is gone
		c.Count(visit(""))       // a test copy
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{"news-2": 3}, l.counted()); diff != "" {
			t.Errorf("after a second (-want +got):\n%s", diff)
		}

		c.Count(visit("news-2"))
		stop()
		if diff := cmp.Diff(map[string]int{"news-2": 4}, l.counted()); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
	})
}

// A run with clicks that are held is asked again until they are judged; another is left
// alone, and the list of runs is not read for every visit of a run that is gone.
func TestHeldClicksAreJudgedWithoutVisits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &runs{held: 1}
		c, stop := started(t, l, &testkit.Log{})
		c.Count(visit("news-2"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		l.set(0, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if l.calls < 5 {
			t.Errorf("asked %d times in six seconds, want every second", l.calls)
		}

		calls := l.calls
		lists := l.lists
		for range 20 {
			c.Count(visit("news-1"))
			time.Sleep(time.Second)
		}
		stop()
		if l.calls != calls || l.lists > lists+1 {
			t.Errorf("asked %d times more, and for the list %d times, when nothing is held", l.calls-calls, l.lists-lists)
		}
	})
}

func TestWhileRedisIsAwayVisitsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &testkit.Log{}
		l := &runs{err: errors.New("away")}
		c, stop := started(t, l, log)
		for range 30 {
			for range 1000 {
				c.Count(visit("news-2"))
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		l.set(0, nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		c.Count(visit("news-2"))
		stop()
		if got := l.counted()["news-2"]; got != 20_001 {
			t.Errorf("counted %d of 30,001, want the 20,000 that there is room for, and the last one", got)
		}
		said := log.String()
		if strings.Count(said, "cannot be counted") != 1 || strings.Count(said, "counted again") != 1 || strings.Contains(said, "@") {
			t.Errorf("the log says it more than once, or not:\n%s", said)
		}
	})
}
