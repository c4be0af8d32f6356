package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// fullSchedulers is for `go test ./internal/e2e -run ThreeSchedulers -args -schedulers.full`.
var fullSchedulers = flag.Bool("schedulers.full", false, "TestThreeSchedulers: 100 occurrences, and clocks that are 2 s apart")

// clocksApart is by how much the clocks of the three schedulers are wrong.
var clocksApart = []time.Duration{-2 * time.Second, 0, 2 * time.Second}

// TestThreeSchedulersFireEachOccurrenceOnce lets five campaigns be due at the same moment,
// every three seconds, with three schedulers of which one is killed about then and started
// again. The run of an occurrence that dies with its scheduler is made by another one.
//
// Only the time of Redis counts, so in the full test no scheduler has the clock of another.
// (A program with another clock is built for minutes: the short test does without.)
func TestThreeSchedulersFireEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	const campaigns, people, every = 5, 3, 3 * time.Second
	each := 6
	bin := testkit.Build
	if *fullSchedulers {
		each = 20
		bin = testkit.BuildSkewed
	}

	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "")})
	w.worker()
	start := func(i int) *testkit.Proc {
		p := testkit.Start(t, []string{testkit.ClockAhead(clocksApart[i])}, "/usr/bin/env", "-C", w.dir, bin(t), "scheduler")
		p.WaitLine("scheduler started", time.Minute)
		return p
	}
	var schedulers []*testkit.Proc
	for i := range clocksApart {
		schedulers = append(schedulers, start(i))
	}
	for i := range campaigns {
		id := fmt.Sprintf("c%d", i)
		w.people(people, "person%d@"+id+".example.org")
		w.letter(id, fmt.Sprintf(`schedule: {cron: "@every %s"}`, every))
		w.run(0, "campaign", "schedule", id+".yaml", "--yes")
	}

	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	begun := time.Now()
	kills := 0
	for enough := false; !enough; {
		if time.Since(begun) > 5*time.Minute {
			t.Fatalf("seed %d: %d runs after five minutes and %d kills", seed, len(w.list()), kills)
		}

		// Everything is due when this many seconds have passed since 1970, and a
		// scheduler looks four times a second.
		now := time.Now()
		strike := now.Truncate(every).Add(every).Add(time.Duration(rnd.Int64N(int64(350 * time.Millisecond))))
		<-time.After(time.Until(strike))
		i := rnd.IntN(len(schedulers))
		schedulers[i].Kill()
		kills++
		schedulers[i] = start(i)

		made := occurrences(w.list())
		enough = len(made) == campaigns
		for _, runs := range made {
			enough = enough && len(runs) >= each
		}
	}
	lasted := time.Since(begun).Round(time.Second)

	for _, p := range schedulers {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range schedulers {
		if code := p.Wait(drained); code != 0 {
			t.Errorf("scheduler: exit code %d", code)
		}
	}

	// One that had to give back what it was doing leaves a run that was never ready, whose
	// audience got nothing: it does not count.
	made := occurrences(w.list())
	total := 0
	for i := range campaigns {
		id := fmt.Sprintf("c%d", i)
		runs := made[id]
		total += len(runs)
		for n, run := range runs {
			if d := w.finished(run, time.Minute); d.Counts["accepted"] != people {
				t.Errorf("run %s: %v, want all accepted", run, d.Counts)
			}
			if want := dueAt(t, runs[0]).Add(time.Duration(n) * every); !dueAt(t, run).Equal(want) {
				t.Fatalf("run %s is the %d. of %s, want one of %s", run, n+1, id, want)
			}
		}
	}

	got := sink.Accepted()
	for i := range campaigns {
		for n := range people {
			address := fmt.Sprintf("person%d@c%d.example.org", n, i)
			if want := len(made[fmt.Sprintf("c%d", i)]); got[address] != want {
				t.Errorf("%s got %d messages of %d runs", address, got[address], want)
			}
		}
	}
	t.Logf("seed %d: %d occurrences in %s, each with one run and its %d messages; %d kills", seed, total, lasted, people, kills)
}

// list returns every run.
func (w *world) list() (all []document) {
	w.t.Helper()
	out, _ := w.run(0, "run", "list", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		w.t.Fatalf("parse %q: %v", out, err)
	}
	return all
}

// occurrences returns the runs that were ready by campaign, in the order of their times.
func occurrences(all []document) map[string][]string {
	made := map[string][]string{}
	for _, d := range all {
		if d.State != "expanding" {
			id, _, _ := strings.Cut(d.Run, "-")
			made[id] = append(made[id], d.Run)
		}
	}
	for _, runs := range made {
		slices.Sort(runs)
	}
	return made
}

// dueAt returns the occurrence that a run was made for.
func dueAt(t *testing.T, run string) time.Time {
	t.Helper()
	_, text, _ := strings.Cut(run, "-")
	at, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		t.Fatalf("run %s: %v", run, err)
	}
	return at
}
