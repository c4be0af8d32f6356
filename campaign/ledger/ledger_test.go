package ledger

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/testkit"
)

// backends are the two stores that a ledger lives in.
var backends = map[string]func(testing.TB) *Ledger{
	"redis": func(t testing.TB) *Ledger {
		opt, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		return newLedger(t, redis.NewClient(opt), redis.NewScript)
	},
	"embedded": func(t testing.TB) *Ledger {
		m := miniredis.NewMiniRedis()
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return newLedger(t, redis.NewClient(&redis.Options{Addr: m.Addr()}), plain)
	},
}

// plain leaves away the first line, which the embedded store does not know.
func plain(src string) *redis.Script {
	if strings.HasPrefix(src, "#!") {
		_, src, _ = strings.Cut(src, "\n")
	}
	return redis.NewScript(src)
}

func newLedger(t testing.TB, rdb *redis.Client, lua func(string) *redis.Script) *Ledger {
	t.Cleanup(func() { rdb.Close() })
	return New(rdb, "bs", lua)
}

// noSuppressions is a suppression list without entries.
type noSuppressions struct{}

func (noSuppressions) Queue(context.Context, redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	return func(string, [16]byte, string) func() (bool, error) {
		return func() (bool, error) { return false, nil }
	}
}

// everywhere runs a test on each backend.
func everywhere(t *testing.T, f func(t *testing.T, l *Ledger)) {
	t.Parallel()
	for name, make := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, make(t))
		})
	}
}

// line starts a Line for the test.
func line(t testing.TB, l *Ledger) *Line {
	t.Helper()
	n := l.Line(l.rdb, noSuppressions{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return n
}

// newRun expands a run: sizes gives the recipients of part 0, 1, ...; hours
// long retries, so that nothing becomes due by itself.
func newRun(t testing.TB, l *Ledger, id string, sizes ...int) *Run {
	t.Helper()
	ctx := t.Context()
	made, err := l.Create(ctx, NewRun{
		ID: id, Campaign: "news", Created: time.Now(), Retry: []time.Duration{time.Hour},
		MaxAttempts: 3, ExpiresAfter: 48 * time.Hour,
	})
	if err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}

	e := l.Expand(id)
	if err := e.Content(ctx, campaign.Snapshot{Campaign: "news"}); err != nil {
		t.Fatal(err)
	}

	for part, size := range sizes {
		if err := e.Add(ctx, Chunk{Part: part, Data: []byte("x"), Suppressed: make([]bool, size)}); err != nil {
			t.Fatal(err)
		}
	}

	if err := e.Ready(ctx, campaign.Skipped{Invalid: 3}); err != nil {
		t.Fatal(err)
	}

	rec, err := l.Record(ctx, id)
	if err != nil {
		t.Fatal(err)
	}

	return rec.Handle()
}

func TestReadyChecksWhatWasWritten(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		if _, err := l.Create(ctx, NewRun{ID: "r", Campaign: "news", Created: time.Now(), Retry: campaign.DefaultRetry, MaxAttempts: 3, ExpiresAfter: time.Hour}); err != nil {
			t.Fatal(err)
		}

		first := l.Expand("r")
		second := l.Expand("r")
		for _, e := range []*Expansion{first, second} {
			if err := e.Add(ctx, Chunk{Part: 2, Data: []byte("x"), Suppressed: []bool{false, true}}); err != nil {
				t.Fatal(err)
			}
		}

		if err := first.Ready(ctx, campaign.Skipped{}); err == nil || !strings.Contains(err.Error(), "content is missing") {
			t.Fatalf("ready without content: %v", err)
		}
		if rec, _ := l.Record(ctx, "r"); rec.State != campaign.Expanding {
			t.Fatalf("state %s after a failed ready", rec.State)
		}

		for _, e := range []*Expansion{first, second} {
			if err := e.Content(ctx, campaign.Snapshot{Subject: e.run.Attempt}); err != nil {
				t.Fatal(err)
			}
		}

		for _, k := range []string{"content", "chunks", "cells:2"} {
			if ttl, _ := l.rdb.TTL(ctx, second.key(k)).Result(); ttl <= 0 {
				t.Errorf("%s of an expansion that may die never expires", k)
			}
		}

		for range 2 { // asking twice changes nothing
			if err := first.Ready(ctx, campaign.Skipped{Duplicate: 7}); err != nil {
				t.Fatal(err)
			}
		}

		if err := second.Ready(ctx, campaign.Skipped{Duplicate: 8}); !errors.Is(err, ErrReady) {
			t.Fatalf("second ready: %v, want ErrReady", err)
		}
		if left := keysOf(t, l, second); len(left) > 0 {
			t.Errorf("left of the second: %v", left)
		}

		rec, err := l.Record(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}

		if rec.Attempt != first.run.Attempt || rec.State != campaign.Running || rec.Skipped.Duplicate != 7 {
			t.Errorf("record %+v, want the first expansion running", rec)
		}

		s, err := l.Snapshot(ctx, rec.Handle())
		if err != nil || s.Subject != first.run.Attempt {
			t.Errorf("content of %q, %v; want the first's", s.Subject, err)
		}

		tally, err := l.Counts(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}

		want := campaign.Counts{campaign.Pending: 1, campaign.Suppressed: 1}
		if diff := cmp.Diff(want, tally.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}

		for _, k := range []string{"content", "chunks", "cells:2"} {
			ttl, err := l.rdb.TTL(ctx, first.key(k)).Result()
			if err != nil || ttl != -1 {
				t.Errorf("%s expires in %v (%v), want never", k, ttl, err)
			}
		}
	})
}

func TestRunsAreMadeOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		n := NewRun{ID: "news-1", Campaign: "news", Created: time.Now(), Retry: campaign.DefaultRetry, MaxAttempts: 3}
		for i, want := range []bool{true, false} {
			if got, err := l.Create(ctx, n); got != want || err != nil {
				t.Errorf("create %d = %v, %v; want %v", i, got, err, want)
			}
		}

		for _, run := range []string{"news-1", "news-2"} {
			if got, err := l.Once(ctx, "campaign:news", run); got != "news-1" || err != nil {
				t.Errorf("once %s = %q, %v; want news-1", run, got, err)
			}
		}

		if id, err := l.Find(ctx, "new"); id != "news-1" || err != nil {
			t.Errorf("find new = %q, %v", id, err)
		}
		if _, err := l.Find(ctx, "x"); !Gone(err) {
			t.Errorf("find x: %v, want ErrNoRun", err)
		}
	})
}

func TestDeferralsFollowTheRunsRetryList(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 1)
		n := line(t, l)
		ref := Ref{run, 0, 0}
		deferred := Outcome{State: campaign.Deferred, Reply: Reply{Code: 450, Text: "later"}}
		greylisted := deferred
		greylisted.Greylisted = true
		for i, step := range []struct {
			o           Outcome
			state       campaign.State
			attempts    int
			least, most time.Duration
		}{
			{greylisted, campaign.Deferred, 0, 359 * time.Second, 370 * time.Second},
			{greylisted, campaign.Deferred, 1, 2879 * time.Second, 4330 * time.Second},
			{deferred, campaign.Deferred, 2, 2879 * time.Second, 4330 * time.Second},
			{deferred, campaign.Failed, 3, 0, 0},
		} {
			// As the feeder would when its time has come: pending again.
			if err := l.rdb.SetRange(ctx, l.cellsKey(run, 0), 0, "\x00").Err(); err != nil {
				t.Fatal(err)
			}
			if ok, err := n.Refuse(ctx, ref, step.o); !ok || err != nil {
				t.Fatalf("step %d: refuse = %v, %v", i, ok, err)
			}
			cells, err := l.Page(ctx, run, 0, 0)
			if err != nil {
				t.Fatal(err)
			}

			c := cells[0]
			if c.State != step.state || c.Attempts != step.attempts || c.When < step.least || c.When > step.most {
				t.Errorf("step %d: %v after %d attempts, due %v; want %v, %d, %v to %v", i, c.State, c.Attempts, c.When, step.state, step.attempts, step.least, step.most)
			}
		}

		replies, err := l.Replies(ctx, run)
		if err != nil {
			t.Fatal(err)
		}

		if r := replies[[2]int{0, 0}]; r.Reason != "attempts" || r.Code != 450 || r.Text != "later" {
			t.Errorf("last reply %+v", r)
		}
	})
}

