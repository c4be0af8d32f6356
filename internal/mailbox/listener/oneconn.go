package listener

import (
	"bufio"
	"bytes"
	"net"
	"sync"
)

// A oneConn is a connection, and the net.Listener that accepts it alone.
type oneConn struct {
	net.Conn
	r      *bufio.Reader
	lmtp   func() // is called once when the client speaks LMTP
	asked  bool   // the first command has come; used by the reader alone
	given  bool   // Accept has returned it; used by the caller of Accept alone
	close  sync.Once
	closed chan struct{}
}

func newOneConn(c net.Conn, lmtp func()) *oneConn {
	return &oneConn{Conn: c, r: bufio.NewReader(c), lmtp: lmtp, closed: make(chan struct{})}
}

// Accept returns the connection, and when it is closed net.ErrClosed.
func (o *oneConn) Accept() (net.Conn, error) {
	if !o.given {
		o.given = true
		return o, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

// Addr implements net.Listener.
func (o *oneConn) Addr() net.Addr { return o.LocalAddr() }

// Read looks at the first command before the server does.
func (o *oneConn) Read(b []byte) (int, error) {
	if !o.asked {
		o.asked = true
		first, err := o.r.Peek(len("LHLO"))
		if err == nil && bytes.EqualFold(first, []byte("LHLO")) {
			o.lmtp()
		}
	}
	return o.r.Read(b)
}

// Close implements net.Conn and net.Listener.
func (o *oneConn) Close() error {
	o.close.Do(func() { close(o.closed) })
	return o.Conn.Close()
}
