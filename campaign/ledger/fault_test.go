package ledger

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/testkit"
)

// TestRedisOlderThanTheJournalsHoldsTheRun restores Redis to a moment that is
// too long ago, or to one that is further back than the ring of claims reaches.
func TestRedisOlderThanTheJournalsHoldsTheRun(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		for _, tt := range []struct {
			name    string
			forget  func(m *Member)
			further bool // Redis does not know the worker at all
			want    campaign.RunState
		}{
			{"a second", func(*Member) {}, false, campaign.Running},
			{"two minutes", func(m *Member) { m.acknowledged.at = m.acknowledged.at.Add(2 * time.Minute) }, false, campaign.Held},
			{"more claims than the ring holds", func(m *Member) { m.journal.next += journalSize + 1 }, false, campaign.Held},
			{"to before it joined", func(m *Member) { m.acknowledged.at = m.joined.at.Add(2 * time.Minute) }, true, campaign.Held},
			{"to just before it joined", func(*Member) {}, true, campaign.Running},
			{"to when another worked", func(m *Member) {
				l.rdb.HSet(ctx, l.workersKey(), "gone", heartbeat{1, "one", m.acknowledged.at.Add(-time.Second), 7}.String())
			}, false, campaign.Held},
			{"after another joined", func(m *Member) {
				l.rdb.HSet(ctx, l.workersKey(), "fresh", heartbeat{1, "one", m.acknowledged.at, 0}.String())
			}, false, campaign.Running},
			{"not: it was we who were away", func(m *Member) {
				l.rdb.HSet(ctx, l.workersKey(), "fresh", heartbeat{9, "one", m.acknowledged.at.Add(time.Hour), 0}.String())
			}, true, campaign.Running},
			{"taken off, not forgotten", func(m *Member) {
				m.acknowledged.at = m.joined.at.Add(2 * time.Minute)
				l.rdb.Incr(ctx, l.deathsKey())
			}, true, campaign.Running},
		} {
			id := "h-" + strings.ReplaceAll(tt.name, " ", "-")
			runID := "one"
			run := newRun(t, l, id, 1)
			m := member(t, l, &runID)
			tt.forget(m)
			if tt.further {
				l.rdb.HDel(ctx, l.workersKey(), m.ID())
			}
			runID = "two"
			if err := m.tick(ctx); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			rec, err := l.Record(ctx, run.ID)
			if err != nil || rec.State != tt.want {
				t.Errorf("%s: run is %s (%v), want %s", tt.name, rec.State, err, tt.want)
			}

			if tt.want == campaign.Held && codes.Of(rec.Reason) != codes.HeldRedis {
				t.Errorf("%s: reason %q has no code", tt.name, rec.Reason)
			}
			l.rdb.SRem(ctx, l.activeKey(), run.ID)
			l.rdb.Del(ctx, l.workersKey())
		}
	})
}

// TestHeartbeatLeavesAClaimWhoseAnswerIsOnItsWay looks between the claim in
// Redis and the answer that the worker has not read.
func TestHeartbeatLeavesAClaimWhoseAnswerIsOnItsWay(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 1)
		n := line(t, l)
		id := "one"
		m := member(t, l, &id)
		e := m.Ask(Ref{run, 0, 0})
		c, err := n.Claim(ctx, Ref{run, 0, 0}, e.Token, SuppressionKey{})
		if !c.Held || err != nil {
			t.Fatalf("claim: %+v, %v", c, err)
		}

		if err := m.review(ctx); err != nil {
			t.Fatal(err)
		}
		if cells, _ := l.Page(ctx, run, 0, 0); cells[0].State != campaign.Sending {
			t.Errorf("state %v after the heartbeat, want sending", cells[0].State)
		}

		// The answer never came: the claim is undone, now or by the next heartbeat.
		m.Journal().Close(e, Outcome{State: campaign.Pending})
		if err := m.review(ctx); err != nil {
			t.Fatal(err)
		}
		if cells, _ := l.Page(ctx, run, 0, 0); cells[0].State != campaign.Pending || cells[0].Attempts != 0 {
			t.Errorf("%+v after the claim was undone, want pending without an attempt", cells[0])
		}
	})
}

