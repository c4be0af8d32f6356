package ledger

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// TestOnlyServersThatWereToldGetClaims follows a member through a change of
// one primary of a cluster, and of the only server.
func TestOnlyServersThatWereToldGetClaims(t *testing.T) {
	t.Parallel()
	o, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatalf("ParseURL: %v", err)
	}

	rdb := redis.NewClient(o)
	defer rdb.Close()
	runID := "one+two"
	severed := 0
	var m *Member
	m, err = New(rdb, "t", redis.NewScript).Join(t.Context(), MemberConfig{
		Server:  func(context.Context) (string, time.Duration, error) { return runID, time.Hour, nil },
		OnDead:  func(context.Context, string) error { return nil },
		OnReset: func(context.Context, string) error { return nil },
		Sever: func() {
			severed++
			if err := m.Admit("one"); !errors.Is(err, ErrNotReplayed) {
				t.Errorf("the old server is admitted while the new one is told: %v", err)
			}
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("Join: %v", err)
	}

	expect := func(admitted ...string) {
		t.Helper()
		want := map[string]bool{}
		for _, id := range admitted {
			want[id] = true
		}

		for _, id := range []string{"one", "two", "three", "one+two", ""} {
			if err := m.Admit(id); (err == nil) != want[id] || err != nil && !errors.Is(err, ErrNotReplayed) {
				t.Errorf("Admit(%q): got %v, want admitted %v", id, err, want[id])
			}
		}
	}
	expect("one", "two")
	for _, next := range []string{"three+two", "three"} {
		runID = next
		before := severed
		for range 2 { // the second time there is nothing new
			if err := m.tick(t.Context()); err != nil {
				t.Fatalf("tick: %v", err)
			}
		}
		if severed != before+1 {
			t.Errorf("connections were severed %d times for %s, want once", severed-before, next)
		}
	}

	expect("three")
}
