package throttle

import (
	"testing"
	"time"
)

// Messages of high priority of one worker get all slots of the limit that they wait for.
// Those of normal priority that wait in another worker get none of it until no more of the
// others wait, but all that is left of other limits.
func TestUrgentMessagesGetEverySlot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits []Limit // of both workers
		other  []Limit // of messages for which that limit does not count
	}{
		{name: "an account", limits: []Limit{{Account: "a", Rate: 5}}},
		{name: "a fast account", limits: []Limit{{Account: "a", Rate: 50}}},
		{
			name:   "a provider",
			limits: []Limit{{Account: "a", Rate: 50}, {Account: "a", Provider: "gmail", Rate: 5}},
			other:  []Limit{{Account: "a", Rate: 50}, {Account: "a", Provider: "yahoo", Rate: 5}},
		},
		{name: "an account, and a run with a rate", limits: []Limit{{Account: "a", Rate: 5}, {Campaign: "r1", Rate: 100}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			const lead = 5 * time.Millisecond
			ask := func(worker, urgent, n int, limits []Limit) int {
				b.urgent = urgent
				points, _, err := b.points(t.Context(), b.pacers[worker], limits, lead, n)
				if err != nil {
					t.Fatal(err)
				}
				return len(points)
			}

			ask(1, 0, 64, tt.limits) // bulk mail has what there is at first

			waiting := 40
			waiting -= ask(0, waiting, 8, tt.limits)
			bulk, other := 0, 0
			took := 0

			for ; waiting > 0 && took < 3000; took++ {
				bulk += ask(1, 0, 64, tt.limits)
				waiting -= ask(0, waiting, min(waiting, 8), tt.limits)
				if tt.other != nil {
					other += ask(1, 0, 64, tt.other)
				}
				b.advance(10 * time.Millisecond)
			}

			if waiting > 0 {
				t.Fatalf("%d messages of high priority still wait", waiting)
			}
			if bulk > 0 {
				t.Errorf("%d of normal priority had slots in the meantime, want none", bulk)
			}
			seconds := float64(took) / 100
			if want := 5 * seconds * 0.9; tt.other != nil && float64(other) < want {
				t.Errorf("%d in %.1f s of those that wait for another limit, want %.0f or more", other, seconds, want)
			}

			b.advance(300 * time.Millisecond)
			if ask(1, 0, 1, tt.limits) == 0 {
				t.Error("none of normal priority afterwards")
			}
		})
	}
}

// When the worker that had urgent messages has died, the others go on soon.
func TestUrgentMessagesOfADeadWorkerHoldNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 5}}
	b.urgent = 10

	if points, _, err := b.points(t.Context(), b.pacers[0], limits, 0, 10); err != nil || len(points) == 0 {
		t.Fatal(points, err)
	}

	b.urgent = 0
	if points, _, err := b.points(t.Context(), b.pacers[1], limits, 0, 1); err != nil || len(points) != 0 {
		t.Fatalf("got points %v, error %v, want none", points, err)
	}

	b.advance(750 * time.Millisecond)
	if points, _, err := b.points(t.Context(), b.pacers[1], limits, 0, 1); err != nil || len(points) != 1 {
		t.Errorf("got points %v, error %v, want one", points, err)
	}
}

// A body that waits gets its slot also while others are urgent.
func TestABodyInHandStandsBehindNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 5}}
	r, err := newRoute("bs", limits)
	if err != nil {
		t.Fatal(err)
	}
	b.urgent = 10
	if _, _, err := b.points(t.Context(), b.pacers[0], limits, 0, 1); err != nil {
		t.Fatal(err)
	}
	b.advance(50 * time.Millisecond)
	answer, err := b.pacers[1].ask(t.Context(), r.acct, Request{Limits: limits, N: 1, InHand: true}, 0, true)
	if err != nil || len(answer.points) != 1 {
		t.Errorf("got points %v, error %v, want one", answer.points, err)
	}
}
