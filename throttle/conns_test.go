package throttle

import (
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// The budget against a plain map, through random operations of three workers: the
// limit holds, and what is free is refused only to those who have their share.
func TestModelConns(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		rapid.Check(t, func(rt *rapid.T) {
			if err := rdb.FlushAll(ctx).Err(); err != nil {
				rt.Fatal(err)
			}
			workers := []string{"w1", "w2", "w3"}
			procs := map[string]*Conns{}
			for _, w := range workers {
				procs[w] = NewConns(rdb, "bs", lua)
			}
			model := map[string]int{}
			worker := rapid.SampledFrom(workers)
			const limit = 5
			rt.Repeat(map[string]func(*rapid.T){
				"acquire": func(rt *rapid.T) {
					w, sum := worker.Draw(rt, "worker"), 0
					for n := range maps.Values(model) {
						sum += n
					}
					got, err := procs[w].Acquire(ctx, "a", w, limit, len(workers))
					if err != nil {
						rt.Fatal(err)
					}
					if got && sum == limit {
						rt.Fatalf("got a connection with %d open", sum)
					}
					if !got && sum < limit && model[w] < limit/len(workers) {
						rt.Fatalf("refused with %d open and %d held, which is less than a share", sum, model[w])
					}
					if got {
						model[w]++
					}
				},
				"release": func(rt *rapid.T) {
					w := worker.Draw(rt, "worker")
					if err := procs[w].Release(ctx, "a", w); err != nil {
						rt.Fatal(err)
					}
					model[w] = max(model[w]-1, 0)
				},
				"worker found dead": func(rt *rapid.T) {
					w := worker.Draw(rt, "worker")
					if err := procs[workers[0]].Forget(ctx, w, "a", "b"); err != nil {
						rt.Fatal(err)
					}
					procs[w] = NewConns(rdb, "bs", lua)
					delete(model, w)
				},
				"taken off, goes on under a new id": func(rt *rapid.T) {
					w := worker.Draw(rt, "worker")
					if err := procs[w].Forget(ctx, w, "a", "b"); err != nil {
						rt.Fatal(err)
					}
					if err := procs[w].Restore(ctx, w+"x", "a", "b"); err != nil {
						rt.Fatal(err)
					}
					if err := procs[w].Restore(ctx, w, "a", "b"); err != nil { // and back, for the model
						rt.Fatal(err)
					}
				},
				"redis forgot everything": func(rt *rapid.T) {
					if err := rdb.FlushAll(ctx).Err(); err != nil {
						rt.Fatal(err)
					}
					for w := range model {
						if err := procs[w].Restore(ctx, w, "a"); err != nil {
							rt.Fatal(err)
						}
					}
				},
				"": func(rt *rapid.T) {
					got, err := procs["w1"].Counts(ctx, "a")
					if err != nil {
						rt.Fatal(err)
					}
					want := maps.Clone(model)
					maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
					if diff := cmp.Diff(want, got); diff != "" {
						rt.Fatalf("counts (-want +got):\n%s", diff)
					}
				},
			})
		})
	})
}

func TestConnsInOneProcess(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx, c := t.Context(), aged(NewConns(rdb, "bs", lua))
		var granted atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				ok, err := c.Acquire(ctx, "a", "w", 7, 1)
				if err != nil {
					t.Error(err)
				}
				if ok {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		if got := granted.Load(); got != 7 {
			t.Errorf("got %d connections, want 7", got)
		}
		if got, excess, err := c.Excess(ctx, "a", "w", 7); err != nil || got || excess != 0 {
			t.Errorf("got wanted %v, excess %v, error %v, want neither: no other worker was refused", got, excess, err)
		}
		if ttl := rdb.PTTL(ctx, "bs:{acct:a}:requests").Val(); ttl <= 0 || ttl > 5*time.Second {
			t.Errorf("the requests live for %v, want 5 s", ttl)
		}
		if ok, err := c.Acquire(ctx, "a", "w", 0, 1); err != nil || !ok {
			t.Errorf("no limit: got %v, error %v, want true", ok, err)
		}
	})
}

// aged makes a process that has been there for a while.
func aged(c *Conns) *Conns {
	c.began = c.began.Add(-grace)
	return c
}

func TestCountMendsItself(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx, c := t.Context(), NewConns(rdb, "bs", lua)
		if _, err := c.Acquire(ctx, "a", "w", 5, 1); err != nil {
			t.Fatal(err)
		}
		// What a reply that was lost, or a write of another life, leaves behind.
		if err := rdb.HSet(ctx, "bs:{acct:a}:conns", "w", 4).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Restore(ctx, "w", "a"); err != nil {
			t.Fatal(err)
		}
		got, err := c.Counts(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"w": 1}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// TestCountsHoldWhileTheyAreRestored restores them, under two ids, in the middle
// of connections that come and go: Redis is told what is true, not what was true
// a moment ago.
func TestCountsHoldWhileTheyAreRestored(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx, c := t.Context(), NewConns(rdb, "bs", lua)
		var id atomic.Value
		id.Store("w0")
		name := func() string { return id.Load().(string) }
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for n := range 30 {
					if ok, err := c.Acquire(ctx, "a", name(), 0, 1); err != nil || !ok {
						t.Errorf("acquire: %v, %v", ok, err)
					}
					if n == 29 {
						return // the last one stays
					}
					if err := c.Release(ctx, "a", name()); err != nil {
						t.Errorf("release: %v", err)
					}
				}
			})
		}
		for n := range 20 {
			old := name()
			if n%2 == 1 {
				id.Store("w" + string('0'+byte(n/2)))
				if err := c.Forget(ctx, old, "a", "b"); err != nil {
					t.Errorf("forget: %v", err)
				}
			}
			if err := c.Restore(ctx, name(), "a", "b"); err != nil {
				t.Errorf("restore: %v", err)
			}
		}
		wg.Wait()
		if err := c.Restore(ctx, name(), "a"); err != nil {
			t.Errorf("restore: %v", err)
		}
		got, err := c.Counts(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{name(): 8}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}
