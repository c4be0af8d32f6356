package e2e

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

const (
	longConnections = 40
	longEvery       = 20 * time.Second
	longLimit       = 10 * time.Minute
)

// longView sends one large campaign, and until it is done something is ended
// every 20 s: mostly a worker, sometimes all of them, or Redis.
func longView(t *testing.T, seed uint64, people int) {
	c := &trial{people: people, rnd: rand.New(rand.NewPCG(seed, 0)), what: "long view"}
	c.sink = testkit.NewRecsink(t)
	c.world = newWorld(t, setup{
		people: people, redis: everysec, bin: testkit.BuildFaulty(t),
		accounts: account("sink", c.sink.Addr(), fmt.Sprintf("    limits: {connections: %d}\n", longConnections)),
		delivery: "  retry: [1s, 1s, 2s]\n  max_attempts: 15\n",
	})
	c.workers = c.start(chaosWorkers)
	begun := time.Now()
	c.run = c.launch()
	t.Logf("%d recipients, launched within %s", people, time.Since(begun).Round(100*time.Millisecond))
	kills := 0
	d := c.show(c.run)
	for begun = time.Now(); d.State != "finished"; d = c.show(c.run) {
		if time.Since(begun) > longLimit {
			t.Fatalf("not finished within %s: %+v", longLimit, d)
		}
		if time.Since(begun) < time.Duration(kills+1)*longEvery {
			c.sleep(time.Second)
			continue
		}
		kills++
		t.Logf("%4.0f s: %7d at the sink; %s", time.Since(begun).Seconds(), c.sink.Count(), c.endSomething())
	}
	took := time.Since(begun)
	c.allowed = kills * longConnections
	v := c.compare(d)
	t.Logf("%d recipients in %s with %d kills, seed %d: lost %d, twice %d, uncertain %d (at most %d)",
		people, took.Round(time.Second), kills, seed, v.lost, v.twice, v.uncertain, v.allowed)
}

// endSomething ends a process at random, starts it again and says what it was.
func (c *trial) endSomething() string {
	replace := func(i int) {
		c.workers[i] = c.process(nil, "worker") // at once: it starts while others send
	}
	i := c.rnd.IntN(len(c.workers))
	switch n := c.rnd.IntN(10); {
	case n < 5:
		c.workers[i].Kill()
		replace(i)
		return fmt.Sprintf("kill -9 of worker %d", i)
	case n < 6:
		c.workers[i].Signal(syscall.SIGTERM)
		c.exits(c.workers[i], "worker")
		replace(i)
		return fmt.Sprintf("SIGTERM of worker %d", i)
	case n < 7:
		for i := range c.workers {
			c.workers[i].Kill()
			replace(i)
		}
		return "kill -9 of all workers"
	default:
		c.redis.Kill()
		c.redis.Start()
		return "kill -9 of redis"
	}
}
