package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestOccurrencesThroughFailovers has three schedulers and two workers when the primary of
// Redis is killed about the time of an occurrence, again and again; each dead one comes back as
// a replica. What the replica has not got is lost (docs/redis.md): a row of the history, a claim
// or a run that was just made. The schedulers then make good what is missing, and the
// workers replay what they sent: each occurrence has one run or is missed, with one record,
// and no recipient gets a message of a run twice.
func TestOccurrencesThroughFailovers(t *testing.T) {
	t.Parallel()
	const people, every, failovers = 20, 2 * time.Second, 3
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	sentinels := testkit.NewSentinels(t, 2, "--appendonly", "yes")
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "")})
	w.at(sentinels.URL())

	workers := []*testkit.Proc{w.quietWorker(), w.quietWorker()}
	var schedulers []*testkit.Proc
	for range 3 {
		p := w.start("scheduler")
		p.WaitLine("scheduler started", time.Minute)
		schedulers = append(schedulers, p)
	}

	w.people(people, pattern)
	// While there is no primary some occurrences are missed, and others are late.
	w.letter("often", fmt.Sprintf(`schedule: {cron: "@every %s", max_lateness: 3s}`, every))
	w.run(0, "campaign", "schedule", "often.yaml", "--yes")
	w.finished(w.firstRun(time.Minute), time.Minute)

	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	begun := time.Now()

	for range failovers {
		strike := time.Now().Truncate(every).Add(every).Add(time.Duration(rnd.Int64N(int64(350 * time.Millisecond))))
		<-time.After(time.Until(strike))

		old := sentinels.Primary()
		old.Kill()
		sentinels.WaitFailover(old)
		old.Start() // it takes itself for the primary until the sentinels tell it otherwise
		sentinels.WaitReplica(old)
	}
	lasted := time.Since(begun).Round(time.Second)

	// It goes on by itself.
	before := 0
	for range testkit.Tries(time.Minute) {
		if before = len(w.history("often")); before > 0 {
			break
		}
	}

	for range testkit.Tries(time.Minute) {
		if len(w.history("often")) >= before+2 {
			break
		}
	}

	for _, p := range schedulers {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range schedulers {
		if code := p.Wait(drained); code != 0 {
			t.Errorf("scheduler: exit code %d", code)
		}
	}

	history := w.history("often")
	if after := len(history); after < before+2 {
		t.Errorf("seed %d: %d rows after the last failover, %d a minute later", seed, before, after)
	}
	fired := map[string]bool{}
	missedAt := map[int64]bool{} // in seconds since 1970
	var missed int64
	var next time.Time
	for _, o := range history {
		if !next.IsZero() && !o.At.Equal(next) {
			t.Fatalf("seed %d: the history has %s, expected %s: %+v", seed, o.At, next, history)
		}
		next = o.At.Add(time.Duration(o.Times) * every)
		switch {
		case o.Outcome == "missed":
			missed += o.Times
			for n := range o.Times {
				missedAt[o.At.Add(time.Duration(n)*every).Unix()] = true
			}
		case o.Outcome != "fired" || o.Times != 1 || fired[o.Run] || !dueAt(t, o.Run).Equal(o.At):
			t.Errorf("seed %d: %+v, expected one run of its own, or that it is missed", seed, o)
		default:
			fired[o.Run] = true
		}
	}
	for _, d := range w.list() {
		switch {
		case d.State == "expanding" || fired[d.Run]:
		case d.State == "failed" && (missedAt[dueAt(t, d.Run).Unix()] || dueAt(t, d.Run).Equal(next)):
			// It was begun, and then it was too late: nothing was sent.
		case dueAt(t, d.Run).Equal(next): // it was made as the schedulers ended: the next one would record it
			fired[d.Run] = true
		default:
			t.Errorf("seed %d: run %s is %s, and in the history of no occurrence", seed, d.Run, d.State)
		}
	}

	var uncertain int
	for run := range fired {
		d := w.finished(run, time.Minute)
		uncertain += int(d.Counts["uncertain"])
		if d.Counts["accepted"]+d.Counts["uncertain"] != people {
			t.Errorf("seed %d: run %s: %v, want all accepted", seed, run, d.Counts)
		}
	}
	// At most one for each connection of both workers, in each failover.
	if uncertain > 20*failovers {
		t.Errorf("seed %d: %d uncertain", seed, uncertain)
	}

	got := sink.Accepted()
	in := 0
	for i := range people {
		address := fmt.Sprintf(pattern, i)
		in += got[address]
		if n := got[address]; n > len(fired) || n < len(fired)-uncertain {
			t.Errorf("seed %d: %s got %d messages of %d runs, %d uncertain", seed, address, n, len(fired), uncertain)
		}
	}

	if in < people*len(fired)-uncertain {
		t.Errorf("seed %d: %d messages of %d runs, %d uncertain", seed, in, len(fired), uncertain)
	}
	copies := map[string]int{} // the id of a message has its run and its recipient
	for _, r := range sink.Records() {
		if r.Kind == 'A' || r.Kind == 'L' {
			if copies[r.ID]++; copies[r.ID] > 1 {
				t.Errorf("seed %d: %s got %s twice", seed, r.Rcpt, r.ID)
			}
		}
	}

	for _, p := range workers {
		p.Signal(syscall.SIGTERM)
		if code := p.Wait(drained); code != 0 {
			t.Errorf("worker: exit code %d", code)
		}
	}
	t.Logf("seed %d: %d occurrences fired, %d missed, %d messages, %d uncertain; %d failovers in %s", seed, len(fired), missed, in, uncertain, failovers, lasted)
}

// An occurrence is a row of the history of a schedule.
type occurrence struct {
	At      time.Time
	Times   int64
	Outcome string
	Run     string
}

// history returns what became of the times of a campaign, the oldest first; nil while
// Redis is away.
func (w *world) history(id string) []occurrence {
	w.t.Helper()
	out, err := w.command("campaign", "show", id, "--json").Output()
	if err != nil {
		return nil
	}

	var shown struct{ Occurrences []occurrence }
	if err := json.Unmarshal(out, &shown); err != nil {
		w.t.Fatalf("parse %q: %v", out, err)
	}
	slices.SortFunc(shown.Occurrences, func(a, b occurrence) int { return a.At.Compare(b.At) })
	return shown.Occurrences
}
