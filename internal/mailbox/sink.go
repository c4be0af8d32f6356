package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"broadside/internal/crash"
	"broadside/internal/failure"
)

// A Sink stores what a message says. nil: it is stored, or of no use to us, and the
// mailbox may forget it. An error of the kind failure.ErrInvalid is about the message
// itself, and would be the same the next time. Any other error means that it could not
// be stored now.
//
// source is the mailbox, without its password. message ends early where the message is
// longer than MaxMessage bytes. envelope are the recipients of its envelope, where they are
// known.
type Sink interface {
	Ingest(ctx context.Context, source string, message io.Reader, envelope ...string) error
}

// MaxMessage is how much of a message is handed over, in bytes.
const MaxMessage = 25 << 20

const (
	// ingestWithin is how long a sink may take for one message.
	ingestWithin = 10 * time.Second
	// maxIngests is how many messages may be with the sink at once: one for each
	// mailbox that is read, and those that were given up and have not come back.
	maxIngests = 30
)

// ErrTooSlow: the sink took longer than it may.
var ErrTooSlow = fmt.Errorf("it was not stored within %s", ingestWithin)

// A Gate hands messages to a sink. What the sink does with one, and for how long, does
// no harm to the next. It is safe for concurrent use.
type Gate struct {
	sink    Sink
	crashes *crash.Reporter
	places  chan struct{} // has an entry for each message that is with the sink
}

// NewGate returns a gate in front of sink.
func NewGate(sink Sink, log *slog.Logger) *Gate {
	return &Gate{sink: sink, crashes: crash.NewReporter(log), places: make(chan struct{}, maxIngests)}
}

// Offer gives a message to the sink. unfit is why the message has to go to quarantine,
// ErrTooSlow among others; err is why it has to come again. Both are nil when it is
// stored.
//
// A sink that takes too long, whatever its context says, is left behind with its message;
// there are at most maxIngests of those.
func (g *Gate) Offer(ctx context.Context, source string, message []byte, envelope ...string) (unfit, err error) {
	select {
	case g.places <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}

	limited, cancel := context.WithTimeout(ctx, ingestWithin)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() { <-g.places }()
		done <- g.ingest(limited, source, message, envelope)
	}()

	select {
	case err = <-done:
	case <-limited.Done():
		err = limited.Err()
	}

	var fault *crash.Fault
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return ErrTooSlow, nil
	case errors.Is(err, failure.ErrInvalid) || errors.As(err, &fault):
		return err, nil
	}
	return nil, fmt.Errorf("store message: %w", err)
}

// ingest calls the sink; a panic becomes an error.
func (g *Gate) ingest(ctx context.Context, source string, message []byte, envelope []string) (err error) {
	defer g.crashes.Recover(func(f *crash.Fault) { err = f }, "mailbox", source)
	return g.sink.Ingest(ctx, source, bytes.NewReader(message), envelope...)
}
