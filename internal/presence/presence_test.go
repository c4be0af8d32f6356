package presence_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/internal/presence"
	"broadside/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a register with its Redis.
func open(t *testing.T) (*presence.Register, *miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { rdb.Close() })
	none := func(context.Context) ([]string, error) { return nil, nil }
	return presence.New(rdb, "bs", none), m, rdb
}

// keep lists a process until stop is called, or the test ends; it returns when
// the process is listed.
func keep(t *testing.T, r *presence.Register, self func() presence.Process) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Keep(ctx, slog.New(slog.DiscardHandler), self)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	id := self().ID
	for range testkit.Tries(10 * time.Second) {
		for _, p := range list(t, r) {
			if p.ID == id {
				return stop
			}
		}
	}

	t.Fatalf("process %s is not listed", id)
	return nil
}

func list(t *testing.T, r *presence.Register) []presence.Process {
	t.Helper()
	all, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func fixed(p presence.Process) func() presence.Process {
	return func() presence.Process { return p }
}

func TestProcessesAreListedWhileTheyRun(t *testing.T) {
	t.Parallel()
	r, _, _ := open(t)
	if all := list(t, r); all == nil || len(all) != 0 {
		t.Errorf("got %v, want an empty list", all)
	}

	since := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	worker := presence.Process{Role: presence.Worker, ID: "w", Host: "one", Since: since, Version: "v1.2.3"}
	web := presence.Process{Role: presence.Web, ID: "x", Host: "two", Since: since.Add(time.Hour), Version: "v1.2.3"}
	older := presence.Process{Role: presence.Web, ID: "y", Host: "two", Since: since, Version: "v1.2.2"}
	stop := keep(t, r, fixed(worker))
	keep(t, r, fixed(web))
	keep(t, r, fixed(older))
	if diff := cmp.Diff([]presence.Process{older, web, worker}, list(t, r)); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}

	stop()
	if diff := cmp.Diff([]presence.Process{older, web}, list(t, r)); diff != "" {
		t.Errorf("after one ended in order (-want +got):\n%s", diff)
	}
}

// Who is killed says nothing more: its entry ends by itself.
func TestKilledProcessIsForgotten(t *testing.T) {
	t.Parallel()
	r, m, rdb := open(t)
	keep(t, r, fixed(presence.Process{Role: presence.Worker, ID: "w"}))
	m.FastForward(presence.Lasts)
	if all := list(t, r); len(all) != 0 {
		t.Errorf("got %v, want nobody", all)
	}
	if ids := rdb.SMembers(t.Context(), "bs:processes").Val(); len(ids) != 0 {
		t.Errorf("the ids %v are still kept", ids)
	}
}

func TestBrokenEntryHidesNoOther(t *testing.T) {
	t.Parallel()
	r, _, rdb := open(t)
	worker := presence.Process{Role: presence.Worker, ID: "w"}
	keep(t, r, fixed(worker))
	ctx := t.Context()
	for _, err := range []error{
		rdb.SAdd(ctx, "bs:processes", "a", "b").Err(),
		rdb.Set(ctx, "bs:process:a", "{", time.Minute).Err(),
		rdb.HSet(ctx, "bs:process:b", "x", "y").Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	if diff := cmp.Diff([]presence.Process{{ID: "a"}, {ID: "b"}, worker}, list(t, r)); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
}

func TestRedisAwayIsAnError(t *testing.T) {
	t.Parallel()
	r, m, rdb := open(t)
	if err := rdb.SAdd(t.Context(), "bs:processes", "a").Err(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if all, err := r.List(t.Context()); err == nil {
		t.Errorf("got %v, want an error", all)
	}
}

func TestAllDoesEveryRole(t *testing.T) {
	t.Parallel()
	all := presence.Process{Role: presence.All}
	if !all.Does(presence.Web) || !all.Does(presence.Worker) || (presence.Process{Role: presence.Web}).Does(presence.Worker) {
		t.Error("roles are told apart wrongly")
	}
}
