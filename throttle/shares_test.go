package throttle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// A crew is some workers that share one account, on a store whose clock the
// test sets. At each step a worker asks for the connections that it wants, until
// it is refused; all do every 250 ms what the pool does about Excess.
type crew struct {
	m       *miniredis.Miniredis
	rdb     *redis.Client
	now     time.Time
	limit   int
	workers []*member
}

// A member is one worker of a crew.
type member struct {
	id    string
	conns *Conns
	held  int
	want  int // how many connections it could use
	dead  bool
}

const step = 125 * time.Millisecond

func newCrew(t testing.TB) *crew {
	c := &crew{m: miniredis.RunT(t)}
	c.rdb = client(t, c.m.Addr())
	return c
}

// begin makes n workers with nothing to do; each has been there for age.
func (c *crew) begin(n, limit int, age time.Duration) {
	c.m.FlushAll()
	c.limit, c.workers = limit, nil
	c.set(time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC))
	for i := range n {
		conns := NewConns(c.rdb, "bs", plain)
		conns.now = func() time.Time { return c.now }
		conns.began = c.now.Add(-age)
		c.workers = append(c.workers, &member{id: fmt.Sprintf("w%d", i), conns: conns})
	}
}

func (c *crew) set(now time.Time) {
	c.now = now
	c.m.SetTime(now)
}

func (c *crew) sum() (n int) {
	for _, w := range c.workers {
		n += w.held
	}
	return n
}

func (c *crew) String() string {
	var b strings.Builder
	for _, w := range c.workers {
		fmt.Fprintf(&b, "%s holds %d and wants %d; ", w.id, w.held, w.want)
	}
	return b.String()
}

// acquire lets a worker ask for one connection.
func (c *crew) acquire(ctx context.Context, w *member) error {
	ok, err := w.conns.Acquire(ctx, "a", w.id, c.limit, len(c.workers))
	if err != nil {
		return err
	}
	if ok {
		w.held++
	}
	if sum := c.sum(); sum > c.limit {
		return fmt.Errorf("%d connections are open, the limit is %d", sum, c.limit)
	}
	return nil
}

// release lets a worker end n of its connections.
func (c *crew) release(ctx context.Context, w *member, n int) error {
	for range n {
		if err := w.conns.Release(ctx, "a", w.id); err != nil {
			return err
		}
		w.held--
	}
	return nil
}

// pass lets d go by: the workers do what they do in the given order.
func (c *crew) pass(ctx context.Context, d time.Duration, order func() []*member) error {
	for end := c.now.Add(d); c.now.Before(end); {
		for _, w := range order() {
			if err := c.turn(ctx, w); err != nil {
				return err
			}
		}
		c.set(c.now.Add(step))
		c.m.FastForward(step)
	}
	return nil
}