func TestIssueFailsTheExpiredAndTheStuck(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 2)
		all := []int{0, 1}
		for i := range 8 {
			is, err := l.Issue(ctx, run, 0, 10, 0, false, all)
			if err != nil || len(is.Indexes) != 2 {
				t.Fatalf("issue %d: %v, %v", i, is.Indexes, err)
			}
		}

		if err := l.rdb.HSet(ctx, l.runKey("r", "record"), "expires", 0).Err(); err != nil {
			t.Fatal(err)
		}

		n := line(t, l)
		if err := n.GiveBack(ctx, run, 0, []int{1}, time.Hour); err != nil {
			t.Fatal(err)
		}

		is, err := l.Issue(ctx, run, 0, 10, 0, false, all)
		if err != nil || len(is.Indexes) != 0 {
			t.Fatalf("issue after expiry: %v, %v", is.Indexes, err)
		}

		tally, err := l.Counts(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}

		if tally.Counts[campaign.Failed] != 2 {
			t.Errorf("counts %v, want both failed", tally.Counts)
		}

		rec, _ := l.Record(ctx, "r")
		if rec.State != campaign.Finished || rec.Finished.IsZero() {
			t.Errorf("run is %s", rec.State)
		}
	})
}

func TestStuckAfterSevenSilences(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 1)
		for range 8 {
			if _, err := l.Issue(ctx, run, 0, 1, 0, false, []int{0}); err != nil {
				t.Fatal(err)
			}
		}

		is, err := l.Issue(ctx, run, 0, 1, 0, false, []int{0})
		if err != nil || len(is.Indexes) != 0 {
			t.Fatalf("ninth issue: %v, %v", is.Indexes, err)
		}

		replies, err := l.Replies(ctx, run)
		if err != nil || replies[[2]int{0, 0}].Reason != "stuck" {
			t.Errorf("replies %v, %v; want stuck", replies, err)
		}
	})
}

func TestIssueHandsOverWhatWasNotedEarly(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 3, 2)
		n := line(t, l)
		if _, err := l.Issue(ctx, run, 1, 10, time.Hour, false, []int{0, 1}); err != nil {
			t.Fatal(err)
		}
		if err := n.GiveBack(ctx, run, 1, []int{1}, time.Minute); err != nil {
			t.Fatal(err)
		}

		is, err := l.Issue(ctx, run, 0, 2, time.Hour, false, []int{0, 1, 2})
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff([]int{0, 1}, is.Indexes); diff != "" {
			t.Errorf("issued within a backlog of 2 (-want +got):\n%s", diff)
		}
		if len(is.Early) != 1 || is.Early[0].Part != 1 || is.Early[0].Page != 0 || is.Early[0].When < 59*time.Second {
			t.Errorf("early %+v, want part 1, page 0, in a minute", is.Early)
		}
		if is, _ = l.Issue(ctx, run, 0, 2, time.Hour, false, nil); len(is.Early) != 0 {
			t.Errorf("early %+v handed over twice", is.Early)
		}
	})
}

// member joins with a server that the test controls.
func member(t testing.TB, l *Ledger, runID *string) *Member {
	t.Helper()
	nothing := func(context.Context, string) error { return nil }
	m, err := l.Join(t.Context(), MemberConfig{
		Server: func(context.Context) (string, time.Duration, error) { return *runID, time.Hour, nil },
		OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}

	return m
}

// A worker that gave a sign of life at the last moment keeps its connections.
func TestAWorkerThatIsAliveAfterAllIsNotTakenForDead(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		id := "one"
		other := member(t, l, &id)
		alive := member(t, l, &id)
		var told []string
		other.cfg.OnDead = func(_ context.Context, worker string) error {
			told = append(told, worker)
			return nil
		}
		seen := l.rdb.HGet(ctx, l.workersKey(), alive.ID()).Val()
		if err := alive.beat(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := other.takeOff(ctx, alive.ID(), seen); err != nil || len(told) > 0 {
			t.Errorf("told that %v are dead, %v; want nobody", told, err)
		}

		seen = l.rdb.HGet(ctx, l.workersKey(), alive.ID()).Val()
		if err := other.takeOff(ctx, alive.ID(), seen); err != nil || len(told) != 1 || told[0] != alive.ID() {
			t.Errorf("told that %v are dead, %v; want %s", told, err, alive.ID())
		}
	})
}

