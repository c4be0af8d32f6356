package scheduler

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/testkit"
)

func TestBreachNeedsEnoughToSaySomething(t *testing.T) {
	t.Parallel()
	limits := campaign.Guard{MaxBounceRate: 0.05, MaxDeferralRate: 0.3, MaxComplaintRate: 0.001}
	gmail := campaign.Guard{MaxComplaintRate: campaign.DefaultMaxComplaintRate}
	at := func(accepted, complained int64, atGmail campaign.SampleAt) campaign.Sample {
		return campaign.Sample{Accepted: accepted, Complained: complained, At: map[campaign.Provider]campaign.SampleAt{"gmail": atGmail}}
	}
	for _, tt := range []struct {
		name     string
		g        campaign.Guard
		all      campaign.Sample
		base     campaign.Sample
		isEnough enough
		code     codes.Code
		why      string
	}{
		{"nothing yet", limits, campaign.Sample{}, campaign.Sample{}, inFlight, "", ""},
		{"first bounce of a run", limits, campaign.Sample{Bounced: 1}, campaign.Sample{}, inFlight, "", ""},
		{"nine of a hundred", limits, campaign.Sample{Accepted: 91, Bounced: 9}, campaign.Sample{}, inFlight, "", ""},
		{"ten of a hundred", limits, campaign.Sample{Accepted: 90, Bounced: 10}, campaign.Sample{}, inFlight, codes.GuardBounce, "10% of 100 bounced (limit 5%)"},
		{"ten of ninety", limits, campaign.Sample{Accepted: 80, Bounced: 10}, campaign.Sample{}, inFlight, "", ""},
		{"twenty of thirty", limits, campaign.Sample{Accepted: 10, Bounced: 20}, campaign.Sample{}, inFlight, codes.GuardBounce, "66.67% of 30 bounced (limit 5%)"},
		{"exactly the limit", limits, campaign.Sample{Accepted: 950, Bounced: 50}, campaign.Sample{}, inFlight, "", ""},
		{"no limit", campaign.Guard{}, campaign.Sample{Bounced: 1000}, campaign.Sample{}, inFlight, "", ""},
		{"greylisted ones were tried", limits, campaign.Sample{Deferred: 290, Accepted: 690, Bounced: 20}, campaign.Sample{}, inFlight, "", ""},
		{"failed and uncertain were tried", limits, campaign.Sample{Failed: 500, Uncertain: 460, Bounced: 40}, campaign.Sample{}, inFlight, "", ""},
		{"deferred", limits, campaign.Sample{Deferred: 40, Accepted: 60}, campaign.Sample{}, inFlight, codes.GuardDeferral, "40% of 100 are deferred (limit 30%)"},
		{"two complaints", limits, campaign.Sample{Accepted: 500, Complained: 2}, campaign.Sample{}, inFlight, "", ""},
		{"three complaints", limits, campaign.Sample{Accepted: 500, Complained: 3}, campaign.Sample{}, inFlight, codes.GuardComplaint, "0.6% of 500 complained (limit 0.1%)"},
		{"three complaints of many", limits, campaign.Sample{Accepted: 3000, Complained: 3}, campaign.Sample{}, inFlight, "", ""},
		{"old numbers after a resume", limits, campaign.Sample{Accepted: 90, Bounced: 10}, campaign.Sample{Accepted: 90, Bounced: 10}, inFlight, "", ""},
		{"new numbers after a resume", limits, campaign.Sample{Accepted: 170, Bounced: 30}, campaign.Sample{Accepted: 90, Bounced: 10}, inFlight, codes.GuardBounce, "20% of 100 bounced (limit 5%)"},
		{"deferred before, accepted since", limits, campaign.Sample{Accepted: 200}, campaign.Sample{Accepted: 60, Deferred: 40}, inFlight, "", ""},
		{"complaints after a resume are about all", limits, campaign.Sample{Accepted: 10_000, Complained: 23}, campaign.Sample{Accepted: 9_900, Complained: 20}, inFlight, "", ""},
		{"complaints at one provider", gmail, at(10_000, 9, campaign.SampleAt{Accepted: 2000, Complained: 9}), campaign.Sample{}, inFlight, codes.GuardComplaint, "0.45% of 2000 at gmail complained (limit 0.3%)"},
		{"complaints at one provider below the limit", gmail, at(10_000, 9, campaign.SampleAt{Accepted: 3000, Complained: 9}), campaign.Sample{}, inFlight, "", ""},
		{"few got it at the provider", gmail, at(10_000, 5, campaign.SampleAt{Accepted: 99, Complained: 5}), campaign.Sample{}, inFlight, "", ""},
		{"old complaints at the provider after a resume", gmail, at(10_000, 11, campaign.SampleAt{Accepted: 2000, Complained: 11}), at(9000, 9, campaign.SampleAt{Accepted: 1900, Complained: 9}), inFlight, "", ""},
		{"new complaints at the provider after a resume", gmail, at(10_000, 19, campaign.SampleAt{Accepted: 2000, Complained: 19}), at(9000, 9, campaign.SampleAt{Accepted: 1900, Complained: 9}), inFlight, codes.GuardComplaint, "0.5% of 2000 at gmail complained (limit 0.3%)"},
		{"one of the canary", limits, campaign.Sample{Accepted: 3, Bounced: 1}, campaign.Sample{}, ofCanary, "", ""},
		{"two of the canary", limits, campaign.Sample{Accepted: 3, Bounced: 2}, campaign.Sample{}, ofCanary, codes.GuardBounce, "40% of 5 bounced (limit 5%)"},
		{"the whole canary", limits, campaign.Sample{Bounced: 1}, campaign.Sample{}, ofCanary, codes.GuardBounce, "100% of 1 bounced (limit 5%)"},
		{"canary without limits of its own", campaign.Guard{}.ForCanary(), campaign.Sample{Accepted: 90, Bounced: 10}, campaign.Sample{}, ofCanary, codes.GuardBounce, "10% of 100 bounced (limit 5%)"},
		{"canary with a limit of its own", campaign.Guard{MaxBounceRate: 0.2}.ForCanary(), campaign.Sample{Accepted: 90, Bounced: 10}, campaign.Sample{}, ofCanary, "", ""},
	} {
		code, why := breach(tt.g, tt.all, tt.base, tt.isEnough)
		if code != tt.code || why != tt.why {
			t.Errorf("%s: got %q %q, want %q %q", tt.name, code, why, tt.code, tt.why)
		}
	}
}

