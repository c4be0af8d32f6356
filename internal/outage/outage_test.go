package outage

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

// said returns a notice and the messages that it has logged.
func said() (*Notice, func() string) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}))
	return NewNotice(log, "fails", "works"), func() string { return strings.ReplaceAll(b.String(), "msg=", "") }
}

func TestANoticeSaysEachChangeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, lines := said()
		n.Note(nil) // always did
		for range 50 {
			n.Note(errAway)
			time.Sleep(20 * time.Millisecond)
			n.Note(nil) // another caller, luckier
		}
		if got := lines(); got != "fails\n" {
			t.Errorf("while some tries fail it says %q", got)
		}
		n.Note(context.Canceled)
		time.Sleep(steady)
		for range 5 {
			n.Note(nil)
		}
		if got := lines(); got != "fails\nworks\n" {
			t.Errorf("after the end it says %q", got)
		}
		n.Note(errAway)
		if got := lines(); got != "fails\nworks\nfails\n" {
			t.Errorf("the next time it says %q", got)
		}
	})
}

func TestAShutGateLetsOneTryASecondThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, lines := said()
		g := NewGate(n)
		var tries atomic.Int64
		var away atomic.Bool
		away.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for g.Try(ctx) == nil {
					tries.Add(1)
					if away.Load() {
						g.Tell(errAway)
						continue
					}
					g.Tell(nil)
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		passed := make(chan time.Time, 1)
		go func() {
			time.Sleep(time.Millisecond)
			if g.Pass(ctx) == nil {
				passed <- time.Now()
			}
		}()
		time.Sleep(10*time.Second + 500*time.Millisecond)
		if got := tries.Load(); got < 10 || got > 8+11 { // at first none of the eight knows
			t.Errorf("%d tries in 10.5 s", got)
		}
		if len(passed) > 0 {
			t.Error("the gate was open")
		}
		away.Store(false)
		over := time.Now()
		if after := (<-passed).Sub(over); after > rest {
			t.Errorf("open %s after it worked again", after)
		}
		before := tries.Load()
		time.Sleep(time.Second)
		if got := tries.Load() - before; got < 700 {
			t.Errorf("%d tries in a second of an open gate", got)
		}
		stop()
		wg.Wait()
		if got := lines(); got != "fails\nworks\n" {
			t.Errorf("said %q", got)
		}
	})
}

func TestTheEndOfAContextEndsTheWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, _ := said()
		g := NewGate(n)
		g.Tell(errAway)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- g.Try(ctx) }()
		go func() { ended <- g.Pass(ctx) }()
		synctest.Wait()
		stop()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}
