package sender

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/throttle"
)

// The connections of a lane are counted over all workers. One that has no work for it
// gives its part back.
func TestALanesConnectionsAreCountedOverAllWorkers(t *testing.T) {
	t.Parallel()
	rdb := newRedis(t)
	l := ledger.New(rdb, "bs", redis.NewScript)
	nothing := func(context.Context, string) error { return nil }

	type worker struct {
		a    *account
		lane *lane
	}
	join := func() worker {
		member, err := l.Join(t.Context(), ledger.MemberConfig{
			Server: func(context.Context) (string, time.Duration, error) { return "one", time.Hour, nil },
			OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg := &Config{Member: member, Conns: throttle.NewConns(rdb, "bs", redis.NewScript), Log: slog.New(slog.DiscardHandler)}
		a := newAccount(cfg, newLifetime(0, 0), AccountConfig{
			Name: "ses", Connections: 10, Lanes: map[string]LaneLimit{"gmail": {Connections: 2}},
		})
		return worker{a, a.lanes.of(at(nil, 0, "gmail.com"))}
	}
	one, two := join(), join()
	lease := func(w worker, want bool) {
		t.Helper()
		w.a.mu.Lock()
		w.lane.enter(time.Now())
		w.a.mu.Unlock()
		ok, err := w.a.leaseLane(t.Context(), w.lane)
		if err != nil || ok != want {
			t.Errorf("leased %t, %v; want %t", ok, err, want)
		}
		if !ok {
			w.a.leave(w.lane, probe{}, time.Time{}, nil)
		}
	}
	lease(one, true)
	lease(two, true)
	lease(one, false) // two of two are in use
	lease(two, false)

	one.a.leave(one.lane, probe{}, time.Time{}, nil)
	one.a.releaseLanes(t.Context(), one.a.route.conns)
	counts, err := two.a.route.conns.Counts(t.Context(), "ses/gmail")
	if err != nil || len(counts) != 1 {
		t.Errorf("connections by worker %v, %v, want those of one worker alone", counts, err)
	}
	lease(one, true)
	lease(two, false)
}

// A lane with fewer connections than its account keeps those busy, and none is counted
// any more when the worker has ended.
func TestALaneKeepsItsConnectionsBusy(t *testing.T) {
	t.Parallel()
	const n = 100
	b := newFixture(t, people("p", n)...)
	j := &scriptedServer{}
	j.listen(t)
	b.toServer(j.l.Addr().String(), 10, func(cfg *Config) {
		cfg.Ways[0].Lanes = map[string]LaneLimit{"example.org": {Connections: 2}}
	})
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == n })

	left, err := b.rdb.HGetAll(t.Context(), "bs:{acct:sink/example.org}:conns").Result()
	if err != nil || len(left) > 0 {
		t.Errorf("connections of the lane are still counted: %v, %v", left, err)
	}
}

// newLane returns an account with a lane of two connections, which a recipient waits in.
func newLane(t *testing.T) (*account, *lane) {
	t.Helper()
	cfg := &Config{Log: slog.New(slog.DiscardHandler)}
	a := newAccount(cfg, newLifetime(0, 0), AccountConfig{
		Name: "ses", Connections: 10, Lanes: map[string]LaneLimit{"gmail": {Connections: 2}},
	})

	r := &run{}
	rcpt := at(r, 0, "gmail.com")
	a.lanes.of(rcpt).push(rcpt, false)
	return a, rcpt.lane
}

// A lane whose connections are all in use gives one to another worker after its message:
// no other message begins on it, on that connection or on another.
func TestABusyLaneGivesUpAConnection(t *testing.T) {
	t.Parallel()
	a, l := newLane(t)
	l.leases = 2
	l.enter(noon)
	l.enter(noon)
	if n := a.takeLeases(l, true, 1); n != 0 {
		t.Fatalf("%d leases go back at once, want none: all are in use", n)
	}

	if rcpt, _ := a.next(noon, l); rcpt != nil {
		t.Error("the next envelope goes ahead on a connection that is for another worker")
	}

	a.leave(l, probe{}, time.Time{}, nil)
	if rcpt, _ := a.begin(noon); rcpt != nil {
		t.Error("another connection works for the lane")
	}

	if !a.takeCeded(l) || l.leases != 1 || a.takeCeded(l) {
		t.Errorf("%d leases are left, want 1", l.leases)
	}

	if rcpt, _ := a.next(noon, l); rcpt == nil {
		t.Error("the connection that is left does not go on")
	}
}

// A lane that gets no connection for a second keeps no recipient: another worker may have
// one. It takes some again to ask for one.
func TestALaneWithoutAConnectionKeepsNoRecipient(t *testing.T) {
	t.Parallel()
	a, l := newLane(t)
	a.refusedLease(l, noon)
	soon := noon.Add(firstLease - 1)
	a.refusedLease(l, soon)

	if waiting, starved := a.drainStarved(soon, l); starved || len(waiting) > 0 {
		t.Fatal("the recipients go back before the lane has asked for a second")
	}

	late := noon.Add(firstLease)
	waiting, starved := a.drainStarved(late, l)
	if !starved || len(waiting) != 1 || l.size != 0 {
		t.Fatalf("%d recipients go back, starved %t, want one", len(waiting), starved)
	}

	if got := a.offer(late, waiting[0]); got.taken || got.shut || got.wait != time.Second {
		t.Errorf("offered again at once: %+v, want a second's wait", got)
	}
	if got := a.offer(late.Add(leaseRest), waiting[0]); !got.taken {
		t.Errorf("offered again later: %+v, want it taken", got)
	}

	a.leased(l, 1)
	if _, starved := a.drainStarved(late, l); starved {
		t.Error("the lane has a connection, and counts as starved")
	}
}