// turn is what a worker does in one step.
func (c *crew) turn(ctx context.Context, w *member) error {
	if w.dead {
		return nil
	}
	if w.held > w.want {
		if err := c.release(ctx, w, w.held-w.want); err != nil {
			return err
		}
	}
	if c.now.UnixMilli()%250 == 0 {
		_, excess, err := w.conns.Excess(ctx, "a", w.id, c.limit)
		if err != nil {
			return err
		}
		if err := c.release(ctx, w, excess); err != nil {
			return err
		}
	}
	for held := -1; w.held > held && w.held < w.want; { // until it is refused
		held = w.held
		if err := c.acquire(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// inTurn is the order in which the first worker is always the fastest.
func (c *crew) inTurn() []*member { return c.workers }

// In a run's first seconds the fastest worker takes no more than what the shares
// of the others leave, even before they have asked for a connection. One that dies
// then leaves them to these.
func TestAWorkerThatDiesInARunsFirstSecondsHoldsNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	rapid.Check(t, func(rt *rapid.T) {
		n, limit := rapid.IntRange(2, 4).Draw(rt, "workers"), rapid.IntRange(1, 12).Draw(rt, "limit")
		c.begin(n, limit, time.Hour)
		order := func() []*member { return rapid.Permutation(c.workers).Draw(rt, "order") }
		for _, w := range c.workers { // a slow run was there before
			w.want = rapid.IntRange(0, 1).Draw(rt, "wanted before")
		}
		if err := c.pass(t.Context(), grace+demandGap, order); err != nil {
			rt.Fatal(err)
		}
		first := c.workers[0]
		first.want = limit
		lives := time.Duration(rapid.IntRange(1, int(grace/step)-1).Draw(rt, "steps until it dies")) * step
		for passed := time.Duration(0); passed < lives; passed += step {
			for _, w := range c.workers[1:] {
				w.want = max(w.want, rapid.SampledFrom([]int{0, 0, 0, limit}).Draw(rt, "wants"))
			}
			if err := c.pass(t.Context(), step, order); err != nil {
				rt.Fatal(err)
			}
			if share := limit / n; first.held > limit-(n-1)*share {
				rt.Fatalf("after %s the first of %d workers holds %d of %d connections", passed, n, first.held, limit)
			}
		}
		first.dead = true
		for _, w := range c.workers[1:] {
			w.want = limit
		}
		if err := c.pass(t.Context(), time.Second, order); err != nil {
			rt.Fatal(err)
		}
		c.everybodyHasAShare(rt)
	})
}

// everybodyHasAShare checks that each living worker that wants them has a
// share of the connections; with fewer of them than workers some have none.
func (c *crew) everybodyHasAShare(rt *rapid.T) {
	rt.Helper()
	for _, w := range c.workers {
		if share := min(w.want, c.limit/len(c.workers)); !w.dead && w.held < share {
			rt.Fatalf("%s holds %d of %d connections, its share is %d", w.id, w.held, c.limit, share)
		}
	}
}

// Workers begin and cease to want connections, in any order: a worker that goes on
// wanting them has its share soon, and what the others leave soon after.
func TestModelShares(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	rapid.Check(t, func(rt *rapid.T) {
		n, limit := rapid.IntRange(2, 4).Draw(rt, "workers"), rapid.IntRange(1, 12).Draw(rt, "limit")
		c.begin(n, limit, time.Duration(rapid.IntRange(0, 3).Draw(rt, "age"))*time.Second)
		order := func() []*member { return rapid.Permutation(c.workers).Draw(rt, "order") }
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			w := rapid.SampledFrom(c.workers).Draw(rt, "worker")
			w.want = rapid.IntRange(0, limit).Draw(rt, "wants")
			pause := time.Duration(rapid.IntRange(1, 24).Draw(rt, "steps")) * step
			if err := c.pass(t.Context(), pause, order); err != nil {
				rt.Fatal(err)
			}
		}
		if err := c.pass(t.Context(), time.Second, order); err != nil {
			rt.Fatal(err)
		}
		c.everybodyHasAShare(rt)
		// A refusal is remembered for 5 s, then the grace passes.
		if err := c.pass(t.Context(), 5*time.Second+grace+demandGap, order); err != nil {
			rt.Fatal(err)
		}
		c.everybodyHasAShare(rt)
		wanted := 0
		for _, w := range c.workers {
			wanted += w.want
		}
		if sum := c.sum(); sum < min(wanted, limit) {
			rt.Fatalf("%d connections are open, %d are wanted, the limit is %d: %s", sum, wanted, limit, c)
		}
	})
}

// A worker that is alone has all connections at once, except one in its first two
// seconds: others may begin at the same time, and are not on the list yet.
func TestAWorkerThatIsAloneHasEverything(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit int
		age   time.Duration
		want  []int // at once, after the grace
	}{
		{9, time.Hour, []int{9, 9}},
		{9, 0, []int{8, 9}},
		{2, 0, []int{1, 2}},
		{1, 0, []int{1, 1}},
	} {
		t.Run(fmt.Sprintf("%d, %s old", tt.limit, tt.age), func(t *testing.T) {
			t.Parallel()
			c := newCrew(t)
			c.begin(1, tt.limit, tt.age)
			c.workers[0].want = tt.limit
			got := []int{}
			for _, d := range []time.Duration{step, grace} {
				if err := c.pass(t.Context(), d, c.inTurn); err != nil {
					t.Fatal(err)
				}
				got = append(got, c.workers[0].held)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v connections at once and after %s, want %v", got, grace, tt.want)
			}
		})
	}
}

// The shares of idle workers go to the busy ones after two seconds, come back
// within the next round when they are wanted, and a connection that is replaced
// in the meantime (the server ends it after some messages) is not kept for idle ones again.
func TestSharesOfIdleWorkersGoToTheBusyAndComeBack(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.begin(3, 9, time.Hour)
	busy, late := c.workers[0], c.workers[1]
	busy.want = 9
	after := func(d time.Duration, want ...int) {
		t.Helper()
		if err := c.pass(t.Context(), d, c.inTurn); err != nil {
			t.Fatal(err)
		}
		got := []int{}
		for _, w := range c.workers {
			got = append(got, w.held)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the workers hold %v, want %v", got, want)
		}
	}
	after(grace, 3, 0, 0)
	after(step, 9, 0, 0)
	after(time.Minute, 9, 0, 0)
	if err := c.release(t.Context(), busy, 1); err != nil {
		t.Fatal(err)
	}
	after(step, 9, 0, 0)
	late.want = 9
	after(500*time.Millisecond, 5, 3, 0) // one is kept for the idle worker
	after(grace, 5, 4, 0)
	// A run begins when there was nothing to do: everything as at first.
	busy.want, late.want = 1, 0
	after(time.Minute, 1, 0, 0)
	busy.want = 9
	after(step, 3, 0, 0)
}

// What is kept for a worker that was refused is free two seconds after it was
// granted all that it wanted, although that is less than its share.
func TestNothingIsKeptForAWorkerThatHasWhatItWants(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.begin(2, 8, time.Hour)
	c.workers[0].want = 8
	if err := c.pass(t.Context(), 2*grace, c.inTurn); err != nil {
		t.Fatal(err)
	}
	c.workers[1].want = 3 // it is refused at first
	if err := c.pass(t.Context(), grace+time.Second, c.inTurn); err != nil {
		t.Fatal(err)
	}
	if got := []int{c.workers[0].held, c.workers[1].held}; !slices.Equal(got, []int{5, 3}) {
		t.Errorf("the workers hold %v, want [5 3]", got)
	}
}
