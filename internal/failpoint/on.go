//go:build faults && unix

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// reached is how long the kernel may take to stop every thread.
const reached = 300 * time.Millisecond

// A fault is what FAILPOINT asks for.
type fault struct {
	name string
	nth  int64
	sig  syscall.Signal
}

// asked is read once: the environment of a process does not change.
var asked = sync.OnceValue(func() (f fault) {
	name, rest, _ := strings.Cut(os.Getenv("FAILPOINT"), ":")
	count, how, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		return fault{}
	}
	f = fault{name: name, nth: n, sig: syscall.SIGKILL}
	if how == "stop" {
		f.sig = syscall.SIGSTOP
	}
	return f
})

// hits counts how often the point that was asked for was come to.
var hits atomic.Int64

// Hit is called at the point name.
func Hit(name string) {
	f := asked()
	if f.name != name || hits.Add(1) != f.nth {
		return
	}
	_ = syscall.Kill(os.Getpid(), f.sig) // cannot fail for the process itself
	// The signal reaches all threads only after a moment, in which nothing more
	// may happen here. A process that was frozen for longer goes on at once.
	time.Sleep(reached)
}

// Half returns how much of n bytes of a body may leave before InBody is come
// to: one half when that is the point that was asked for.
func Half(n int) int {
	if asked().name != InBody {
		return n
	}
	return (n + 1) / 2
}

// LaneTempo returns by what the times of lanes are multiplied: LANE_TEMPO, or 1.
func LaneTempo() float64 {
	by, err := strconv.ParseFloat(os.Getenv("LANE_TEMPO"), 64)
	if err != nil || by <= 0 {
		return 1
	}
	return by
}
