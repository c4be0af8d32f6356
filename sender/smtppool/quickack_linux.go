package smtppool

import (
	"net"
	"syscall"
)

// quickAck has what comes next acknowledged at once. A server that writes its
// replies one by one, or answers the final dot before it reads the envelope behind
// it (Postfix, when its buffer ends between them), holds the second one back until
// we do (Nagle), and we would wait 40 ms with that. The kernel forgets it: it is said each time.
func quickAck(conn net.Conn) {
	t, ok := conn.(syscall.Conn)
	if !ok {
		return
	}

	raw, err := t.SyscallConn()
	if err != nil {
		return
	}

	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // it is but slower without
	})
}
