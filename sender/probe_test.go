package sender

import (
	"log/slog"
	"testing"
	"time"
)

// TestAClosedAccountIsProbedByOneConnection: what was taken before the account
// closed ends no probe when it is over, nor does a probe that was put back.
func TestAClosedAccountIsProbedByOneConnection(t *testing.T) {
	t.Parallel()
	w := &Worker{cfg: Config{Log: slog.New(slog.DiscardHandler)}}
	a := newAccount(w, AccountConfig{Name: "relay", Connections: 9})
	now, r := time.Now(), &run{}
	for range 4 {
		a.putBack(&item{run: r}, time.Time{})
	}
	take := func(want bool) uint64 {
		t.Helper()
		it, _ := a.pop(now)
		if (it != nil) != want {
			t.Fatalf("took an item: %v, want %v", it != nil, want)
		}
		if it == nil {
			return 0
		}
		return it.probe
	}
	before := take(true)
	a.failures = 1 // as close does
	first := take(true)
	if before != 0 || first == 0 {
		t.Fatalf("probes %d and %d, want the second to be one", before, first)
	}
	if a.spare(now) != nil {
		t.Error("an item beside the probe, for a connection that has one")
	}
	a.probed(before)
	take(false) // the probe is under way
	a.probed(first)
	second := take(true)
	a.probed(first)
	take(false) // the second probe is under way
	a.probed(second)
	a.failures = 0 // as works does
	if take(true) != 0 {
		t.Error("a probe of an account that works")
	}
}
