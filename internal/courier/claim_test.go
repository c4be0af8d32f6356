package courier_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/courier"
	"broadside/internal/testkit"
	"broadside/throttle"
)

// Nothing of a message is sent without its claim, and the claim comes when the server has
// asked for the message.
func TestTheClaimComesBeforeTheBody(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	d := newDepot(t, func(stage, to string) testkit.Answer {
		if to == "nobody@example.org" && stage == "rcpt" {
			return testkit.Answer{Text: "550 5.1.1 unknown"}
		}
		asked <- stage
		return testkit.Answer{}
	}, configs.Limits{Connections: 1}, nil)
	send := func(to string, claim func(context.Context) error) error {
		_, err := d.SendClaimed(t.Context(), "main", "news@acme.example", to, []byte(message), claim)
		return err
	}

	taken := errors.New("taken by another")
	if err := send("ada@example.org", func(context.Context) error {
		asked <- "claim"
		return taken
	}); !errors.Is(err, taken) {
		t.Errorf("got %v, want the error of the claim", err)
	}
	if all := d.server.Taken(); len(all) != 0 {
		t.Errorf("the server has %+v", all)
	}
	last, before := "", ""
	for len(asked) > 0 {
		before, last = last, <-asked
	}
	if before != "data" || last != "claim" {
		t.Errorf("the claim came after %q, and %q after it, want it last, after data", before, last)
	}
	if n := d.connections(); n != 0 {
		t.Errorf("%d connections count afterwards", n)
	}

	claimed := false
	if err := send("nobody@example.org", func(context.Context) error {
		claimed = true
		return nil
	}); err != nil || claimed {
		t.Errorf("refused before the body: got %v, claimed %v", err, claimed)
	}
}

// A body never leaves at a slot whose time is over: where the claim took long it waits for
// another one.
func TestALongClaimCostsAnotherSlot(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1, Rate: 2}, nil)
	var claimed time.Time
	_, err := d.SendClaimed(t.Context(), "main", "news@acme.example", "ada@example.org", []byte(message), func(context.Context) error {
		<-time.After(100 * time.Millisecond)
		claimed = time.Now()
		return nil
	})
	if took := time.Since(claimed); err != nil || took < 300*time.Millisecond {
		t.Errorf("got %v, %s after the claim; the next slot is half a second after the first", err, took)
	}
}

