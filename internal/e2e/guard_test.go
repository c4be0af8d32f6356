package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// pausedAt returns when a process said that a guard has paused the run.
func pausedAt(t *testing.T, p *testkit.Proc, n int) time.Time {
	t.Helper()
	line := p.WaitLines(`"msg":"run paused by a guard"`, n, 20*time.Second)
	var said struct {
		Time time.Time `json:"time"`
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatalf("read %q: %v", line, err)
	}
	return said.Time
}

func tried(d document) int64 {
	return d.Counts["accepted"] + d.Counts["bounced"] + d.Counts["failed"] + d.Counts["uncertain"] + d.Counts["deferred"]
}

// TestARunThatBouncesPausesItself: one in ten addresses does not exist. What
// leaves after the pause is what was claimed before it, at most one message for
// each connection.
func TestARunThatBouncesPausesItself(t *testing.T) {
	t.Parallel()
	const people, connections = 5_000, 10
	sink := testkit.NewRecsink(t, "-perm", "*=10", "-delay", "5ms")
	w := newWorld(t, setup{
		people: people, accounts: account("sink", sink.Addr(), "    limits: {connections: 10}\n") + noStorm,
		delivery: "  retry: [1h]\nguard: {max_bounce_rate: 5%}\n",
	})
	p := w.worker()
	_, stderr := w.run(6, "campaign", "launch", "campaign.yaml", "--wait")
	if !strings.Contains(stderr, "is paused: BS-GUARD-BOUNCE: ") || !strings.Contains(stderr, "broadside explain BS-GUARD-BOUNCE") {
		t.Errorf("it says %q", stderr)
	}
	run := w.only()
	d := w.until(run, 30*time.Second, "at rest", func(d document) bool { return d.Counts["sending"] == 0 })
	if d.State != "paused" || !strings.HasPrefix(d.Reason, "BS-GUARD-BOUNCE: ") || !strings.HasSuffix(d.Reason, "bounced (limit 5%)") {
		t.Errorf("%s: %q", d.State, d.Reason)
	}
	at := pausedAt(t, p, 1)
	var late, lateBounces int
	for _, r := range sink.Records() {
		switch {
		case r.Kind == 'A' && r.At.After(at):
			late++
		case r.Kind == 'P' && r.At.After(at.Add(time.Second)):
			lateBounces++
		}
	}
	if late > connections || lateBounces > 0 {
		t.Errorf("%d messages after the pause, %d bounces a second after it", late, lateBounces)
	}
	t.Logf("%d of %d tried, %d messages after the pause", tried(d), people, late)
	if n := tried(d); n > people/2 {
		t.Errorf("%d were tried before the pause", n)
	}

	// A person goes on: a hundred more must be tried before it can pause again.
	w.run(0, "run", "resume", run)
	pausedAt(t, p, 2)
	again := w.until(run, 30*time.Second, "at rest", func(d document) bool { return d.State == "paused" && d.Counts["sending"] == 0 })
	if n := tried(again) - tried(d); n < 100 {
		t.Errorf("paused again after %d more", n)
	}
	exactlyOnce(t, sink.Accepted(), people, pattern, people-again.Counts["accepted"])
}

// only returns the id of the one run there is.
func (w *world) only() string {
	w.t.Helper()
	out, _ := w.run(0, "run", "list", "--json")
	var runs []document
	if err := json.Unmarshal([]byte(out), &runs); err != nil || len(runs) != 1 {
		w.t.Fatalf("runs %q: %v", out, err)
	}
	return runs[0].Run
}

// TestARunThatFailsTheSameWayPausesItself: content that is refused for
// everybody costs each worker fifty recipients, not the list.
func TestARunThatFailsTheSameWayPausesItself(t *testing.T) {
	t.Parallel()
	const people, connections, workers = 4_000, 6, 2
	sink := testkit.NewRecsink(t, "-perm", "*=100", "-perm-reply", "554 transaction failed")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "    limits: {connections: 6}\n")})
	for range workers {
		w.worker()
	}
	run := w.launch()
	d := w.until(run, time.Minute, "paused", func(d document) bool { return d.State == "paused" })
	// Several connections count at once: it may say 51.
	if end := " recipients in a row failed: 554 transaction failed"; !strings.HasPrefix(d.Reason, "BS-SAME-FAILURE: 5") || !strings.HasSuffix(d.Reason, end) {
		t.Errorf("reason %q, want about 50%s", d.Reason, end)
	}
	<-time.After(time.Second) // the promise: within a second
	d = w.show(run)
	if n := tried(d); n > 0 {
		t.Errorf("counts %v, want all pending: what stopped the run ends no recipient", d.Counts)
	}
	if n := int(sink.Stats()["perm"]); n < 50 || n > workers*(50+connections) {
		t.Errorf("%d were tried before the pause, at most 50 in each of %d workers and one for each connection", n, workers)
	}
}

// TestAListThatBeginsWithDeadAddressesIsNoSameFailure: they are for the guard
// of bounces, which no one asked for here.
func TestAListThatBeginsWithDeadAddressesIsNoSameFailure(t *testing.T) {
	t.Parallel()
	const people = 200
	sink := testkit.NewRecsink(t, "-perm", "*=100")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "") + noStorm})
	w.worker()
	d := w.finished(w.launch(), time.Minute)
	if d.Counts["bounced"] != people {
		t.Errorf("counts %v", d.Counts)
	}
}

// TestAServerThatNeverAnswersPausesTheRun: every message is taken and the
// connection closed without a reply; each is uncertain, and they would all be.
func TestAServerThatNeverAnswersPausesTheRun(t *testing.T) {
	t.Parallel()
	const people, connections = 1_000, 4
	sink := testkit.NewRecsink(t, "-close-every", "1")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "    limits: {connections: 4}\n")})
	w.worker()
	run := w.launch()
	d := w.until(run, time.Minute, "paused", func(d document) bool { return d.State == "paused" && d.Counts["sending"] == 0 })
	var row int // those that the other connections had open come on top
	if n, err := fmt.Sscanf(d.Reason, "BS-SAME-FAILURE: %d recipients in a row got no answer after their message:", &row); n != 1 || row < 50 || row > 50+connections {
		t.Errorf("reason %q, %v", d.Reason, err)
	}
	if n := d.Counts["uncertain"]; n < 50 || n > 50+connections {
		t.Errorf("%d are uncertain", n)
	}
}
