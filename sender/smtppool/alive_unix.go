//go:build unix

package smtppool

import (
	"errors"
	"net"
	"syscall"
)

// readable reports whether a connection has something to read: bytes, its end
// or an error. It waits for nothing. The deadline must not have passed, since
// that would end the look.
func readable(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false // not a socket: the next command will tell
	}

	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}

	found := true
	err = rc.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		found = !errors.Is(err, syscall.EAGAIN)
		return true
	})

	return err != nil || found
}