// Connections of a courier that was killed come back without any message.
func TestTheConnectionsOfTheDeadAreSweptUp(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, map[string]configs.Lane{"gmail": {Connections: 1}})
	for _, name := range []string{"main", "main/gmail"} {
		if err := d.rdb.HSet(t.Context(), "bs:{acct:"+name+"}:conns", "single-dead", 1, "worker", 1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Sweep(ctx) }()
	left := func() (n int) {
		for _, name := range []string{"main", "main/gmail"} {
			counts, err := d.Conns.Counts(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			n += counts["single-dead"]
			if counts["worker"] != 1 {
				t.Errorf("%s: the worker has %d connections", name, counts["worker"])
			}
		}
		return n
	}
	for range testkit.Tries(20 * time.Second) {
		if left() == 0 {
			break
		}
	}
	stop()
	if err := <-ended; err != nil || left() != 0 {
		t.Errorf("got %v, %d connections of the dead", err, left())
	}
}

// Pausing the lane of all small domains holds their messages back too.
func TestTheLaneOfAllSmallDomains(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
	if _, _, err := d.Lanes.Change(t.Context(), "main", "other", func(l throttle.Lane) throttle.Lane {
		return l.Close(time.Now(), string(codes.LaneClosed), "by hand")
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.send("ada@example.org"); !errors.Is(err, courier.ErrLater) {
		t.Errorf("to a small domain: got %v, want ErrLater", err)
	}
	if code, err := d.send("bob@gmail.com"); code != 250 || err != nil {
		t.Errorf("to a large one: got %d, %v", code, err)
	}
}

// Couriers in two processes count as two.
func TestCouriersCountApart(t *testing.T) {
	t.Parallel()
	inBody := make(chan struct{})
	goOn := make(chan struct{})
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
	done := make(chan error, 1)
	other := d.another()
	go func() {
		_, err := other.SendClaimed(t.Context(), "main", "news@acme.example", "ada@example.org", []byte(message), func(context.Context) error {
			close(inBody)
			<-goOn
			return nil
		})
		done <- err
	}()
	<-inBody

	if n := d.connections(); n != 1 {
		t.Errorf("%d connections count, want that of the other", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := d.Send(ctx, "main", "news@acme.example", "bob@example.org", []byte(message)); err == nil {
		t.Error("a second connection was opened, although the account has one")
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code, err := d.send("bob@example.org"); code != 250 || err != nil {
		t.Errorf("afterwards: got %d, %v", code, err)
	}
}

// A courier that was killed has left its count, and no sign of life any more.
func TestTheConnectionsOfTheDeadComeBack(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
	if err := d.rdb.HSet(t.Context(), "bs:{acct:main}:conns", "single-dead", 1, "single-messages", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if code, err := d.send("ada@example.org"); code != 250 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}

	if err := d.rdb.HSet(t.Context(), "bs:{acct:main}:conns", "single-living", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := d.rdb.Set(t.Context(), "bs:courier:single-living", 1, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := d.Send(ctx, "main", "news@acme.example", "bob@example.org", []byte(message)); err == nil {
		t.Error("the connection of a living courier was taken away")
	}
}

func TestLanesHoldBack(t *testing.T) {
	t.Parallel()
	blocked := throttle.Signal{Block: true, Rate: 10, Code: string(codes.LanePaused), Reason: "blocked"}
	for name, tt := range map[string]struct {
		change func(throttle.Lane, time.Time) throttle.Lane
		later  bool
	}{
		"closed": {func(l throttle.Lane, now time.Time) throttle.Lane {
			return l.Close(now, string(codes.LaneClosed), "by hand")
		}, true},
		"paused":            {func(l throttle.Lane, now time.Time) throttle.Lane { return l.Slow(now, blocked) }, true},
		"the pause is over": {func(l throttle.Lane, now time.Time) throttle.Lane { return l.Slow(now.Add(-24*time.Hour), blocked) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
			if _, _, err := d.Lanes.Change(t.Context(), "main", "gmail", func(l throttle.Lane) throttle.Lane { return tt.change(l, time.Now()) }); err != nil {
				t.Fatal(err)
			}
			_, err := d.send("ada@gmail.com")
			if errors.Is(err, courier.ErrLater) != tt.later || !tt.later && err != nil {
				t.Errorf("got %v, want ErrLater %v", err, tt.later)
			}
			if code, err := d.send("bob@example.org"); code != 250 || err != nil {
				t.Errorf("in another lane: got %d, %v", code, err)
			}
		})
	}
}

// A lane with a limit of its own has no more connections than that.
func TestConnectionsOfALane(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 10}, map[string]configs.Lane{"gmail": {Connections: 1}})
	if err := d.rdb.HSet(t.Context(), "bs:{acct:main/gmail}:conns", "worker", 1).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := d.Send(ctx, "main", "news@acme.example", "ada@gmail.com", []byte(message)); err == nil {
		t.Error("a second connection was opened for the lane")
	}
	if code, err := d.send("bob@example.org"); code != 250 || err != nil {
		t.Errorf("in another lane: got %d, %v", code, err)
	}
	if n := d.connections(); n != 0 {
		t.Errorf("%d connections count afterwards", n)
	}
}

// An account to which there is no connection is not asked again at once: repeated logins
// that fail lock it.
func TestAnAccountThatFailsIsLeftAlone(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	d := newDepot(t, func(stage, _ string) testkit.Answer {
		if stage == "connect" {
			asked <- struct{}{}
			return testkit.Answer{Text: "554 5.7.1 go away"}
		}
		return testkit.Answer{}
	}, configs.Limits{Connections: 1}, nil)
	for range 3 {
		if _, err := d.send("ada@example.org"); err == nil {
			t.Fatal("sent")
		}
	}
	if n := len(asked); n != 1 {
		t.Errorf("%d connections were opened, want one", n)
	}
	if _, err := d.send("ada@example.org"); !errors.Is(err, courier.ErrLater) {
		t.Errorf("got %v, want ErrLater with the reason", err)
	}
}
