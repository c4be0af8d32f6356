package wire

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// An alarm waits for moments, to some microseconds. Go's own timers may be a
// millisecond late, which is much compared with a round trip; a sleep in the kernel
// would be exact, but keeps a thread and costs the runtime more than a message
// costs its sender. So it is a timer of the kernel that Go polls like a socket.
type alarm struct {
	fd   uintptr
	file *os.File // owns fd
}

func newAlarm() (*alarm, error) {
	const monotonic = 1
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, fmt.Errorf("make a timer: %w", errno)
	}
	return &alarm{fd, os.NewFile(fd, "timer")}, nil
}

// wait returns at t, or at once when that is over.
func (a *alarm) wait(t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	spec := struct{ every, after syscall.Timespec }{after: syscall.NsecToTimespec(d.Nanoseconds())}
	if _, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, a.fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("set a timer: %w", errno)
	}
	var expired [8]byte
	_, err := a.file.Read(expired[:])
	return err
}

func (a *alarm) close() { a.file.Close() }
