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
