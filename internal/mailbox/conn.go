package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"broadside/configs"
)

const (
	// dialWithin is how long it may take to connect, with TLS.
	dialWithin = 30 * time.Second
	// stepWithin is how long the answer to one command may take.
	stepWithin = time.Minute
	// fetchWithin is how long one message may take: MaxMessage at 1 Mbit/s.
	fetchWithin = 4 * time.Minute

	// maxStep is how many bytes the answer to one command may have: a message, or the
	// numbers of a few million.
	maxStep = MaxMessage + 8<<20
)

// errTooMuch ends a connection whose server sends without end.
var errTooMuch = errors.New("the server has sent more than it was asked for")

// A conn is a connection on which every step has a deadline and a limit of bytes, and
// which ends with its context. The deadlines that a protocol's package sets are not
// used: that of go-imap waits without one where no answer has begun.
type conn struct {
	net.Conn
	left atomic.Int64 // bytes that may still be read in this step
	stop func() bool  // of the watch over the context
}

// A dialer opens connections to mailboxes.
type dialer struct {
	roots *x509.CertPool // nil: those of the system
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
}

// open connects to a mailbox, without TLS so far. The connection is closed when ctx ends.
func (d dialer) open(ctx context.Context, m configs.Mailbox) (*conn, error) {
	limited, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	raw, err := d.dial(limited, "tcp", m.Address())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}

	c := &conn{Conn: raw}
	c.stop = context.AfterFunc(ctx, func() { _ = raw.Close() })
	c.step(dialWithin, maxStep)
	return c, nil
}

// tlsConfig is for a server under the name that the configuration has for it.
func (d dialer) tlsConfig(m configs.Mailbox) *tls.Config {
	return &tls.Config{ServerName: m.Host, RootCAs: d.roots, MinVersion: tls.VersionTLS12}
}

// secure begins TLS on c.
func (d dialer) secure(ctx context.Context, c net.Conn, m configs.Mailbox) (net.Conn, error) {
	over := tls.Client(c, d.tlsConfig(m))
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("begin TLS: %w", err)
	}
	return over, nil
}

// step begins the next step, which must end within a time and a number of bytes.
func (c *conn) step(within time.Duration, most int64) {
	c.left.Store(most)
	_ = c.Conn.SetDeadline(time.Now().Add(within)) // a connection without one is closed: the next read says so
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, errTooMuch
	}
	if int64(len(b)) > left {
		b = b[:left]
	}
	n, err := c.Conn.Read(b)
	c.left.Add(-int64(n))
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// SetDeadline does nothing: step sets deadlines.
func (*conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: step sets deadlines.
func (*conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: step sets deadlines.
func (*conn) SetWriteDeadline(time.Time) error { return nil }
