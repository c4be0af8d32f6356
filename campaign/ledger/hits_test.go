package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

func countHits(t *testing.T, l *Ledger, r *Run, at time.Time, hits ...Hit) int64 {
	t.Helper()
	held, _, err := l.CountHits(t.Context(), r, hits, at)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func click(part, index, link, links int) Hit {
	return Hit{Place: Place{part, index}, Link: link, Links: links}
}

func TestHitsAreCounted(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 20, 0, 30)
		now := time.Now()
		opened := Hit{Place: Place{0, 1}}
		google := Hit{Place: Place{2, 1}, Proxy: "google"}
		apple := Hit{Place: Place{2, 2}, Proxy: "apple", Alone: true}
		scanner := Hit{Place: Place{0, 3}, Machine: "agent"}
		clicked := scanner
		clicked.Link = 1
		nobody := Hit{Place: Place{1, 0}} // of a run with the same reference
		held := countHits(t, l, r, now, opened, opened, google, apple, apple, scanner, clicked, clicked, nobody,
			click(0, 1, 2, 5), click(0, 1, 2, 5), click(0, 1, 4, 5), click(2, 29, 1, 5))
		if held != 2 {
			t.Errorf("held clicks of %d readers, want 2", held)
		}

		got, err := l.Hits(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := &HitCounts{
			Opens:    []OpenCount{{0, "", false, 2}, {2, "google", false, 1}, {2, "apple", true, 2}},
			Clicks:   map[int]int64{},
			Links:    map[int]int64{},
			Machines: []MachineCount{{false, "agent", 1}, {true, "agent", 2}},
			Opened:   2, Proxied: 1, Held: 2,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("before the clicks are judged (-want +got):\n%s", diff)
		}

		if held := countHits(t, l, r, now.Add(HoldClicks-time.Second)); held != 2 {
			t.Errorf("too early held of %d readers, want 2", held)
		}
		if held := countHits(t, l, r, now.Add(HoldClicks+time.Second)); held != 0 {
			t.Errorf("afterwards held of %d readers, want none", held)
		}
		if got, err = l.Hits(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want.Clicks = map[int]int64{0: 3, 2: 1}
		want.Links = map[int]int64{1: 1, 2: 2, 4: 1}
		want.Clicked = 2
		want.Held = 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("when they are judged (-want +got):\n%s", diff)
		}
	})
}

// A reader that follows all links of a letter at once is a machine; one that follows some is not.
func TestAllLinksAtOnceAreAMachines(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		for _, tt := range []struct {
			name    string
			hits    []Hit
			clicks  int64
			machine int64
		}{
			{"all-of-three", []Hit{click(0, 0, 1, 3), click(0, 0, 2, 3), click(0, 0, 3, 3)}, 0, 3},
			{"half-of-six", []Hit{click(0, 0, 1, 6), click(0, 0, 2, 6), click(0, 0, 3, 6), click(0, 0, 3, 6)}, 0, 4},
			{"less-than-half", []Hit{click(0, 0, 1, 7), click(0, 0, 2, 7), click(0, 0, 3, 7)}, 3, 0},
			{"both-of-two", []Hit{click(0, 0, 1, 2), click(0, 0, 2, 2)}, 2, 0},
			{"one-often", []Hit{click(0, 0, 1, 1), click(0, 0, 1, 1), click(0, 0, 1, 1)}, 3, 0},
			{"several-readers", []Hit{click(0, 0, 1, 3), click(0, 1, 2, 3), click(0, 2, 3, 3)}, 3, 0},
		} {
			r := newRun(t, l, tt.name, 5)
			now := time.Now()
			for i, hit := range tt.hits { // each in a flush of its own, as from several processes
				countHits(t, l, r, now.Add(time.Duration(i)*time.Second), hit)
			}
			countHits(t, l, r, now.Add(time.Minute))
			got, err := l.Hits(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			var machine int64
			for _, m := range got.Machines {
				machine += m.Count
			}
			if got.Clicks[0] != tt.clicks || machine != tt.machine || (got.Clicked == 0) != (tt.clicks == 0) {
				t.Errorf("%s: %d clicks, %d of a machine, %d people, want %d and %d", tt.name, got.Clicks[0], machine, got.Clicked, tt.clicks, tt.machine)
			}
		}
	})
}

