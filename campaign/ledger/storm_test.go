package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

func TestRecipientsOfAStormEndWithTheAddresses(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 2, 3)
		note := func(recipients ...[2]int) {
			t.Helper()
			if noted, err := l.NoteStorm(ctx, run, recipients); !noted || err != nil {
				t.Fatalf("noted %v, %v", noted, err)
			}
		}
		note([2]int{0, 1}, [2]int{1, 2})
		note([2]int{1, 2})
		got, err := l.Storm(ctx, run)
		if diff := cmp.Diff(map[[2]int]bool{{0, 1}: true, {1, 2}: true}, got); diff != "" || err != nil {
			t.Errorf("%v, recipients (-want +got):\n%s", err, diff)
		}
		if ttl := l.rdb.PTTL(ctx, l.stormKey("r")).Val(); ttl >= 0 {
			t.Errorf("it ends in %s while the run is active", ttl)
		}

		rec, err := l.Record(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Retire(ctx, rec, 2*time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		if ttl := l.rdb.PTTL(ctx, l.stormKey("r")).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("it ends in %s, want an hour", ttl)
		}

		// Of a run that was retired before.
		if err := l.rdb.Del(ctx, l.stormKey("r")).Err(); err != nil {
			t.Fatal(err)
		}
		note([2]int{0, 0})
		if ttl := l.rdb.PTTL(ctx, l.stormKey("r")).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("it ends in %s, want an hour", ttl)
		}
	})
}

func TestAStormOfARunWithoutAddressesIsNotNoted(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 2)
		if err := l.rdb.Del(ctx, l.runKey("r", run.Attempt+":chunks")).Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*Run{run, {ID: "gone", Attempt: "x"}} {
			if noted, err := l.NoteStorm(ctx, r, [][2]int{{0, 1}}); noted || err != nil {
				t.Errorf("%s: noted %v, %v", r.ID, noted, err)
			}
			if n := l.rdb.Exists(ctx, l.stormKey(r.ID)).Val(); n != 0 {
				t.Errorf("%s has a key that never ends", r.ID)
			}
		}

		other := newRun(t, l, "other", 1)
		if err := l.rdb.Set(ctx, l.stormKey("other"), "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.NoteStorm(ctx, other, [][2]int{{0, 0}}); !campaign.IsBroken(err) {
			t.Errorf("got %v, want that it is broken", err)
		}
		if _, err := l.Storm(ctx, other); !campaign.IsBroken(err) {
			t.Errorf("got %v, want that it is broken", err)
		}
	})
}
