package store

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// connPair returns the two ends of a connection within the process. A write
// never blocks: it goes to a buffer that grows. So neither a pipeline whose
// replies come before it is wholly written, nor a server that writes to a
// client which is still writing, can stand still, as they do on a net.Pipe
// and, beyond some megabytes, on TCP.
//
// An end may be read by one goroutine at a time, and written by one.
func connPair() (client, server net.Conn) {
	a, b := newStream(), newStream()
	return &conn{in: a, out: b}, &conn{in: b, out: a}
}

type conn struct{ in, out *stream }

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions. The other end still reads what was written.
func (c *conn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return addr{} }
func (c *conn) RemoteAddr() net.Addr { return addr{} }

func (c *conn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error { c.in.setDeadline(t); return nil }

// SetWriteDeadline does nothing: a write does not wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "embedded" }

// keep is the size of an empty buffer, in bytes, that is worth keeping.
const keep = 64 << 10

// A stream is one direction of a connection.
type stream struct {
	wake chan struct{} // holds one when the reader should look again

	mu       sync.Mutex
	data     []byte    // guarded by mu, like all below
	read0    int       // where the unread part of data begins
	closed   bool      // no more is written
	deadline time.Time // of the reader
}

func newStream() *stream { return &stream{wake: make(chan struct{}, 1)} }

func (s *stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default: // it is told already
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.data = append(s.data, p...)
	s.notify()
	return len(p), nil
}

func (s *stream) read(p []byte) (int, error) {
	for {
		n, deadline, err := s.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if deadline.IsZero() {
			<-s.wake
			continue
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take reads what is there, without waiting.
func (s *stream) take(p []byte) (int, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.read0 < len(s.data):
		n := copy(p, s.data[s.read0:])
		if s.read0 += n; s.read0 == len(s.data) {
			s.read0, s.data = 0, s.data[:0]
			if cap(s.data) > keep {
				s.data = nil
			}
		}
		return n, time.Time{}, nil
	case s.closed:
		s.notify() // for the next reader
		return 0, time.Time{}, io.EOF
	case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
		return 0, time.Time{}, os.ErrDeadlineExceeded
	}
	return 0, s.deadline, nil
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.notify()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.notify()
}