// Somebody who repeats a link without end fills nothing.
func TestHeldClicksAreBounded(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 1)
		now := time.Now()
		many := make([]Hit, 3*hitsAtOnce)
		for i := range many {
			many[i] = click(0, 0, 250, 250)
		}
		countHits(t, l, r, now, many...)
		size, err := l.rdb.HGet(t.Context(), l.hitKeys(r)[4], "0:0").Result()
		if err != nil || len(size) > maxHeldClicks+10 {
			t.Errorf("%d characters are held, %v, want at most %d", len(size), err, maxHeldClicks)
		}
	})
}

// The counts end with their run, and a run that is gone has none.
func TestHitsEndWithTheirRun(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 3)
		now := time.Now()
		all := []Hit{{Place: Place{0, 0}}, {Place: Place{0, 1}, Proxy: "apple", Alone: true}, click(0, 2, 1, 1)}
		countHits(t, l, r, now, all[0])
		rec, err := l.Record(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Retire(t.Context(), rec, time.Hour, time.Minute); err != nil {
			t.Fatal(err)
		}

		countHits(t, l, r, now, all...)
		countHits(t, l, r, now.Add(time.Minute))
		countHits(t, l, r, now.Add(2*time.Minute), click(0, 0, 1, 1)) // held
		for _, key := range l.hitKeys(r) {
			if left := l.rdb.PTTL(t.Context(), key).Val(); left <= time.Minute || left > time.Hour {
				t.Errorf("%s ends in %v, want with the run in an hour", key, left)
			}
		}

		gone := &Run{ID: "gone", Attempt: "a", Sizes: []PartSize{{0, 1}}}
		if held := countHits(t, l, gone, now, all...); held != -1 {
			t.Errorf("a run that is gone: held of %d readers, want -1", held)
		}
		if n := l.rdb.Exists(t.Context(), l.hitKeys(gone)...).Val(); n != 0 {
			t.Errorf("a run that is gone has %d keys", n)
		}
		if got, err := l.Hits(t.Context(), gone); err != nil || got.Opens != nil || got.Opened != 0 {
			t.Errorf("hits of a run that is gone: %+v, %v", got, err)
		}
	})
}

// No address is in what is stored of readers.
func TestHitsHaveNoAddress(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 3)
		countHits(t, l, r, time.Now(), Hit{Place: Place{0, 0}}, click(0, 2, 1, 1), Hit{Place: Place{0, 1}, Machine: "agent"})
		keys := l.hitKeys(r)
		if diff := cmp.Diff(map[string]string{"open 0 ": "1", "machine open agent": "1"}, l.rdb.HGetAll(t.Context(), keys[0]).Val()); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"0:2": "1:1"}, l.rdb.HGetAll(t.Context(), keys[4]).Val()); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
	})
}

// A Redis that refuses HyperLogLogs has nothing counted or held, however often it is tried.
func TestARefusedCountLeavesNothing(t *testing.T) {
	t.Parallel()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	all := newLedger(t, redis.NewClient(opt), redis.NewScript)
	if err := all.rdb.Do(t.Context(), "ACL", "SETUSER", "nosketches", "on", "nopass", "~*", "+@all", "-pfadd").Err(); err != nil {
		t.Fatal(err)
	}
	limited := *opt
	limited.Username = "nosketches"
	limited.Password = "any"
	l := newLedger(t, redis.NewClient(&limited), redis.NewScript)

	r := newRun(t, all, "r", 3)
	now := time.Now()
	countHits(t, all, r, now, click(0, 0, 1, 1))
	for range 3 {
		hits := []Hit{{Place: Place{0, 1}, Machine: "agent"}, click(0, 2, 1, 1)}
		if _, _, err := l.CountHits(t.Context(), r, hits, now.Add(time.Minute)); err == nil {
			t.Fatal("a user without PFADD counted")
		}
	}
	got, err := all.Hits(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&HitCounts{Clicks: map[int]int64{}, Links: map[int]int64{}, Held: 1}, got); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}
