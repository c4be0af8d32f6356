package testkit

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Wire is a TCP proxy within the test that can be cut and mended: the
// network between a process and the server at one address.
type Wire struct {
	l    net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	to    string
	conns map[net.Conn]bool
	state wireState
	moved chan struct{} // closed and replaced when state changes
}

type wireState int

const (
	whole wireState = iota
	cut             // connections are closed, new ones at once
	mute            // connections stay, nothing passes
	ended
)

// NewWire starts a wire to the server at addr.
func NewWire(t testing.TB, addr string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for a wire: %v", err)
	}
	w := &Wire{to: addr, l: l, conns: map[net.Conn]bool{}, moved: make(chan struct{})}
	w.done.Go(w.accept)
	t.Cleanup(func() {
		w.set(ended)
		l.Close()
		w.done.Wait()
	})
	return w
}

// Addr returns the address to use in place of the server's.
func (w *Wire) Addr() string { return w.l.Addr().String() }

// Cut closes every connection, and new ones at once, until Mend.
func (w *Wire) Cut() { w.set(cut) }

// Mute lets nothing pass until Mend: connections stay open and hang.
func (w *Wire) Mute() { w.set(mute) }

// Mend ends Cut and Mute.
func (w *Wire) Mend() { w.set(whole) }

// Lead closes every connection and lets new ones lead to another server: a
// name that moves.
func (w *Wire) Lead(addr string) {
	w.Cut()
	w.Divert(addr)
	w.Mend()
}

// Divert lets new connections lead to another server; those that are open
// stay with the old one.
func (w *Wire) Divert(addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = addr
}

func (w *Wire) target() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to
}

func (w *Wire) set(s wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
	close(w.moved)
	w.moved = make(chan struct{})
	if s == cut || s == ended {
		for c := range w.conns {
			c.Close()
		}
	}
}

// keep notes a connection, so that a cut closes it; false when it is cut now.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == cut || w.state == ended {
		return false
	}
	w.conns[c] = true
	return true
}

func (w *Wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	c.Close()
}

func (w *Wire) accept() {
	for {
		c, err := w.l.Accept()
		if err != nil {
			return
		}
		w.done.Go(func() { w.forward(c) })
	}
}

func (w *Wire) forward(c net.Conn) {
	defer w.drop(c)
	if !w.keep(c) || !w.passes() {
		return
	}
	server, err := net.Dial("tcp", w.target())
	if err != nil {
		return
	}
	defer w.drop(server)
	if !w.keep(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.carry(server, c) })
	both.Go(func() { w.carry(c, server) })
	both.Wait()
}

// passes waits while the wire is mute; false when it was cut.
func (w *Wire) passes() bool {
	for {
		w.mu.Lock()
		state, moved := w.state, w.moved
		w.mu.Unlock()
		if state != mute {
			return state == whole
		}
		<-moved
	}
}

// carry copies until one side ends, and then ends both.
func (w *Wire) carry(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if !w.passes() {
				return
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err == io.EOF {
				w.passes() // the end travels no faster than the rest
			}
			return
		}
	}
}
