//go:build unix

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
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
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), resident(r)
}

// resident returns the largest resident size of this process in bytes. Linux's
// ru_maxrss begins with that of the process that started it, so /proc is asked.
func resident(r syscall.Rusage) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		var kb int64
		for line := range strings.Lines(string(status)) {
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
				return kb << 10
			}
		}
	}
	if runtime.GOOS == "darwin" {
		return int64(r.Maxrss)
	}
	return int64(r.Maxrss) << 10
}
