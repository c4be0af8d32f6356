//go:build unix

package bench

import (
	"runtime"
	"syscall"
	"time"
)

// consumed returns the CPU time of this process and its largest resident size
// in bytes.
func consumed() (cpu time.Duration, memory int64) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0, 0
	}
	unit := int64(1024)
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), int64(r.Maxrss) * unit
}