func TestSharesAreProportionalAndExact(t *testing.T) {
	t.Parallel()
	sizes := func(n ...int) (out []ledger.PartSize) {
		for i, size := range n {
			out = append(out, ledger.PartSize{Part: i, Size: size})
		}
		return out
	}
	for _, tt := range []struct {
		canary int
		sizes  []int
		want   []int
	}{
		{500, []int{6000, 3000, 1000}, []int{300, 150, 50}},
		{10, []int{1, 1, 1}, []int{1, 1, 1}},
		{2, []int{1, 1, 1}, []int{1, 1, 0}},
		{5, []int{999_999, 1}, []int{5, 0}},
		{7, []int{50, 30, 20}, []int{4, 2, 1}},
		{5, []int{26, 74}, []int{1, 4}},
		{3, nil, []int{}},
		{3, []int{0, 2}, []int{0, 2}},
	} {
		if diff := cmp.Diff(tt.want, shares(tt.canary, sizes(tt.sizes...))); diff != "" {
			t.Errorf("%d of %v (-want +got):\n%s", tt.canary, tt.sizes, diff)
		}
	}
}

func TestTheEarlyOnesAreSpreadAndNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ first, size int }{{1, 1}, {3, 10}, {500, 100_000}, {7, 7}, {0, 5}, {999, 1000}} {
		p := &partSweep{first: tt.first, size: tt.size}
		n := 0
		last := -1
		widest := 0
		for i := range tt.size {
			if p.early(i) {
				widest = max(widest, i-last)
				n++
				last = i
			}
		}

		if n != tt.first || tt.first > 0 && widest > tt.size/tt.first+1 {
			t.Errorf("%d of %d: %d are early, at most %d apart", tt.first, tt.size, n, widest)
		}
	}
}

func TestACanaryHoldsOnlyWhoWasNeverTried(t *testing.T) {
	t.Parallel()
	rec := &ledger.Record{Attempt: "a", Sizes: []ledger.PartSize{{Size: 4}}, Guard: campaign.Guard{Canary: 2}}
	s := newSweep(rec)
	p := s.parts[0] // 1 and 3 are early
	read := func(expired bool) []int {
		return p.read(0, cells(campaign.Pending, campaign.Pending, campaign.Deferred, campaign.Pending), time.Second, 9, false, expired)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, read(false)); diff != "" {
		t.Errorf("with the canary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3}, read(true)); diff != "" {
		t.Errorf("past the run's expiry (-want +got):\n%s", diff)
	}

	p.due[0] = never
	s.release()
	if p.due[0] != 0 {
		t.Errorf("due %s when the canary is over", p.due[0])
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3}, read(false)); diff != "" {
		t.Errorf("after the canary (-want +got):\n%s", diff)
	}

	rec.Guard.Canary = 4
	if newSweep(rec).canary {
		t.Error("a canary of everybody holds somebody")
	}
}

