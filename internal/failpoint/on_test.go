//go:build faults && unix

package failpoint

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestTheNthHitKills runs itself as the process that dies.
func TestTheNthHitKills(t *testing.T) {
	if os.Getenv("FAILPOINT") != "" {
		Hit(AfterDot) // another point
		for range 3 {
			Hit(InBody)
		}
		os.Exit(Half(11)) // reached only if the third does not kill
	}
	for asked, want := range map[string]syscall.Signal{InBody + ":3": syscall.SIGKILL, InBody + ":4": -1, "nonsense": -1} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestTheNthHitKills$")
		cmd.Env = append(os.Environ(), "FAILPOINT="+asked)
		_ = cmd.Run() // how it ended is in ProcessState
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if got := status.Signal(); got != want {
			t.Errorf("%s: ended by signal %d, want %d (exit code %d)", asked, got, want, status.ExitStatus())
		}
	}
}

func TestLaneTempo(t *testing.T) {
	for text, want := range map[string]float64{"": 1, "0.5": 0.5, "-1": 1, "nonsense": 1} {
		t.Setenv("LANE_TEMPO", text)
		if got := LaneTempo(); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
