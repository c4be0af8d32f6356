package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
)

// TestAPanicIsTroubleWithOneOccurrence: it stays due, says why, and is fired
// when the fault is gone; another schedule does not notice.
func TestAPanicIsTroubleWithOneOccurrence(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		at := soon(t, s)
		put(t, s, "bad", Timing{At: at})
		put(t, s, "good", Timing{At: at})
		r := &runs{made: map[string]int{}}
		var mended atomic.Bool
		firing(t, s, func(ctx context.Context, f Firing, renewClaim func(context.Context) error) (Made, error) {
			if f.ID == "bad" && !mended.Load() {
				var none []int
				_ = none[len(f.ID)]
			}
			return r.make(ctx, f, renewClaim)
		})
		until(t, s, "good", func(e *Entry) bool { return e.Fired == 1 })
		e := until(t, s, "bad", func(e *Entry) bool { return e.Trouble != "" })
		if want := "internal fault in scheduler.TestAPanicIsTroubleWithOneOccurrence"; len(e.Trouble) < len(want) || e.Trouble[:len(want)] != want {
			t.Errorf("trouble %q, want %s...", e.Trouble, want)
		}

		mended.Store(true)
		until(t, s, "bad", func(e *Entry) bool { return e.Fired == 1 })
	})
}

// TestAPanicOfFeedingEndsNoFeeder: the run is fed again.
func TestAPanicOfFeedingEndsNoFeeder(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		makeRun(t, l, 3)
		q := newRecorder()
		var asked atomic.Int64
		f := NewFeeder(l, q, FeederConfig{
			ShutUntil: func([]string, int) time.Time {
				if asked.Add(1) == 1 {
					panic("out of order")
				}
				return time.Time{}
			},
			KeepRuns: time.Hour, KeepAddresses: time.Hour, Log: slog.New(slog.DiscardHandler),
		})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		q.wait(t, "after the panic", func(tasks map[campaign.Task]int) bool { return len(tasks) == 3 })
	})
}

// broken is an audience that panics at its second row.
type broken struct{ rows int }

func (b *broken) Next(row *audience.Row) error {
	b.rows++
	if b.rows == 2 {
		panic("out of order")
	}
	return &audience.Reject{Line: b.rows, Reason: "x"}
}

// TestAPanicOfReadingIsTheCallers: it comes up on the goroutine that asked, and
// leaves none behind.
func TestAPanicOfReadingIsTheCallers(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() != "out of order" {
			t.Error("the panic did not come up")
		}
	}()
	_, err := Expand(t.Context(), &broken{}, Selection{}, nil, nil, nil)
	t.Errorf("no panic, %v", err)
}

func TestSchedulesAreBounded(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		s.most = 2
		at := soon(t, s).Add(time.Hour)
		put(t, s, "one", Timing{At: at})
		put(t, s, "two", Timing{At: at})
		put(t, s, "two", Timing{At: at}) // replaces
		_, err := s.Put(t.Context(), Schedule{ID: "three", Timing: Timing{At: at, Zone: "UTC"}, Version: NewVersion()})
		if !errors.Is(err, ErrTooMany) {
			t.Errorf("a third: %v, want ErrTooMany", err)
		}

		if _, err := s.Get(t.Context(), "three"); !errors.Is(err, ErrNoSchedule) {
			t.Errorf("it was stored: %v", err)
		}
	})
}
