//go:build unix

package smtppool

import (
	"errors"
	"syscall"
	"time"
)

// quiet reports whether an idle connection is as it was left. A server that
// closed it, or said why it is about to, has made it readable.
func (c *Conn) quiet() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	sc, ok := c.raw.(syscall.Conn)
	if !ok {
		return true // not a socket: the next command will tell
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	c.limit(time.Second) // a deadline that has passed would end the look
	quiet := false
	err = rc.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}