// TestAFrozenWorkersLateReply wakes a worker that was taken off with a 250 in
// its buffer, under both settings of on_uncertain.
func TestAFrozenWorkersLateReply(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		for _, resend := range []bool{false, true} {
			id := map[bool]string{false: "hold", true: "resend"}[resend]
			run := newRun(t, l, id, 2)
			n := line(t, l)
			life := "one"
			l.rdb.HSet(ctx, l.runKey(id, "record"), "on_uncertain", id)
			frozen := member(t, l, &life)
			other := member(t, l, &life)
			tokens := [2]string{}
			for i := range tokens {
				e := frozen.Ask(Ref{run, 0, i})
				tokens[i] = e.Token
				if c, err := n.Claim(ctx, Ref{run, 0, i}, e.Token, SuppressionKey{}); !c.Held || err != nil {
					t.Fatalf("claim: %+v, %v", c, err)
				}
			}

			if err := other.takeOff(ctx, frozen.ID(), l.rdb.HGet(ctx, l.workersKey(), frozen.ID()).Val()); err != nil {
				t.Fatal(err)
			}
			want := campaign.Uncertain
			if resend {
				want = campaign.Deferred
			}
			cells, err := l.Page(ctx, run, 0, 0)
			if err != nil || cells[0].State != want || resend && (cells[0].When < 14*time.Minute || cells[0].When > 16*time.Minute) {
				t.Fatalf("%s: %+v (%v) after the death, want %v", id, cells[0], err, want)
			}

			for range 2 { // asked twice: the client resends
				if ok, err := n.Settle(ctx, Ref{run, 0, 0}, tokens[0], Outcome{State: campaign.Accepted}); err != nil || ok != (cells[0].State != campaign.Accepted) {
					t.Errorf("%s: late 250: %v, %v", id, ok, err)
				}
				cells, _ = l.Page(ctx, run, 0, 0)
				if cells[0].State != campaign.Accepted {
					t.Errorf("%s: %v after the late 250", id, cells[0].State)
				}
			}

			// A recipient that ends without another try is uncertain, not cancelled.
			if _, err := l.Turn(ctx, id, campaign.RunCancelled, "", campaign.Running); err != nil {
				t.Fatal(err)
			}
			if err := l.Sweep(ctx, run); err != nil {
				t.Fatal(err)
			}
			if cells, _ = l.Page(ctx, run, 0, 0); cells[1].State != campaign.Uncertain {
				t.Errorf("%s: %v in the cancelled run, want uncertain", id, cells[1].State)
			}
		}
	})
}

// TestAllDownForTwoMinutesWithClaimsOpen: no worker is left that could see the dead
// worker's counter stand still. The next worker counts from its own first look,
// whatever the clocks say of the time between: for 15 s no claim is touched, then only
// the open ones become uncertain, and the other recipients are issued again.
func TestAllDownForTwoMinutesWithClaimsOpen(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 4)
		n := line(t, l)
		life := "one"
		dead := member(t, l, &life)
		if _, err := l.Issue(ctx, run, 0, 4, time.Minute, false, []int{0, 1, 2}); err != nil {
			t.Fatal(err)
		}

		for i := range 2 {
			if c, err := n.Claim(ctx, Ref{run, 0, i}, dead.Ask(Ref{run, 0, i}).Token, SuppressionKey{}); !c.Held || err != nil {
				t.Fatalf("claim: %+v, %v", c, err)
			}
		}

		states := func() (out string) {
			cells, err := l.Page(ctx, run, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cells {
				out += strings.ReplaceAll(string(rune(c.State)), "\x00", "-")
			}
			return out
		}
		next := member(t, l, &life)
		clock := time.Now().Add(2 * time.Minute)
		next.now = func() time.Time { return clock }
		clear(next.seen) // its life began after those two minutes
		for clock := clock.Add(deadAfter); ; {
			if err := next.observe(ctx, life); err != nil {
				t.Fatal(err)
			}
			if !next.now().Before(clock) {
				break
			}
			if got := states(); got != "ssi-" {
				t.Fatalf("cells %s, %s before the dead worker is found", got, clock.Sub(next.now()))
			}
			at := next.now().Add(tickEvery)
			next.now = func() time.Time { return at }
		}

		if got := states(); got != "uui-" {
			t.Errorf("cells %s after the death, want the two that were claimed uncertain", got)
		}
		if deaths, err := l.Deaths(ctx); err != nil || deaths != 1 {
			t.Errorf("%d deaths, %v: the feeder hands out again after one", deaths, err)
		}

		out, err := l.Issue(ctx, run, 0, 4, time.Minute, true, []int{0, 1, 2, 3})
		if err != nil || !slices.Equal(out.Indexes, []int{2, 3}) {
			t.Errorf("handed out %v, %v; want 2 and 3", out.Indexes, err)
		}
	})
}