// A worker knows how many are on the list, from its first look at it on.
func TestListedCountsTheWorkersOnTheList(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		id := "one"
		first := member(t, l, &id)
		second := member(t, l, &id)
		if a, b := first.Listed(), second.Listed(); a != 1 || b != 2 {
			t.Errorf("got %d and %d workers when they joined, want 1 and 2", a, b)
		}
		if err := first.observe(ctx, id); err != nil {
			t.Fatal(err)
		}
		if n := first.Listed(); n != 2 {
			t.Errorf("got %d workers, want 2", n)
		}
		if err := second.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		if err := first.observe(ctx, id); err != nil {
			t.Fatal(err)
		}
		if n := first.Listed(); n != 1 {
			t.Errorf("got %d workers after one has left, want 1", n)
		}
	})
}

func TestTheDeadAreTakenOffAndLateRepliesLift(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 3)
		n := line(t, l)
		id := "one"
		dead := member(t, l, &id)
		alive := member(t, l, &id)
		var tokens []string
		for i := range 3 {
			e := dead.Ask(Ref{run, 0, i})
			tokens = append(tokens, e.Token)
			if c, err := n.Claim(ctx, Ref{run, 0, i}, e.Token, SuppressionKey{}); !c.Held || err != nil {
				t.Fatalf("claim: %+v, %v", c, err)
			}
		}

		if err := alive.observe(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := alive.observe(ctx, id); err != nil {
			t.Fatal(err)
		}
		if tally, _ := l.Counts(ctx, "r"); tally.Counts[campaign.Sending] != 3 {
			t.Fatalf("counts %v while the worker may live", tally.Counts)
		}

		// The same counter for 15 s of the observer's clock.
		s := alive.seen[dead.ID()]
		s.since = s.since.Add(-deadAfter)
		alive.seen[dead.ID()] = s
		if err := alive.observe(ctx, id); err != nil {
			t.Fatal(err)
		}
		if tally, _ := l.Counts(ctx, "r"); tally.Counts[campaign.Uncertain] != 3 {
			t.Fatalf("counts %v, want all uncertain", tally.Counts)
		}
		if n, _ := l.Deaths(ctx); n != 1 {
			t.Errorf("deaths %d", n)
		}
		// It was only frozen, and has a 250 in its buffer.
		if ok, err := n.Settle(ctx, Ref{run, 0, 0}, tokens[0], Outcome{State: campaign.Accepted}); !ok || err != nil {
			t.Errorf("late reply: %v, %v", ok, err)
		}
		if ok, _ := n.Settle(ctx, Ref{run, 0, 1}, tokens[1], Outcome{State: campaign.Deferred}); ok {
			t.Error("a late deferral changed an uncertain recipient")
		}

		old := dead.ID()
		if err := dead.beat(ctx, id); err != nil {
			t.Fatal(err)
		}
		if dead.ID() == old || dead.Mine(tokens[0]) {
			t.Error("who was taken off goes on under the old id")
		}
	})
}

func TestReviewMakesUpMissedSettles(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 4)
		n := line(t, l)
		id := "one"
		m := member(t, l, &id)
		entries := make([]Entry, 4)
		for i := range entries {
			entries[i] = m.Ask(Ref{run, 0, i})
			if _, err := n.Claim(ctx, Ref{run, 0, i}, entries[i].Token, SuppressionKey{}); err != nil {
				t.Fatal(err)
			}
		}

		m.journal.Open(entries[0], 1)
		m.journal.Close(entries[0], Outcome{State: campaign.Accepted}) // the settle was missed
		m.journal.Close(entries[1], Outcome{State: campaign.Pending})  // the claim was undone
		m.journal.Open(entries[2], 1)                                  // on the wire
		m.journal.ring[3].worker = "another"                           // forgotten
		if err := m.review(ctx); err != nil {
			t.Fatal(err)
		}

		cells, err := l.Page(ctx, run, 0, 0)
		if err != nil {
			t.Fatal(err)
		}

		var got []campaign.State
		for _, c := range cells {
			got = append(got, c.State)
		}

		want := []campaign.State{campaign.Accepted, campaign.Pending, campaign.Sending, campaign.Uncertain}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

