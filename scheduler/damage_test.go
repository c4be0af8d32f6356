package scheduler

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/testkit"
)

// damages are the ways in which the state of a run of four recipients may be
// changed by something that is not this program.
var damages = []struct {
	name   string
	do     func(ctx context.Context, rdb *redis.Client, cells string) error
	reason string // part of why the run is held
	open   int    // recipients that a cancellation still reaches
}{
	{"a state that means nothing", func(ctx context.Context, rdb *redis.Client, cells string) error {
		return rdb.SetRange(ctx, cells, 5, "z").Err()
	}, "at other the states of 1 mean nothing (the first is recipient 1, state 'z')", 3},
	{"cells are cut off", func(ctx context.Context, rdb *redis.Client, cells string) error {
		return rdb.Set(ctx, cells, strings.Repeat("\x00", 12), 0).Err()
	}, "2 of 4 recipients at other have no state", 2},
	{"cells are gone", func(ctx context.Context, rdb *redis.Client, cells string) error {
		return rdb.Del(ctx, cells).Err()
	}, "the recipients at other have no states any more", 0},
	{"cells became final without being counted", func(ctx context.Context, rdb *redis.Client, cells string) error {
		return rdb.Set(ctx, cells, strings.Repeat("a\x00\x00\x00\x00", 4), 0).Err()
	}, "by the counts 4 recipients are left, by their own states none", 0},
	{"the finish was not noticed", func(ctx context.Context, rdb *redis.Client, cells string) error {
		return rdb.HSet(ctx, "bs:{run:r}:counts", "0:0", 0, "0:97", 4).Err()
	}, "by the counts nobody is left, and the run is not finished", 4},
}

// A run with such a ledger used to stay `running` for ever.
func TestDamagedLedgerHoldsTheRun(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			clients(t, func(t *testing.T, l *ledger.Ledger, rdb *redis.Client) {
				ctx := t.Context()
				run := makeRun(t, l, 4)
				if err := d.do(ctx, rdb, "bs:{run:r}:"+run.Attempt+":cells:0"); err != nil {
					t.Fatal(err)
				}

				feedWith(t, l, newRecorder(), func() time.Time { return time.Now().Add(time.Hour) }) // no one is issued
				rec := waitForRun(t, l, func(r *ledger.Record) bool { return r.State != campaign.Running })
				if rec.State != campaign.Held || codes.Of(rec.Reason) != codes.HeldLedger || !strings.Contains(rec.Reason, d.reason) {
					t.Errorf("got %s, %q, want it held for %q", rec.State, rec.Reason, d.reason)
				}
			})
		})
	}
}

// Cells that hold another type of value cannot be mended by a cancellation.
func TestCellsOfAnotherTypeHoldTheRun(t *testing.T) {
	clients(t, func(t *testing.T, l *ledger.Ledger, rdb *redis.Client) {
		ctx := t.Context()
		cells := "bs:{run:r}:" + makeRun(t, l, 4).Attempt + ":cells:0"
		if err := rdb.Del(ctx, cells).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.SAdd(ctx, cells, "a set").Err(); err != nil {
			t.Fatal(err)
		}

		feedWith(t, l, newRecorder(), isOpen)
		rec := waitForRun(t, l, func(r *ledger.Record) bool { return r.State != campaign.Running })
		if rec.State != campaign.Held || !strings.Contains(rec.Reason, cells) {
			t.Errorf("got %s, %q, want it held for key %s", rec.State, rec.Reason, cells)
		}
	})
}

func TestCancelledRunWithADamagedLedgerEnds(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			clients(t, func(t *testing.T, l *ledger.Ledger, rdb *redis.Client) {
				ctx := t.Context()
				run := makeRun(t, l, 4)
				if err := d.do(ctx, rdb, "bs:{run:r}:"+run.Attempt+":cells:0"); err != nil {
					t.Fatal(err)
				}
				if _, err := l.Turn(ctx, "r", campaign.RunCancelled, "by a person", campaign.Running); err != nil {
					t.Fatal(err)
				}

				feedWith(t, l, newRecorder(), isOpen)
				waitForRun(t, l, func(r *ledger.Record) bool { return !r.Finished.IsZero() })
				tally, err := l.Counts(ctx, "r")
				if err != nil {
					t.Fatal(err)
				}

				if n := tally.Counts.Total(); n != 4 {
					t.Errorf("%d recipients are counted, want 4: %v", n, tally.Counts)
				}
				if n := tally.Counts[campaign.Cancelled]; n != int64(d.open) {
					t.Errorf("%d are cancelled, want %d: %v", n, d.open, tally.Counts)
				}
			})
		})
	}
}

// waitForRun reads the record of the run until it is as wanted.
func waitForRun(t *testing.T, l *ledger.Ledger, ok func(*ledger.Record) bool) *ledger.Record {
	t.Helper()
	var rec *ledger.Record
	for range testkit.Tries(20 * time.Second) {
		var err error
		if rec, err = l.Record(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		if ok(rec) {
			return rec
		}
	}

	t.Fatalf("the run is still %s (%s)", rec.State, rec.Reason)
	return nil
}

// A run whose creation is ahead of the clock (Redis failed over to a server whose
// clock is behind) has pages that were not read yet. They contradict nothing.
func TestUnreadPagesContradictNothing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := &sweep{run: &ledger.Run{Created: now.Add(time.Minute)}, parts: []*partSweep{newPartSweep(1)}}
	counts := campaign.Counts{campaign.Pending: 4}
	var c countsCheck
	for _, at := range []time.Time{now, now.Add(2 * certain)} {
		if err := c.contradiction(s, counts, at); err != nil {
			t.Errorf("%s: %v", at.Sub(now), err)
		}
	}
}
