package app

import (
	"context"
	"errors"
	"time"

	"broadside/internal/queue"
)

// closeTime is how long the connections to Redis may take to close.
const closeTime = 700 * time.Millisecond

// errLeftBehind ends a process in which something did not end in time.
var errLeftBehind = errors.New("not everything ended in time (redis does not answer?): claims that are still open become uncertain, what could not be given back is issued again later")

// A shutdown shares out worker.drain, the time from the signal to the end of
// the process. Each part has what the ones before it have left.
type shutdown struct {
	bodies time.Duration // for messages on the wire
	rest   time.Duration // then, to record outcomes, give back and say good-bye
	all    time.Duration // then the process waits no longer, apart from closeTime
}

func shutdownOf(drain time.Duration) shutdown {
	bodies := max(drain*3/4, drain-5*time.Second)
	rest := (drain - bodies) * 3 / 5
	return shutdown{bodies: bodies, rest: rest, all: bodies + rest + (drain-bodies)/5}
}

// runBounded runs a part of a process as within does, and notes when something of it was
// left behind, which may still use the connections.
func (a *App) runBounded(ctx context.Context, run func(context.Context) error) error {
	err := within(ctx, shutdownOf(a.Config.Worker.Drain).all, run)
	if errors.Is(err, errLeftBehind) || errors.Is(err, queue.ErrLeft) {
		a.left.Store(true)
	}
	return err
}

// within runs something until it returns, which it should soon after the end of
// ctx. When it does not within limit, it is left behind: go-redis waits for a
// Redis that hangs whatever its context says.
func within(ctx context.Context, limit time.Duration, run func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errLeftBehind
	}
}
