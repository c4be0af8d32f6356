package store

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// listen accepts connections and keeps them open until the test ends.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestCeilingHoldsForEachServer(t *testing.T) {
	t.Parallel()
	addr, other := listen(t), listen(t)
	c := newCeiling(2, &server{})
	dial := func(addr string) net.Conn {
		t.Helper()
		conn, err := c.dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		return conn
	}
	first := dial(addr)
	dial(addr)
	dial(other) // has a limit of its own

	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.dial(soon, "tcp", addr); !errors.Is(err, errFull) {
		t.Errorf("third connection: got %v, want %v", err, errFull)
	}
	waiting := make(chan error)
	go func() {
		_, err := c.dial(t.Context(), "tcp", addr)
		waiting <- err
	}()
	for range 2 { // the second time is nothing
		if err := first.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := <-waiting; err != nil {
		t.Errorf("dial once a place is free: %v", err)
	}
}

func TestCeilingFreesThePlaceOfAFailedDial(t *testing.T) {
	t.Parallel()
	c := newCeiling(1, &server{})
	for range 3 {
		if _, err := c.dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil || errors.Is(err, errFull) {
			t.Errorf("dial: got %v, want that nobody listens", err)
		}
	}
	secure := newCeiling(1, &server{tls: true})
	l := listen(t)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := secure.dial(soon, "tcp", l); err == nil || errors.Is(err, errFull) {
		t.Errorf("dial of a server without TLS: got %v", err)
	}
	if len(secure.open) != 0 {
		t.Error("the place is still taken after a failed handshake")
	}
}

func TestSeverClosesAll(t *testing.T) {
	t.Parallel()
	addr := listen(t)
	c := newCeiling(2, &server{})
	var conns []net.Conn
	for range 2 {
		conn, err := c.dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		conns = append(conns, conn)
	}
	read := make(chan error)
	go func() {
		_, err := io.ReadFull(conns[0], make([]byte, 1))
		read <- err
	}()
	c.sever()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a reader: got %v, want %v", err, net.ErrClosed)
	}
	for range 2 {
		if _, err := c.dial(t.Context(), "tcp", addr); err != nil {
			t.Errorf("dial afterwards: %v", err)
		}
	}
	if err := conns[1].Close(); err != nil {
		t.Errorf("Close of a severed connection: %v", err)
	}
}
