package testkit

import (
	"context"
	"testing"
	"time"

	"broadside/internal/wire"
)

// NewWire starts a wire to the server at addr, within this process.
func NewWire(t testing.TB, addr string) *wire.Wire {
	t.Helper()
	return NewLongWire(t, addr, 0)
}

// NewLongWire starts a wire that makes the server at addr look rtt away.
func NewLongWire(t testing.TB, addr string, rtt time.Duration) *wire.Wire {
	t.Helper()
	w, err := wire.Listen(addr, rtt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w
}
