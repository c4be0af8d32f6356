package mailbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"broadside/internal/failure"
)

// A sinkFunc is a sink.
type sinkFunc func(ctx context.Context) error

func (f sinkFunc) Ingest(ctx context.Context, _ string, _ io.Reader, _ ...string) error {
	return f(ctx)
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	t.Parallel()
	away := errors.New("redis is away")
	release := make(chan struct{})
	for _, tt := range []struct {
		name  string
		sink  func(ctx context.Context) error
		unfit bool
		err   error
		takes time.Duration
	}{
		{"stored", func(context.Context) error { return nil }, false, nil, 0},
		{"no message", func(context.Context) error { return failure.Invalid("no message") }, true, nil, 0},
		{"a panic", func(context.Context) error { panic("index out of range") }, true, nil, 0},
		{"the store is away", func(context.Context) error { return away }, false, away, 0},
		{"the store gives up by itself", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}, false, context.DeadlineExceeded, 5 * time.Second},
		{"too slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, true, nil, ingestWithin},
		{"too slow, and does not listen", func(context.Context) error { <-release; return nil }, true, nil, ingestWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			release = make(chan struct{})
			g := NewGate(sinkFunc(tt.sink), slog.New(slog.DiscardHandler))
			began := time.Now()
			unfit, err := g.Offer(t.Context(), "imap://bounces@imap.acme.example:143/INBOX", []byte("x"))
			if (unfit != nil) != tt.unfit || !errors.Is(err, tt.err) || time.Since(began) != tt.takes {
				t.Errorf("%s: got unfit %v, error %v after %s", tt.name, unfit, err, time.Since(began))
			}
			close(release)
		})
	}
}

// TestAMessageThatWasStoredIsNeverTakenForOneThatWasNot offers many messages to a sink that
// is quick: whether one was stored must not depend on which goroutine is ahead.
func TestAMessageThatWasStoredIsNeverTakenForOneThatWasNot(t *testing.T) {
	t.Parallel()
	g := NewGate(sinkFunc(func(context.Context) error { return nil }), slog.New(slog.DiscardHandler))
	for range 20_000 {
		if unfit, err := g.Offer(t.Context(), "", nil); unfit != nil || err != nil {
			t.Fatalf("got %v, %v", unfit, err)
		}
	}
}

func TestASinkThatHangsIsNotLeftBehindWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := NewGate(sinkFunc(func(context.Context) error { <-release; return nil }), slog.New(slog.DiscardHandler))
		for range maxIngests {
			if unfit, err := g.Offer(t.Context(), "", nil); unfit == nil || err != nil {
				t.Fatalf("got %v, %v", unfit, err)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if unfit, err := g.Offer(ctx, "", nil); unfit != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more: got %v, %v, want to wait for a place", unfit, err)
		}
		close(release)
	})
}
