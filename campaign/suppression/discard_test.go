package suppression_test

import (
	"fmt"
	"testing"
	"time"

	"broadside/campaign/suppression"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

const stormLane = "ses-main/gmail"

// refused is the entry for a recipient that the server of stormLane called dead.
func refused(index int, at time.Time) suppression.Entry {
	return suppression.Entry{
		Address: fmt.Sprintf("p%d@gmail.com", index), Reason: suppression.ReasonBounce, Source: "smtp",
		Run: "news-1", Lane: stormLane, Part: 1, Index: index, At: at,
	}
}

// wantSuppressed fails the test unless just those people of stormLane are suppressed.
func wantSuppressed(t *testing.T, s *suppression.Store, of int, want ...int) {
	t.Helper()
	var got []int
	for i := range of {
		results, err := s.Check(t.Context(), refused(i, time.Time{}).Address)
		if err != nil {
			t.Fatal(err)
		}
		if results[0].Suppressed {
			got = append(got, i)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
}

func TestDiscardTakesAwayWhatTheLaneHasCausedSince(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		since := time.Now().Add(-time.Minute)
		before, manual, other := refused(0, since.Add(-time.Hour)), refused(1, since.Add(-time.Hour)), refused(2, since)
		manual.Lane, manual.Source = "", "manual"
		other.Lane = "ses-main/yahoo"
		add(t, s, 3, before, manual, other)
		// The server refuses everybody, also those who stand on the list already.
		for i := range 6 {
			add(t, s, min(1, i/3), refused(i, since.Add(time.Duration(i)*time.Second)))
		}
		// In the meantime somebody suppresses one of them for another reason, and an
		// operator takes one off.
		late := refused(3, time.Time{})
		late.Lane, late.Reason, late.Source = "", suppression.ReasonComplaint, "hook"
		add(t, s, 0, late)
		if _, err := s.Rm(t.Context(), "p4@gmail.com"); err != nil {
			t.Fatal(err)
		}
		if results, err := s.Check(t.Context(), "p5@gmail.com"); err != nil || results[0].Entry.Lane != stormLane {
			t.Errorf("got %+v, %v; want the lane", results, err)
		}

		for _, want := range []int{1, 0} { // the second call repeats a first that was cut off
			recipients, n, err := s.Discard(t.Context(), stormLane, since)
			if diff := cmp.Diff([]suppression.Recipient{{Run: "news-1", Part: 1, Index: 5}}, recipients); diff != "" || n != want || err != nil {
				t.Errorf("discarded %d, %v; want %d; recipients (-want +got):\n%s", n, err, want, diff)
			}
			wantSuppressed(t, s, 6, 0, 1, 2, 3)
		}

		// It does not come back unless it is said again, and then it stays.
		if _, err := s.Replay(t.Context(), suppression.Barrier{}, refused(5, since)); err != nil {
			t.Fatal(err)
		}
		wantSuppressed(t, s, 6, 0, 1, 2, 3)
		add(t, s, 1, refused(5, time.Time{}))
		if _, n, err := s.Discard(t.Context(), stormLane, time.Now().Add(time.Minute)); n != 0 || err != nil {
			t.Errorf("discarded %d, %v", n, err)
		}
		wantSuppressed(t, s, 6, 0, 1, 2, 3, 5)
	})
}

func TestAnEntryWithALaneIsOneForOlderVersions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		with, without := refused(1, time.UnixMilli(1_700_000_000_000)), refused(1, time.UnixMilli(1_700_000_000_000))
		without.Lane = ""
		add(t, s, 1, with)
		key := suppression.KeyOf("p1@gmail.com")
		shard := fmt.Sprintf("bs:supp:%x", key[0]%16)
		value := rdb.HGet(t.Context(), shard, string(key[:])).Val()
		if want := "0\t1700000000000\tbounce\tsmtp\tnews-1\tp1@gmail.com\t" + stormLane; value != want {
			t.Errorf("stored is %q, want %q", value, want)
		}
		// The same reply by another lane is another road.
		elsewhere := with
		elsewhere.Lane = "other/gmail"
		add(t, s, 0, elsewhere)
		value = rdb.HGet(t.Context(), shard, string(key[:])).Val()
		if want := "0\t1700000000000\tbounce\tsmtp\tnews-1\tp1@gmail.com"; value != want {
			t.Errorf("stored is %q, want %q", value, want)
		}
	})
}

func TestNotesOfALaneAreBoundedAndEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		const key = "bs:supp:lane:" + stormLane
		// What is no list keeps no address from the list.
		if err := rdb.Set(t.Context(), key, "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		var entries []suppression.Entry
		for i := range 5003 {
			entries = append(entries, refused(i, at))
		}
		add(t, s, len(entries), entries...)
		if n := rdb.LLen(t.Context(), key).Val(); n != 5000 {
			t.Errorf("%d notes, want 5000", n)
		}
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 47*time.Hour || ttl > 48*time.Hour {
			t.Errorf("the notes end in %s, want 48 h", ttl)
		}
		if err := rdb.RPush(t.Context(), key, "no\tnote", "1\tr\tx\ty\tshort", "").Err(); err != nil {
			t.Fatal(err)
		}
		if _, n, err := s.Discard(t.Context(), stormLane, at); n != 5000 || err != nil {
			t.Errorf("discarded %d, %v; want 5000", n, err)
		}
		wantSuppressed(t, s, 5, 0, 1, 2)
		if recipients, n, err := s.Discard(t.Context(), "ses-main/yahoo", at); len(recipients) > 0 || n != 0 || err != nil {
			t.Errorf("discarded %v, %d, %v of a lane without notes", recipients, n, err)
		}
	})
}
