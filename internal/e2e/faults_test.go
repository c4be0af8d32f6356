package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

const pattern = "person%d@example.org"

// TestThreeWorkersSendToEverybodyOnce is the plain case, at some size.
func TestThreeWorkersSendToEverybodyOnce(t *testing.T) {
	t.Parallel()
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 20_000, accounts: account("sink", sink.Addr(), "    limits: {connections: 12}\n")})
	w.endsOnce(w.underWay(3, 0), sink, 20_000, 0)
	stats := sink.Stats()
	if stats["peak_open"] > 12 {
		t.Errorf("%v connections at once, the limit is 12", stats["peak_open"])
	}
	if stats["early"] != 0 {
		t.Errorf("%v bodies did not wait for 354", stats["early"])
	}
}

// TestKilledWorkersLoseNobodyAndSendNobodyTwice kills workers with -9 in the
// middle: first one of three, then all, which are then started again.
func TestKilledWorkersLoseNobodyAndSendNobodyTwice(t *testing.T) {
	t.Parallel()
	const people, connections = 6_000, 9
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), fmt.Sprintf("    limits: {connections: %d}\n", connections))})
	workers := []*testkit.Proc{w.worker(), w.worker(), w.worker()}
	run := w.launch()
	w.until(run, time.Minute, "under way", accepted(people/4))
	workers[0].Kill()
	w.until(run, time.Minute, "going on", accepted(people/2))
	workers[1].Kill()
	workers[2].Kill()
	for range 3 {
		w.worker()
	}
	w.endsOnce(run, sink, people, connections*2) // one for each connection at each kill
}

// TestRedisRestartsInTheMiddle kills Redis with -9; it has written everything
// (appendfsync always), and the run goes on by itself, with no more connections
// than it may have.
func TestRedisRestartsInTheMiddle(t *testing.T) {
	t.Parallel()
	const people = 4_000
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	w := newWorld(t, setup{
		people: people, redis: []string{"--appendonly", "yes", "--appendfsync", "always"},
		accounts: account("sink", sink.Addr(), ""),
	})
	run := w.underWay(2, people/4)
	w.redis.Kill()
	w.redis.Start()
	w.endsOnce(run, sink, people, 20) // one for each connection of both workers
	if n := sink.Stats()["peak_open"]; n > 10 {
		t.Errorf("%v connections at once, the limit is 10 also while Redis is away", n)
	}
}

// TestSIGTERMGivesBackAndLeavesNothingOpen stops a worker in the middle.
func TestSIGTERMGivesBackAndLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	const people = 3_000
	sink := testkit.NewRecsink(t, "-delay", "20ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	p := w.worker()
	run := w.launch()
	w.until(run, time.Minute, "under way", accepted(people/4))
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(25 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.Output())
	}
	d := w.show(run)
	if d.Counts["uncertain"] != 0 || d.Counts["sending"] != 0 {
		t.Errorf("counts %v after a clean stop", d.Counts)
	}
	w.worker()
	w.finished(run, time.Minute)
	w.endsOnce(run, sink, people, 0)
}

// TestPauseResumeCancel does each while messages leave.
func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	const people = 5_000
	sink := testkit.NewRecsink(t, "-delay", "20ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	run := w.underWay(1, 100)
	w.run(0, "run", "pause", run)
	<-time.After(time.Second) // the promise: within a second
	before := sink.Stats()["accepted"]
	<-time.After(time.Second) // in which nothing may come
	if after := sink.Stats()["accepted"]; after != before {
		t.Errorf("%v messages in the second second of a pause", after-before)
	}
	if d := w.show(run); d.State != "paused" {
		t.Errorf("state %s", d.State)
	}
	w.run(0, "run", "resume", run)
	n := int64(before)
	w.until(run, time.Minute, "going on", accepted(n+101))
	w.run(0, "run", "cancel", run)
	d := w.until(run, 5*time.Second, "cancelled", func(d document) bool {
		return d.State == "cancelled" && d.Counts["pending"]+d.Counts["sending"]+d.Counts["deferred"] == 0
	})
	if d.Counts["cancelled"] == 0 || d.Counts["accepted"]+d.Counts["cancelled"] != people {
		t.Errorf("counts %v", d.Counts)
	}
	if got := int64(sink.Stats()["accepted"]); got != d.Counts["accepted"] {
		t.Errorf("%d at the sink, %d accepted", got, d.Counts["accepted"])
	}
}
