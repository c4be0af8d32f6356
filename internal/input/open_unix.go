//go:build unix

package input

import (
	"os"

	"golang.org/x/sys/unix"
)

// openWithoutWaiting opens a name. A pipe without a writer is opened too, and a
// terminal does not become that of the program.
func openWithoutWaiting(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// waitForWriter returns when there is something to read from a pipe, or its writer is
// gone: until the first one comes a read would report the end of the pipe.
func waitForWriter(pipe *os.File) error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var ready bool
		ready, failed = readable(fd)
		return ready || failed != nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// readable reports whether a read would not wait.
func readable(fd uintptr) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return n > 0, err
	}
}
