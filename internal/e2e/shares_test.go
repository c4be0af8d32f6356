package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
	"broadside/throttle"
)

// TestAWorkerKilledInARunsFirstSecondLeavesConnectionsToTheOthers starts three
// workers together and kills the one with the most connections as soon as messages
// arrive: the others have, or can have, the rest.
func TestAWorkerKilledInARunsFirstSecondLeavesConnectionsToTheOthers(t *testing.T) {
	t.Parallel()
	const people, connections, slack = 3_000, 9, 3 * time.Second
	sink := testkit.NewRecsink(t, "-delay", "20ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), fmt.Sprintf("    limits: {connections: %d}\n", connections))})
	workers := w.startTogether(3)
	launch := w.start("campaign", "launch", "campaign.yaml", "--json")
	for range testkit.Tries(time.Minute) {
		if sink.Count() > 0 {
			break
		}
	}
	dead, held := w.holdsMost("sink")
	workers[dead].Kill()
	killed := time.Now()
	t.Logf("worker %s held %d of %d connections", dead, held, connections)
	if held == connections {
		t.Errorf("worker %s held all %d connections", dead, held)
	}
	if code := launch.Wait(time.Minute); code != 0 {
		t.Fatalf("launch: exit %d\n%s", code, launch.Output())
	}
	run := w.firstRun(time.Minute)
	w.endsOnce(run, sink, people, connections)
	if pause := longestPause(sink.Records(), killed, killed.Add(10*time.Second)); pause > 2*time.Second+slack {
		t.Errorf("the others paused for %s, promised are 2 s (and %s on a busy machine)", pause, slack)
	} else {
		t.Logf("longest pause within 10 s of the kill: %s", pause)
	}
	if peak := sink.Stats()["peak_open"]; peak > connections {
		t.Errorf("%v connections at once, the limit is %d", peak, connections)
	}
}

// startTogether starts workers at the same moment and returns them by their ids.
func (w *world) startTogether(n int) map[string]*testkit.Proc {
	w.t.Helper()
	started := make([]*testkit.Proc, n)
	for i := range started {
		started[i] = w.start("worker", "--log-level", "debug")
	}
	byID := map[string]*testkit.Proc{}
	for _, p := range started {
		var entry struct{ Worker string }
		line := p.WaitLine("worker started", time.Minute)
		if err := json.Unmarshal([]byte(line[strings.Index(line, "{"):]), &entry); err != nil || entry.Worker == "" {
			w.t.Fatalf("line %q has no worker: %v", line, err)
		}
		byID[entry.Worker] = p
	}
	return byID
}

// holdsMost returns which worker has the most connections to an account, and
// how many.
func (w *world) holdsMost(account string) (worker string, held int) {
	w.t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	defer rdb.Close()
	counts, err := throttle.NewConns(rdb, "e2e", redis.NewScript).Counts(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	for id, n := range counts {
		if n > held {
			worker, held = id, n
		}
	}
	return worker, held
}

// longestPause is the longest time between two messages, from one moment to
// another; what comes after the last message is not a pause.
func longestPause(records []testkit.Record, from, to time.Time) time.Duration {
	var longest time.Duration
	last := from
	for _, r := range records { // in the order in which they arrived
		if r.Kind != 'A' || !r.At.After(from) {
			continue
		}
		if last.After(to) {
			break
		}
		longest = max(longest, r.At.Sub(last))
		last = r.At
	}
	return longest
}
