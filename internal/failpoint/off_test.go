//go:build !faults

package failpoint

import "testing"

// TestAnOrdinaryBuildHasNoFaults shows that the environment means nothing
// without the build tag: the process lives on.
func TestAnOrdinaryBuildHasNoFaults(t *testing.T) {
	t.Setenv("FAILPOINT", InBody+":1")
	Hit(InBody)
	if got := Half(10); got != 10 {
		t.Errorf("half of a body of 10 bytes is %d, want all of it", got)
	}
}
