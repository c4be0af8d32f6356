package e2e

import (
	"slices"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestRateIsACeiling lets three workers share 200/s for 20 s, and looks at
// every window of one second at the sink.
func TestRateIsACeiling(t *testing.T) {
	const rate, seconds = 200, 20
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
	// A tenth of slack: a busy machine reads late what was sent in time, and
	// then all at once.
	if worst > rate*110/100 {
		t.Errorf("%d messages in one second, the limit is %d", worst, rate)
	}
	took := at[len(at)-1].Sub(at[0]).Seconds()
	if got := float64(len(at)-1) / took; got < rate/2 {
		t.Errorf("%.1f/s over the whole, want at least half of %d", got, rate)
	}
	t.Logf("worst second %d, %.1f/s over %.1f s", worst, float64(len(at)-1)/took, took)
}
