// Package wire is a TCP proxy on loopback that stands between a process and a
// server. It can delay the traffic, cut it, fall silent, and lead to another
// server. Tests and internal/bench use it.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Wire leads to the server at one address.
type Wire struct {
	listener net.Listener
	rtt      time.Duration

	mu    sync.Mutex
	to    string
	conns map[net.Conn]bool
	state state
	moved chan struct{} // closed and replaced when state changes
}

type state int

const (
	whole state = iota
	cut         // connections are closed, new ones at once
	mute        // connections stay, nothing passes
)

// Listen opens a wire to the server at addr; Serve lets connections through.
// Every byte takes half of rtt in each direction; order and bandwidth stay as
// they are.
func Listen(addr string, rtt time.Duration) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of %s: %w", addr, err)
	}
	return &Wire{listener: l, rtt: rtt, to: addr, conns: map[net.Conn]bool{}, moved: make(chan struct{})}, nil
}

// Addr returns the address to use in place of the server's.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

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

func (w *Wire) set(s state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
	close(w.moved)
	w.moved = make(chan struct{})
	if s == cut {
		for c := range w.conns {
			c.Close()
		}
	}
}

// keep notes a connection, so that a cut closes it; false when it is cut now.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == cut {
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

// Serve lets connections through until ctx ends; then all are closed.
func (w *Wire) Serve(ctx context.Context) error {
	var open sync.WaitGroup
	defer open.Wait()
	defer w.Cut()
	stop := context.AfterFunc(ctx, func() { w.listener.Close() })
	defer stop()
	for {
		c, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept in front of %s: %w", w.target(), err)
		}
		open.Go(func() { w.forward(ctx, c) })
	}
}

func (w *Wire) forward(ctx context.Context, client net.Conn) {
	defer w.drop(client)
	if !w.keep(client) || !w.handshake(ctx) || !w.passes() {
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", w.target())
	if err != nil {
		return // the client sees the connection closed
	}
	defer w.drop(server)
	if !w.keep(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.carry(server, client) })
	both.Go(func() { w.carry(client, server) })
	both.Wait()
}

// handshake waits for as long as that of TCP takes; false when ctx ends first.
func (w *Wire) handshake(ctx context.Context) bool {
	t := time.NewTimer(w.rtt)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
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
