//go:build !faults

package failpoint

import "testing"

// TestAnOrdinaryBuildHasNoFaults shows that the environment means nothing
// without the build tag: the process lives on.
func TestAnOrdinaryBuildHasNoFaults(t *testing.T) {
	t.Setenv("FAILPOINT", InBody+":1")
	t.Setenv("LANE_TEMPO", "0.5")
	Hit(InBody)
	if got := Half(10); got != 10 {
		t.Errorf("half of a body of 10 bytes is %d, want all of it", got)
	}
	if got := LaneTempo(); got != 1 {
		t.Errorf("lanes take %v of their times, want all of them", got)
	}
}
