package throttle

import (
	"fmt"
	"testing"
	"time"
)

// Lanes that together want at least as much as their account gives use nearly all of
// it, by the clock of the store: what one lane's points leave of the account's line is of
// use to the others. The pace is 98 % of a limit.
func TestLanesUseAllOfTheirAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		account float64
		lane    float64 // of each of five; 0: they have none
		seconds int
	}{
		{account: 14, lane: 4, seconds: 60},
		{account: 14, lane: 3, seconds: 60},
		{account: 100, lane: 30, seconds: 30},
		{account: 100, lane: 20, seconds: 30},
		{account: 1000, lane: 250, seconds: 5},
		{account: 1000, seconds: 5},
	} {
		t.Run(fmt.Sprintf("%v of %v", tt.lane, tt.account), func(t *testing.T) {
			t.Parallel()
			var limits [5][]Limit
			for i := range limits {
				limits[i] = []Limit{{Account: "a", Rate: tt.account}}
				if tt.lane > 0 {
					limits[i] = append(limits[i], Limit{Account: "a", Domain: fmt.Sprintf("%d.example", i), Rate: tt.lane})
				}
			}
			slots := newBench(t).slotsWithin(t, time.Duration(tt.seconds)*time.Second, limits[:])
			if share := float64(slots) / tt.account / float64(tt.seconds); share < 0.96 {
				t.Errorf("%d slots in %d s, %.1f %% of the limit, want 96 %% or more", slots, tt.seconds, 100*share)
			}
		})
	}
}

// The same for lanes of several rates and workers under a slow account, where no two points
// fit by themselves.
func TestLanesOfSeveralRatesUseAllOfTheirAccount(t *testing.T) {
	t.Parallel()
	for workers := 1; workers <= 4; workers++ {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			const whole, seconds = 30, 30
			var limits [][]Limit
			for range workers {
				for _, rate := range []float64{10, 8, 6, 4, 12} {
					lane := Limit{Account: "a", Domain: fmt.Sprintf("%v.example", rate), Rate: rate}
					limits = append(limits, []Limit{{Account: "a", Rate: whole}, lane})
				}
			}
			slots := newBench(t).slotsWithin(t, seconds*time.Second, limits)
			if share := float64(slots) / whole / seconds; share < 0.97 {
				t.Errorf("%d slots in %d s, %.1f %% of the limit, want 97 %% or more", slots, seconds, 100*share)
			}
		})
	}
}

// slotsWithin counts the slots of senders that each ask for eight, and again when they
// have used these up.
func (b *bench) slotsWithin(t *testing.T, d time.Duration, senders [][]Limit) (slots int) {
	t.Helper()
	const lead = 5 * time.Millisecond
	end := b.now.Add(d)
	again := make([]time.Time, len(senders))
	for {
		next := 0
		for i := range again {
			if again[i].Before(again[next]) {
				next = i
			}
		}
		if again[next].After(b.now) {
			b.advance(again[next].Sub(b.now))
		}
		if !b.now.Before(end) {
			return slots
		}

		r, err := newRoute("bs", senders[next])
		if err != nil {
			t.Fatal(err)
		}
		answer, err := b.pacers[0].ask(t.Context(), r.acct, Request{Lead: lead, N: 8}, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		slots += len(answer.points)

		again[next] = latest(time.UnixMicro(answer.next).Add(-lead-window/2), b.now.Add(soon))
		if n := len(answer.points); n > 0 {
			again[next] = latest(again[next], time.UnixMicro(answer.points[n-1]).Add(-lead))
		}
	}
}
