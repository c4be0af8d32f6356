package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// errFull is the end of a wait for a place below the ceiling.
var errFull = errors.New("as many connections as redis.max_connections allows are open")

// A ceiling makes every connection of a store, whatever part of the program asks for it, and holds
// the number of those to each server at its limit. The pools are sized so that
// no one waits here for long; what they do not count, like a connection for a
// subscription that its owner lost, cannot break the limit either.
type ceiling struct {
	limit  int
	secure *tls.Config // nil: without TLS

	mu    sync.Mutex
	open  map[string]map[*counted]struct{} // by address; guarded by mu
	freed chan struct{}                    // closed and replaced when a place is free; guarded by mu
}

func newCeiling(limit int, s *server) *ceiling {
	c := &ceiling{limit: limit, open: map[string]map[*counted]struct{}{}, freed: make(chan struct{})}
	if s.tls {
		c.secure = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.insecure} //nolint:gosec // only when the setting asks for it
	}
	return c
}

// A counted connection has a place below the ceiling until it is closed.
type counted struct {
	net.Conn
	close func() error
}

// Close closes the connection and frees its place, once.
func (c *counted) Close() error { return c.close() }

// SyscallConn lets go-redis look whether the connection is still open before
// it is used.
func (c *counted) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// dial connects, and waits for a place until ctx ends or dialTime is over.
func (c *ceiling) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	place, err := c.place(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to redis at %s: %w", addr, err)
	}
	d := net.Dialer{KeepAlive: 30 * time.Second}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, errors.Join(err, place.Close())
	}
	c.mu.Lock()
	place.Conn = raw
	c.mu.Unlock()
	if c.secure == nil {
		return place, nil
	}
	cfg := c.secure.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		cfg.ServerName = host
	}
	conn := tls.Client(place, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, place.Close())
	}
	return conn, nil
}

// place waits for a place.
func (c *ceiling) place(ctx context.Context, addr string) (*counted, error) {
	for {
		c.mu.Lock()
		if len(c.open[addr]) < c.limit {
			p := &counted{}
			p.close = sync.OnceValue(func() error { return c.free(addr, p) })
			if c.open[addr] == nil {
				c.open[addr] = map[*counted]struct{}{}
			}
			c.open[addr][p] = struct{}{}
			c.mu.Unlock()
			return p, nil
		}
		freed := c.freed
		c.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errFull, context.Cause(ctx))
		}
	}
}

// free closes the connection, if there is one yet, and gives its place away.
func (c *ceiling) free(addr string, p *counted) error {
	c.mu.Lock()
	raw := p.Conn
	c.mu.Unlock()
	var err error
	if raw != nil {
		err = raw.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open[addr], p)
	if len(c.open[addr]) == 0 {
		delete(c.open, addr)
	}
	close(c.freed)
	c.freed = make(chan struct{})
	return err
}

// sever closes every connection that is open.
func (c *ceiling) sever() {
	c.mu.Lock()
	var all []*counted
	for _, conns := range c.open {
		for p := range conns {
			if p.Conn != nil { // else it is still being dialled, to where is open
				all = append(all, p)
			}
		}
	}
	c.mu.Unlock()
	for _, p := range all {
		_ = p.Close() // its user gets the error
	}
}
