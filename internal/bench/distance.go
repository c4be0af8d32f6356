package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A distance makes a server look far away: it forwards connections and holds
// every byte for half a round trip in each direction. Order and bandwidth stay
// as they are.
type distance struct {
	l    net.Listener
	to   string
	half time.Duration
}

func newDistance(to string, rtt time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of %s: %w", to, err)
	}
	return &distance{l, to, rtt / 2}, nil
}

func (d *distance) addr() string { return d.l.Addr().String() }

// serve forwards until ctx ends.
func (d *distance) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := d.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept in front of %s: %w", d.to, err)
		}
		wg.Go(func() { d.forward(ctx, c) })
	}
}

func (d *distance) forward(ctx context.Context, c net.Conn) {
	defer c.Close()
	select {
	case <-time.After(2 * d.half): // of TCP's handshake
	case <-ctx.Done():
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", d.to)
	if err != nil {
		return // the client sees the connection closed
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { c.Close(); server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { d.carry(server, c) })
	both.Go(func() { d.carry(c, server) })
	both.Wait()
}

// A late piece is what one read returned, and when it is due; without bytes it
// is the end.
type late struct {
	due   time.Time
	bytes []byte
}

// carry copies from src to dst, each piece half a round trip later.
func (d *distance) carry(dst io.WriteCloser, src io.ReadCloser) {
	way := make(chan late, 1024)
	go func() { // ends with src, which carry closes
		defer close(way)
		for b := make([]byte, 64<<10); ; {
			n, err := src.Read(b)
			if n > 0 {
				way <- late{time.Now().Add(d.half), bytes.Clone(b[:n])}
			}
			if err != nil {
				way <- late{due: time.Now().Add(d.half)}
				return
			}
		}
	}()
	a, err := newAlarm()
	if err != nil {
		dst.Close() // both ends see it closed
		src.Close()
	} else {
		defer a.close()
	}
	ended := err != nil
	for p := range way {
		if ended {
			continue // until the reader has noticed
		}
		err := a.wait(p.due)
		if err == nil && len(p.bytes) > 0 {
			if _, err = dst.Write(p.bytes); err == nil {
				continue
			}
		}
		ended = true
		dst.Close()
		src.Close()
	}
}
