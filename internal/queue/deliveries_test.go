package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// A try is a delivery as a handler gets it.
type try struct {
	ID, Body string
	Failed   int
}

// serveDeliveries serves the receiver "crm" until the test ends.
func serveDeliveries(t *testing.T, d *Deliveries, log *testkit.Log, handle func(try) error) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- d.Serve(ctx, DeliveryConfig{Receiver: "crm", AtOnce: 2, Gate: NewGate(logger), Log: logger, Forward: 50 * time.Millisecond},
			func(_ context.Context, v Delivery, failed int) error {
				return handle(try{v.ID, string(v.Body), failed})
			})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// stands waits until the receiver stands as it should.
func stands(t *testing.T, d *Deliveries, want Standing) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		got, err := d.Standing(t.Context(), "crm")
		if err == nil && got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func putDeliveries(t *testing.T, d *Deliveries, ids ...string) {
	t.Helper()
	var all []Delivery
	for _, id := range ids {
		all = append(all, Delivery{ID: id, Body: []byte("body of " + id)})
	}
	if err := d.Put(t.Context(), "crm", all, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAHandlerSaysBecomesOfADelivery(t *testing.T) {
	t.Parallel()
	d := NewDeliveries(dial(t, testkit.Redis(t)), "test")
	putDeliveries(t, d, "done", "later", "never", "much later", "done")
	stands(t, d, Standing{Waiting: 4})

	var log testkit.Log
	tries := make(chan try, 100)
	serveDeliveries(t, d, &log, func(v try) error {
		tries <- v
		switch {
		case v.ID == "later" && v.Failed < 2:
			return fmt.Errorf("wrapped: %w", &Later{Err: errors.New("busy")})
		case v.ID == "much later":
			return &Later{After: time.Hour, Err: errors.New("busy")}
		case v.ID == "never":
			return errors.New("gone")
		}
		return nil
	})
	stands(t, d, Standing{Retried: 1, Dead: 1})

	want := []try{
		{"done", "body of done", 0},
		{"later", "body of later", 0},
		{"later", "body of later", 1},
		{"later", "body of later", 2},
		{"much later", "body of much later", 0},
		{"never", "body of never", 0},
	}
	var got []try
	for len(tries) > 0 {
		got = append(got, <-tries)
	}
	slices.SortFunc(got, func(a, b try) int { return strings.Compare(a.ID+fmt.Sprint(a.Failed), b.ID+fmt.Sprint(b.Failed)) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tries (-want +got):\n%s", diff)
	}

	var dead []DeadDelivery
	if err := d.EachDead(t.Context(), "crm", func(v DeadDelivery) bool { dead = append(dead, v); return true }); err != nil {
		t.Fatal(err)
	}
	if len(dead) != 1 || dead[0].ID != "never" || string(dead[0].Body) != "body of never" || dead[0].Tries != 1 || dead[0].Error != "gone" || time.Since(dead[0].At) > time.Minute {
		t.Errorf("got %+v", dead)
	}

	putDeliveries(t, d, "never", "much later") // they are there
	stands(t, d, Standing{Retried: 1, Dead: 1})
}

func TestTheDeadOfDeliveriesComeBack(t *testing.T) {
	t.Parallel()
	d := NewDeliveries(dial(t, testkit.Redis(t)), "test")
	if err := d.Again("crm", "a"); !errors.Is(err, ErrNoDelivery) {
		t.Errorf("of nobody: got %v", err)
	}
	if n, err := d.AllAgain(t.Context(), "crm"); n != 0 || err != nil {
		t.Errorf("all of nobody: got %d, %v", n, err)
	}
	if err := d.EachDead(t.Context(), "crm", func(DeadDelivery) bool { return true }); err != nil {
		t.Errorf("the dead of nobody: %v", err)
	}

	putDeliveries(t, d, "a", "b", "c")
	var log testkit.Log
	second := make(chan string, 10)
	serveDeliveries(t, d, &log, func(v try) error {
		if v.Failed == 0 && len(second) == 0 {
			return errors.New("gone")
		}
		second <- v.ID
		return nil
	})
	stands(t, d, Standing{Dead: 3})
	if err := d.Again("crm", "x"); !errors.Is(err, ErrNoDelivery) {
		t.Errorf("of none that is there: got %v", err)
	}
	second <- "open"
	if err := d.Again("crm", "b"); err != nil {
		t.Fatal(err)
	}
	stands(t, d, Standing{Dead: 2})
	if n, err := d.AllAgain(t.Context(), "crm"); n != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", n, err)
	}
	stands(t, d, Standing{})
	if names, err := d.Receivers(t.Context()); err != nil || !slices.Equal(names, []string{"crm"}) {
		t.Errorf("got %v, %v", names, err)
	}
	if names, err := NewDeliveries(d.rdb, "tes").Receivers(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("of another installation: got %v, %v", names, err)
	}
}

func TestAPanicOfAHandlerEndsNothingElse(t *testing.T) {
	t.Parallel()
	d := NewDeliveries(dial(t, testkit.Redis(t)), "test")
	putDeliveries(t, d, "a", "b")
	var log testkit.Log
	serveDeliveries(t, d, &log, func(v try) error {
		if v.ID == "a" {
			panic("out of range")
		}
		return nil
	})
	stands(t, d, Standing{Retried: 1}) // it comes again in a minute
}

// A queue that is served no more goes with all that is in it, also with what a process had
// in hand when it died, and with nothing of other receivers.
func TestForget(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	d := NewDeliveries(rdb, "test")
	if err := d.Put(t.Context(), "other", []Delivery{{ID: "o", Body: []byte("b")}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	putDeliveries(t, d, "a", "b", "c")
	others := len(rdb.Keys(t.Context(), "*webhook-other*").Val())

	// What a server does that takes a delivery, and dies.
	take := func(lease time.Duration) {
		t.Helper()
		id := rdb.LMove(t.Context(), d.key("crm", "pending"), d.key("crm", "active"), "RIGHT", "LEFT").Val()
		rdb.HSet(t.Context(), d.key("crm", "t:"+id), "state", "active")
		rdb.ZAdd(t.Context(), d.key("crm", "lease"), redis.Z{Score: float64(time.Now().Add(lease).Unix()), Member: id})
	}
	take(time.Minute)
	if _, err := d.Forget(t.Context(), "crm"); err == nil || !strings.Contains(err.Error(), "repeat this in a minute") {
		t.Errorf("with one under way: got %v", err)
	}
	stands(t, d, Standing{Waiting: 3})
	rdb.Del(t.Context(), d.key("crm", "lease"))
	rdb.LMove(t.Context(), d.key("crm", "active"), d.key("crm", "pending"), "RIGHT", "LEFT")
	take(-time.Minute)

	n, err := d.Forget(t.Context(), "crm")
	if err != nil || n != 3 {
		t.Errorf("got %d, %v", n, err)
	}
	if left := rdb.Keys(t.Context(), "*webhook-crm*").Val(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if n := len(rdb.Keys(t.Context(), "*webhook-other*").Val()); n != others {
		t.Errorf("%d keys of another receiver, want %d", n, others)
	}
	if receivers, err := d.Receivers(t.Context()); err != nil || !slices.Equal(receivers, []string{"other"}) {
		t.Errorf("receivers: %q, %v", receivers, err)
	}
	if n, err := d.Forget(t.Context(), "crm"); n != 0 || err != nil {
		t.Errorf("once more: got %d, %v", n, err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	d := NewDeliveries(dial(t, testkit.Redis(t)), "test")
	var ids []string
	for i := range 2*listedAtOnce + 3 {
		ids = append(ids, fmt.Sprintf("%04d", i))
	}
	putDeliveries(t, d, ids...)
	odd := func(body []byte) bool { return (body[len(body)-1]-'0')%2 == 1 }
	for _, dryRun := range []bool{true, false} {
		if n, err := d.Remove(t.Context(), "crm", odd, dryRun); n != listedAtOnce+1 || err != nil {
			t.Errorf("dry run %v: got %d, %v", dryRun, n, err)
		}
	}
	stands(t, d, Standing{Waiting: listedAtOnce + 2})
	if n, err := d.Remove(t.Context(), "nobody", odd, false); n != 0 || err != nil {
		t.Errorf("of nobody: got %d, %v", n, err)
	}
}
