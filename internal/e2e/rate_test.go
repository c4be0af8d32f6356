package e2e

import (
	"slices"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestRateIsACeiling lets three workers share 200/s for 10 s, and looks at
// every window of one second at the sink, and at the whole.
func TestRateIsACeiling(t *testing.T) {
	const rate, seconds = 200, 10
	// The slack is how long a busy machine may hold up the sink: it then reads late
	// what was sent in time, and all at once.
	const slack = 250 * time.Millisecond
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: rate * seconds, accounts: account("sink", sink.Addr(), "    limits: {rate: 200/s, connections: 30}\n")})
	for range 3 {
		w.worker()
	}
	run := w.launch()
	w.finished(run, time.Minute)
	sink.Stats() // writes everything down
	var at []time.Time
	for _, r := range sink.Records() {
		at = append(at, r.At)
	}
	slices.SortFunc(at, time.Time.Compare)
	worst := 0
	for i, j := 0, 0; j < len(at); j++ {
		for at[j].Sub(at[i]) >= time.Second {
			i++
		}
		worst = max(worst, j-i+1)
	}
	if limit := most(rate, time.Second+slack); worst > limit {
		t.Errorf("%d messages in one second, the limit is %d, with slack %d", worst, rate, limit)
	}
	took := at[len(at)-1].Sub(at[0])
	if limit := most(rate, took+slack); len(at) > limit {
		t.Errorf("%d messages in %s, the limit is %d", len(at), took, limit)
	}
	t.Logf("worst second %d, %d messages in %s", worst, len(at), took)
}

// most is how many messages a rate allows in a time, with the first at its
// beginning.
func most(rate float64, d time.Duration) int { return 1 + int(rate*d.Seconds()) }