// TestCancelWithAClaimOpen releases or defers a claim of a cancelled run.
func TestCancelWithAClaimOpen(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 3)
		n := line(t, l)
		id := "one"
		m := member(t, l, &id)
		outcomes := []campaign.State{campaign.Pending, campaign.Deferred, campaign.Accepted}
		var tokens []string
		for i := range outcomes {
			e := m.Ask(Ref{run, 0, i})
			tokens = append(tokens, e.Token)
			if c, err := n.Claim(ctx, Ref{run, 0, i}, e.Token, SuppressionKey{}); !c.Held || err != nil {
				t.Fatalf("claim: %+v, %v", c, err)
			}
		}

		if _, err := l.Turn(ctx, run.ID, campaign.RunCancelled, "", campaign.Running); err != nil {
			t.Fatal(err)
		}
		if err := l.Sweep(ctx, run); err != nil {
			t.Fatal(err)
		}

		for i, o := range outcomes {
			if ok, err := n.Settle(ctx, Ref{run, 0, i}, tokens[i], Outcome{State: o}); !ok || err != nil {
				t.Fatalf("settle %v: %v, %v", o, ok, err)
			}
		}

		cells, err := l.Page(ctx, run, 0, 0)
		if err != nil {
			t.Fatal(err)
		}

		for i, want := range []campaign.State{campaign.Cancelled, campaign.Cancelled, campaign.Accepted} {
			if cells[i].State != want {
				t.Errorf("%v of a cancelled run became %v, want %v", outcomes[i], cells[i].State, want)
			}
		}

		if rec, _ := l.Record(ctx, run.ID); rec.Finished.IsZero() || rec.State != campaign.RunCancelled {
			t.Errorf("the run is %s, finished %v", rec.State, rec.Finished)
		}
	})
}

// TestReplicatedClaimsWaitForAReplica claims with a replica, and without one.
func TestReplicatedClaimsWaitForAReplica(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}

	l := newLedger(t, redis.NewClient(opt), redis.NewScript)
	run := newRun(t, l, "r", 2)
	n := line(t, l)
	run.Replicated = true
	if err := l.CheckReplicas(ctx); !errors.Is(err, ErrNotReplicated) {
		t.Errorf("check without a replica: %v", err)
	}
	if c, err := n.Claim(ctx, Ref{run, 0, 0}, "w.1", SuppressionKey{}); !errors.Is(err, ErrNotReplicated) {
		t.Fatalf("claim without a replica: %+v, %v", c, err)
	}
	// It was carried out all the same, and is released by its token.
	if ok, err := n.Settle(ctx, Ref{run, 0, 0}, "w.1", Outcome{State: campaign.Pending}); !ok || err != nil {
		t.Errorf("release: %v, %v", ok, err)
	}

	host, port, err := net.SplitHostPort(opt.Addr)
	if err != nil {
		t.Fatal(err)
	}

	replica, err := redis.ParseURL(testkit.Redis(t, "--replicaof", host+" "+port))
	if err != nil {
		t.Fatal(err)
	}

	rc := redis.NewClient(replica)
	defer rc.Close()
	waitFor(t, func(ctx context.Context) bool {
		info, err := rc.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up") && l.CheckReplicas(ctx) == nil
	})
	waitFor(t, func(ctx context.Context) bool { // a busy replica may miss a claim's 100 ms
		c, err := n.Claim(ctx, Ref{run, 0, 1}, "w.2", SuppressionKey{})
		if errors.Is(err, ErrNotReplicated) {
			if _, err := n.Settle(ctx, Ref{run, 0, 1}, "w.2", Outcome{State: campaign.Pending}); err != nil {
				t.Fatal(err)
			}
			return false
		}

		if err != nil {
			t.Fatal(err)
		}

		return c.Held
	})
	if b := rc.GetRange(ctx, l.cellsKey(run, 0), 5, 5).Val(); b != string(rune(campaign.Sending)) {
		t.Errorf("the replica has %q", b)
	}
}

