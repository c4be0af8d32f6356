package suppression

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func unsubscribed(who, run string) Entry {
	return Entry{Address: who, Reason: ReasonUnsubscribe, Source: "one-click", Scope: Topic("news"), Run: run, At: formTime}
}

// wantRun checks the run that every reader of the list says.
func wantRun(t *testing.T, s *Store, who, want string) {
	t.Helper()
	results, err := s.Check(t.Context(), who)
	if err != nil || !results[0].Suppressed || results[0].Entry.Run != want {
		t.Errorf("check %s: %+v, %v; want run %q", who, results, err, want)
	}
	past, err := s.History(t.Context(), who)
	if err != nil || len(past) == 0 || past[0].Entry.Run != want {
		t.Errorf("history of %s: %+v, %v; want run %q", who, past, err, want)
	}
	found := false
	err = s.Each(t.Context(), func(e Entry) error {
		found = found || e.Address == who && e.Run == want
		return nil
	})
	if err != nil || !found {
		t.Errorf("each: %v, without %s of run %q", err, who, want)
	}
}

// stored returns the value of an entry, which is made of few bytes where its run is noted.
func stored(t *testing.T, s *Store, rdb *redis.Client, who string) string {
	t.Helper()
	k := KeyOf(who)
	value, err := rdb.HGet(t.Context(), s.shardKey(shardOf(k)), field(k, "news")).Result()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestRunsAreNotedOnce(t *testing.T) {
	t.Parallel()
	s, rdb := realStore(t)
	const run = "october-news-20261001T070000Z"
	if _, err := s.Add(t.Context(), unsubscribed("ada@example.com", run), unsubscribed("zoë@example.com", run)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddLasting(t.Context(), Barrier{}, unsubscribed("bob@example.com", run)); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"ada@example.com", "bob@example.com", "zoë@example.com"} {
		if value := stored(t, s, rdb, who); strings.Contains(value, run) || len(value) > 32 {
			t.Errorf("%s is stored as %q", who, value)
		}
		wantRun(t, s, who, run)
	}
	if n := rdb.HLen(t.Context(), s.runsKey()).Val(); n != 1 {
		t.Errorf("%d runs are noted, want 1", n)
	}
}

// Where Redis has forgotten what a reference stands for, the run is not known, until the next
// entry of the run brings it back.
func TestAForgottenRunComesBack(t *testing.T) {
	t.Parallel()
	s, rdb := realStore(t)
	if _, err := s.Add(t.Context(), unsubscribed("ada@example.com", "news-1")); err != nil {
		t.Fatal(err)
	}
	rdb.Del(t.Context(), s.runsKey())
	wantRun(t, s, "ada@example.com", "")
	if _, err := s.Add(t.Context(), unsubscribed("bob@example.com", "news-1")); err != nil {
		t.Fatal(err)
	}
	wantRun(t, s, "ada@example.com", "news-1")
}

// Of two runs with one reference, and where there is no room or nothing can be noted, the
// id stands in full.
func TestARunThatCannotBeNotedStandsInFull(t *testing.T) {
	t.Parallel()
	s, rdb := realStore(t)
	if err := rdb.HSet(t.Context(), s.runsKey(), strings.TrimPrefix(refOf("news-1"), runMark), "another").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), unsubscribed("ada@example.com", "news-1"), unsubscribed("bob@example.com", "news-2")); err != nil {
		t.Fatal(err)
	}
	wantRun(t, s, "ada@example.com", "news-1")
	wantRun(t, s, "bob@example.com", "news-2")
	if value := stored(t, s, rdb, "ada@example.com"); !strings.HasSuffix(value, "ada@example.com\tnews-1") {
		t.Errorf("stored as %q", value)
	}

	rdb.Del(t.Context(), s.runsKey())
	rdb.Set(t.Context(), s.runsKey(), "no hash", 0)
	if _, err := s.Add(t.Context(), unsubscribed("eve@example.com", "news-3")); err != nil {
		t.Errorf("an entry whose run cannot be noted: %v", err)
	}
	if err := s.Each(t.Context(), func(Entry) error { return nil }); err == nil || errors.As(err, new(*UnreadableError)) {
		t.Errorf("entries whose runs cannot be read: got %v, want an error, since a backup would lack them", err)
	}
	rdb.Del(t.Context(), s.runsKey())
	wantRun(t, s, "eve@example.com", "news-3")
}

// A reader takes back an unsubscribe whose run is a reference, and no other entry.
func TestUndoKnowsReferences(t *testing.T) {
	t.Parallel()
	s, _ := realStore(t)
	e := unsubscribed("ada@example.com", "news-1")
	if _, err := s.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	other := e
	other.Run = "news-2"
	if done, err := s.Undo(t.Context(), other); done || err != nil {
		t.Errorf("of another run: %v, %v", done, err)
	}
	results, err := s.Check(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.Undo(t.Context(), results[0].Entry); !done || err != nil {
		t.Errorf("of this run: %v, %v", done, err)
	}
}