// await asks for the record of the run until ok says so.
func await(t *testing.T, l *ledger.Ledger, what string, ok func(*ledger.Record) bool) *ledger.Record {
	t.Helper()
	var rec *ledger.Record
	for range testkit.Tries(20 * time.Second) {
		var err error
		if rec, err = l.Record(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		if ok(rec) {
			return rec
		}
	}

	t.Fatalf("not %s: %s %q %+v", what, rec.State, rec.Reason, rec.Watch)
	return nil
}

// refuser settles recipients without a claim.
func refuser(t *testing.T, l *ledger.Ledger, run *ledger.Run) func(state campaign.State, indexes ...int) {
	t.Helper()
	n := l.Line(nil, nil)
	ctx, stop := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- n.Run(ctx) }()
	t.Cleanup(func() { stop(); <-running })

	return func(state campaign.State, indexes ...int) {
		t.Helper()
		for _, i := range indexes {
			if _, err := n.Refuse(ctx, ledger.Ref{Run: run, Index: i}, ledger.Outcome{State: state}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// resume is what an operator does: the old numbers do not count any more.
func resume(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	tally, err := l.Counts(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}

	if err := l.NoteBase(t.Context(), "r", tally.Sample()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Turn(t.Context(), "r", campaign.Running, "", campaign.Paused); err != nil {
		t.Fatal(err)
	}
}

// indexes returns who was handed out.
func (r *recorder) indexes() (out []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for task := range r.tasks {
		out = append(out, task.Index)
	}
	return out
}

func upTo(first, last int) (out []int) {
	for i := first; i < last; i++ {
		out = append(out, i)
	}
	return out
}

func TestARunThatBouncesIsPausedOnceForTheSameNumbers(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		run := makeGuarded(t, l, 1000, campaign.Guard{MaxBounceRate: 0.05})
		q := newRecorder()
		feedWith(t, l, q, isOpen)
		q.wait(t, "the first backlog", func(m map[campaign.Task]int) bool { return len(m) == minBacklog })
		refuse := refuser(t, l, run)
		refuse(campaign.Failed, upTo(0, 90)...)
		refuse(campaign.Bounced, upTo(90, 99)...)
		if rec, err := l.Record(t.Context(), "r"); err != nil || rec.State != campaign.Running {
			t.Fatalf("%v: paused by nine: %+v", err, rec)
		}

		refuse(campaign.Bounced, 99)
		rec := await(t, l, "paused", func(r *ledger.Record) bool { return r.State == campaign.Paused })
		if want := "BS-GUARD-BOUNCE: 10% of 100 bounced (limit 5%)"; rec.Reason != want {
			t.Errorf("reason %q, want %q", rec.Reason, want)
		}

		// The operator goes on: the old numbers do not count any more, new ones do.
		resume(t, l)
		q.wait(t, "more after the resume", func(m map[campaign.Task]int) bool { return len(m) > minBacklog })
		refuse(campaign.Bounced, upTo(100, 109)...)
		refuse(campaign.Failed, upTo(120, 190)...) // makes room for more
		q.wait(t, "more in spite of nine", func(m map[campaign.Task]int) bool { return len(m) > minBacklog+105 })
		if rec, err := l.Record(t.Context(), "r"); err != nil || rec.State != campaign.Running {
			t.Errorf("%v: paused again: %+v", err, rec)
		}

		refuse(campaign.Bounced, upTo(109, 120)...)
		await(t, l, "paused again", func(r *ledger.Record) bool { return r.State == campaign.Paused })
	})
}

// A complaint counts once, for the run and for the provider of the recipient.
func TestComplaintsPauseARun(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		run := makeGuarded(t, l, 400, campaign.Guard{MaxComplaintRate: 0.01})
		q := newRecorder()
		feedWith(t, l, q, isOpen)
		q.wait(t, "the first backlog", func(m map[campaign.Task]int) bool { return len(m) == minBacklog })
		refuser(t, l, run)(campaign.Uncertain, upTo(0, 100)...)
		comes := func(kind campaign.EventKind, indexes ...int) {
			t.Helper()
			var all []ledger.After
			for _, i := range indexes {
				all = append(all, ledger.After{Kind: kind, State: campaign.Accepted, Place: ledger.Place{Index: i}, Day: "2026-10-01", Account: "a"})
			}
			if _, err := l.CountAfter(t.Context(), run, all); err != nil {
				t.Fatal(err)
			}
		}

		comes(campaign.EventDelivered, upTo(0, 100)...)
		comes(campaign.EventComplained, 1, 2)
		comes(campaign.EventComplained, 1, 2) // told twice
		comes(campaign.EventComplained, 3)
		rec := await(t, l, "paused", func(r *ledger.Record) bool { return r.State == campaign.Paused })
		if want := "BS-GUARD-COMPLAINT: 3% of 100 complained (limit 1%)"; rec.Reason != want {
			t.Errorf("reason %q, want %q", rec.Reason, want)
		}
		tally, err := l.Counts(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[campaign.Provider]campaign.SampleAt{campaign.Other: {Accepted: 100, Complained: 3}}, tally.Sample().At); diff != "" {
			t.Errorf("by provider (-want +got):\n%s", diff)
		}
	})
}

func TestACanaryGoesFirstAndTheOthersFollow(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		const size, canary = 400, 20
		run := makeGuarded(t, l, size, campaign.Guard{Canary: canary, CanaryWait: time.Second})
		q := newRecorder()
		f := newTestFeeder(l, q, isOpen)
		stop := runFeeder(t, f)
		q.wait(t, "the canary", func(m map[campaign.Task]int) bool { return len(m) == canary })
		refuse := refuser(t, l, run)
		first := q.indexes()
		refuse(campaign.Failed, first[1:]...)
		refuse(campaign.Bounced, first[0]) // one alone stops nothing
		await(t, l, "settled", func(r *ledger.Record) bool { return !r.Watch.CanarySettled.IsZero() })
		if got := len(q.indexes()); got != canary {
			t.Errorf("%d were handed out before the canary was over", got)
		}

		// The process that feeds it dies during the wait; the next one goes on with it.
		stop()
		again := newRecorder()
		next := newTestFeeder(l, again, isOpen)
		next.holder = f.holder // the lease would not end on the embedded store, whose clock stands still here
		runFeeder(t, next)
		again.wait(t, "the others", func(m map[campaign.Task]int) bool { return len(m) >= minBacklog })
		rec := await(t, l, "over", func(r *ledger.Record) bool { return !r.Watch.CanaryOver.IsZero() })
		if wait := rec.Watch.CanaryOver.Sub(rec.Watch.CanarySettled); wait < time.Second {
			t.Errorf("the others were let go after %s", wait)
		}
	})
}

func TestACanaryThatGoesWrongPausesAndIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		const size, canary = 400, 20
		run := makeGuarded(t, l, size, campaign.Guard{Canary: canary, CanaryWait: time.Second})
		q := newRecorder()
		feedWith(t, l, q, isOpen)
		q.wait(t, "the canary", func(m map[campaign.Task]int) bool { return len(m) == canary })
		refuse := refuser(t, l, run)
		first := q.indexes()
		refuse(campaign.Failed, first[2:]...)
		refuse(campaign.Bounced, first[:2]...)
		rec := await(t, l, "paused", func(r *ledger.Record) bool { return r.State == campaign.Paused })
		if want := "BS-CANARY: of the first recipients, 10% of 20 bounced (limit 5%)"; rec.Reason != want {
			t.Errorf("reason %q, want %q", rec.Reason, want)
		}
		if got := len(q.indexes()); got != canary {
			t.Errorf("%d were handed out, the canary has %d", got, canary)
		}

		resume(t, l)
		q.wait(t, "the others, since a person said so", func(m map[campaign.Task]int) bool { return len(m) >= minBacklog })
	})
}

func TestADeferredCanaryIsTriedAgainBeforeItIsJudged(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		const size, canary = 100, 4
		run := makeGuarded(t, l, size, campaign.Guard{Canary: canary, CanaryWait: time.Hour / 2})
		q := newRecorder()
		feedWith(t, l, q, isOpen)
		q.wait(t, "the canary", func(m map[campaign.Task]int) bool { return len(m) == canary })
		refuse := refuser(t, l, run)
		first := q.indexes()
		refuse(campaign.Failed, first[2:]...)
		refuse(campaign.Deferred, first[:2]...)
		rec := await(t, l, "settled", func(r *ledger.Record) bool { return !r.Watch.CanarySettled.IsZero() })
		if rec.State != campaign.Running || !rec.Canary() {
			t.Errorf("%s %q: judged before the wait was over", rec.State, rec.Reason)
		}

		if ends := rec.CanaryEnds(); ends.Sub(rec.Watch.CanarySettled) != time.Hour/2 || strings.Contains(rec.Reason, "CANARY") {
			t.Errorf("ends at %s, settled at %s", ends, rec.Watch.CanarySettled)
		}
	})
}