// waitFor asks until ok, for 20 s.
func waitFor(t *testing.T, ok func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it did not come about within 20 s")
		}
	}
}

// TestInAClusterEveryPrimaryNeedsAReplica: a run may lie on any of them.
func TestInAClusterEveryPrimaryNeedsAReplica(t *testing.T) {
	t.Parallel()
	world := testkit.NewCluster(t, 2, true)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{world.Primaries[0].Addr()}})
	t.Cleanup(func() { rdb.Close() })
	l := New(rdb, "bs", redis.NewScript)
	waitFor(t, func(ctx context.Context) bool { return l.CheckReplicas(ctx) == nil }) // each has read all
	world.Replicas[1].Kill()
	waitFor(t, func(ctx context.Context) bool { return errors.Is(l.CheckReplicas(ctx), ErrNotReplicated) })
}

// TestAFailedQuestionForReplicasIsNotAnAnswer: who is away has not said no.
func TestAFailedQuestionForReplicasIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	server := testkit.NewRedis(t)
	l := newLedger(t, redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1}), redis.NewScript)
	server.Kill()
	if err := l.CheckReplicas(t.Context()); err == nil || errors.Is(err, ErrNotReplicated) || !strings.Contains(err.Error(), "ask redis for its replicas") {
		t.Errorf("got %v, want that redis does not answer", err)
	}
}

// Under on_uncertain: resend somebody may be suppressed before the second try:
// the first one may have arrived all the same.
func TestASuppressionDoesNotEndADoubt(t *testing.T) {
	for name, suppress := range map[string]func(context.Context, *Line, Ref) (bool, error){
		"found by the look": func(ctx context.Context, n *Line, ref Ref) (bool, error) {
			return n.Refuse(ctx, ref, Outcome{State: campaign.Suppressed})
		},
		"found by the claim": func(ctx context.Context, n *Line, ref Ref) (bool, error) {
			if c, err := n.Claim(ctx, ref, "w.2", SuppressionKey{}); err != nil || !c.Held {
				return false, err
			}
			return n.Settle(ctx, ref, "w.2", Outcome{State: campaign.Suppressed})
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, l *Ledger) {
				ctx := t.Context()
				run := newRun(t, l, "r", 1)
				n := line(t, l)
				past := time.Now().Add(-20 * time.Minute).UnixMilli()
				if err := l.rdb.HSet(ctx, l.runKey("r", "record"), "on_uncertain", "resend").Err(); err != nil {
					t.Fatal(err)
				}

				ref := Ref{run, 0, 0}
				if c, err := n.Claim(ctx, ref, "w.1", SuppressionKey{}); err != nil || !c.Held {
					t.Fatalf("%+v, %v", c, err)
				}
				if ok, err := n.Settle(ctx, ref, "w.1", Outcome{State: campaign.Uncertain}); err != nil || !ok {
					t.Fatal(ok, err)
				}
				if err := l.rdb.HSet(ctx, l.runKey("r", "record"), "created", past).Err(); err != nil { // 20 minutes later
					t.Fatal(err)
				}
				if out, err := l.Issue(ctx, run, 0, 1, time.Minute, false, []int{0}); err != nil || len(out.Indexes) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				if ok, err := suppress(ctx, n, ref); err != nil || !ok {
					t.Fatal(ok, err)
				}
				if got := states(t, l, run, 0); got != "u" {
					t.Errorf("suppressed before the second try: %s, want u", got)
				}
				if ok, err := n.Settle(ctx, ref, "w.1", Outcome{State: campaign.Accepted}); err != nil || !ok || states(t, l, run, 0) != "a" {
					t.Errorf("a late 250 of the first try: %v, %v, %s", ok, err, states(t, l, run, 0))
				}
			})
		})
	}
}