func TestReplayMendsARedisThatWentBack(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 4)
		n := line(t, l)
		id := "one"
		m := member(t, l, &id)
		before := l.rdb.GetRange(ctx, l.cellsKey(run, 0), 0, -1).Val()
		counts := l.rdb.HGetAll(ctx, l.runKey("r", "counts")).Val()
		outcomes := []Outcome{{State: campaign.Accepted}, {State: campaign.Bounced}, {State: campaign.Deferred}}
		for i := range 4 {
			ref := Ref{run, 0, i}
			e := m.Ask(ref)
			c, err := n.Claim(ctx, ref, e.Token, SuppressionKey{})
			if err != nil {
				t.Fatal(err)
			}

			m.journal.Open(e, c.Attempt)
			if i < 3 {
				m.journal.Close(e, outcomes[i])
				if _, err := n.Settle(ctx, ref, e.Token, outcomes[i]); err != nil {
					t.Fatal(err)
				}
			}
		}

		// Redis forgets all of it.
		pipe := l.rdb.Pipeline()
		pipe.Set(ctx, l.cellsKey(run, 0), before, 0)
		pipe.Del(ctx, l.runKey("r", "counts"), l.runKey("r", "claims"), l.runKey("r", "replies"))
		for k, v := range counts {
			pipe.HSet(ctx, l.runKey("r", "counts"), k, v)
		}

		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}

		id = "two"
		if err := m.Admit(id); err == nil {
			t.Fatal("a connection to an untold Redis was admitted")
		}
		if err := m.tick(ctx); err != nil {
			t.Fatal(err)
		}
		if err := m.Admit(id); err != nil {
			t.Fatalf("after the replay: %v", err)
		}

		tally, err := l.Counts(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}

		for s, want := range map[campaign.State]int64{campaign.Accepted: 1, campaign.Bounced: 1, campaign.Deferred: 1, campaign.Sending: 1, campaign.Pending: 0} {
			if tally.Counts[s] != want {
				t.Errorf("%d %s, want %d", tally.Counts[s], s, want)
			}
		}

		m.mu.Lock()
		defer m.mu.Unlock()
		if m.clear {
			t.Error("claims are allowed at once after a restart")
		}
	})
}

func TestDropLeavesNothingAndSparesWhatIsReady(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		n := NewRun{ID: "news-20261001T070000Z", Campaign: "news", Created: time.Now(), Retry: campaign.DefaultRetry, MaxAttempts: 3}
		if _, err := l.Create(ctx, n); err != nil {
			t.Fatal(err)
		}
		if err := l.Drop(ctx, n.ID, n.Campaign); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Record(ctx, n.ID); !Gone(err) {
			t.Errorf("record after drop: %v", err)
		}
		if ids, _ := l.List(ctx, "news"); len(ids) != 0 {
			t.Errorf("listed after drop: %v", ids)
		}

		newRun(t, l, "r", 1)
		if err := l.Drop(ctx, "r", "news"); err == nil {
			t.Error("a run that is ready was dropped")
		}
		if err := l.Forget(ctx, "r", "news"); err != nil {
			t.Fatal(err)
		}
		if ids, _ := l.Active(ctx); len(ids) != 1 || ids[0] != "r" {
			t.Errorf("active %v: a run with a record was forgotten", ids)
		}
	})
}

func TestPruneForgetsRunsWhoseRecordHasExpired(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		for _, id := range []string{"news-20261001T070000Z", "news-20261002T070000Z", "news-20261003T070000Z"} {
			n := NewRun{ID: id, Campaign: "news", Created: time.Now().Add(-time.Hour), Retry: campaign.DefaultRetry, MaxAttempts: 3}
			if id == "news-20261003T070000Z" {
				n.Created = time.Now()
			}
			if _, err := l.Create(ctx, n); err != nil {
				t.Fatal(err)
			}
		}

		// The first and the last lose their record; the last is too young to be looked at.
		l.rdb.Del(ctx, l.runKey("news-20261001T070000Z", "record"), l.runKey("news-20261003T070000Z", "record"))
		if err := l.Prune(ctx, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}

		for _, name := range []string{"", "news"} {
			ids, err := l.List(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"news-20261003T070000Z", "news-20261002T070000Z"}, ids); diff != "" {
				t.Errorf("runs of %q (-want +got):\n%s", name, diff)
			}
		}
	})
}
