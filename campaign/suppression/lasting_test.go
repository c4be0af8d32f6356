package suppression_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// suppressed reports whether mail of topic is kept from address.
func suppressed(t *testing.T, s *suppression.Store, address, topic string) bool {
	t.Helper()
	got, err := s.Suppressed(t.Context(), topic, people(address))
	if err != nil {
		t.Fatalf("Suppressed: %v", err)
	}
	return got[0]
}

func note(t *testing.T, s *suppression.Store, b suppression.Barrier, e suppression.Entry) suppression.Noted {
	t.Helper()
	n, err := s.AddLasting(t.Context(), b, e)
	if err != nil {
		t.Fatalf("AddLasting: %v", err)
	}
	return n
}

// What a Redis has forgotten comes back; what was removed since does not,
// whatever the clocks of the processes say.
func TestReplay(t *testing.T) {
	t.Parallel()
	const who = "reader@example.com"
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		for i, tt := range []struct {
			name    string
			skew    time.Duration // of the clock of who added, against that of Redis
			between func(t *testing.T, s *suppression.Store)
			want    bool
			missing int
		}{
			{"nothing happened", 0, func(*testing.T, *suppression.Store) {}, true, 0},
			{"forgotten", 0, func(t *testing.T, _ *suppression.Store) {
				if err := rdb.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}, true, 1},
			{"removed", 0, removeAll(who), false, 0},
			{"removed, the clock was ahead", 5 * time.Minute, removeAll(who), false, 0},
			{"removed, and added again", 0, func(t *testing.T, s *suppression.Store) {
				removeAll(who)(t, s)
				add(t, s, 1, suppression.Entry{Address: who, Scope: suppression.Topic("news")})
			}, true, 0},
		} {
			topic := fmt.Sprintf("news%d", i)
			e := suppression.Entry{Address: who, Reason: suppression.ReasonUnsubscribe, Scope: suppression.Topic(topic)}
			if tt.skew != 0 {
				e.At = time.Now().Add(tt.skew)
			}
			n := note(t, s, suppression.Barrier{}, e)
			if n.Added != 1 || !n.Lasting || time.Since(n.At).Abs() > time.Minute {
				t.Errorf("%s: AddLasting: got %+v", tt.name, n)
			}

			if e.At.IsZero() {
				e.At = n.At
			}
			tt.between(t, s)
			if strings.HasSuffix(tt.name, "added again") {
				topic = "news"
				e.Scope = suppression.Topic("news")
			}
			got, err := s.Replay(t.Context(), suppression.Barrier{}, e)
			if err != nil || got.Added != tt.missing {
				t.Errorf("%s: Replay: got %+v, %v, want %d missing", tt.name, got, err, tt.missing)
			}

			if got := suppressed(t, s, who, topic); got != tt.want {
				t.Errorf("%s: suppressed: got %v, want %v", tt.name, got, tt.want)
			}
		}
	})
}

func removeAll(who string) func(*testing.T, *suppression.Store) {
	return func(t *testing.T, s *suppression.Store) {
		if n, err := s.Rm(t.Context(), who); err != nil || n == 0 {
			t.Fatalf("Rm: got %d, %v", n, err)
		}
	}
}

// A removal is not an entry, knows no address, and is no obstacle.
func TestRemovalLeavesAMark(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		add(t, s, 1, suppression.Entry{Address: "left@example.com"})
		removeAll("left@example.com")(t, s)
		if n, err := s.Rm(t.Context(), "left@example.com"); err != nil || n != 0 {
			t.Errorf("Rm again: got %d, %v, want 0", n, err)
		}

		st, err := s.Stats(t.Context())
		if err != nil || st.Total != 0 || st.Expired != 0 {
			t.Errorf("Stats: got %+v, %v, want none, expired neither", st, err)
		}

		export(t, s, 0)
		k := suppression.KeyOf("left@example.com")
		value, err := rdb.HGet(t.Context(), fmt.Sprintf("bs:supp:%x", k[0]%16), string(k[:])).Result()
		if err != nil || strings.Contains(value, "left") {
			t.Errorf("the mark is %q, %v", value, err)
		}

		add(t, s, 1, suppression.Entry{Address: "left@example.com", At: at}) // the past too: it is somebody's word now
		if !suppressed(t, s, "left@example.com", "") {
			t.Error("not suppressed after a new Add")
		}
	})
}

func TestCountNewAddsNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		add(t, s, 1, suppression.Entry{Address: "old@example.com"})
		n, err := s.CountNew(t.Context(), suppression.Entry{Address: "old@example.com"}, suppression.Entry{Address: "new@example.com", Scope: suppression.Topic("news")})
		if err != nil || n != 1 {
			t.Errorf("CountNew: got %d, %v, want 1", n, err)
		}

		if suppressed(t, s, "new@example.com", "news") {
			t.Error("CountNew has added")
		}
		if got, err := s.Check(t.Context(), "new@example.com"); err != nil || len(got) != 1 || got[0].Suppressed {
			t.Errorf("Check: got %+v, %v", got, err)
		}
	})
}

// The barrier of replicas: reached while one follows, missed while none does;
// the entry stands either way.
func TestBarrierOfReplicas(t *testing.T) {
	t.Parallel()
	primary := testkit.NewRedis(t)
	host, port, _ := strings.Cut(primary.Addr(), ":")
	replica := testkit.NewRedis(t, "--replicaof", host+" "+port)
	rdb := client(t, primary.URL())
	until(t, "the replica is in step", func() bool {
		text, err := rdb.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(text, "state=online")
	})
	s := suppression.New(rdb, "bs", redis.NewScript)
	b := suppression.Barrier{Replica: true}
	until(t, "the entry is lasting, since a replica follows", func() bool { // a busy one may miss the time for one
		return note(t, s, b, suppression.Entry{Address: "one@example.com"}).Lasting
	})
	following := suppression.New(client(t, replica.URL()), "bs", redis.NewScript)
	if !suppressed(t, following, "one@example.com", "") {
		t.Error("said to be lasting before the replica had it")
	}

	replica.Stop()
	defer replica.Cont()
	if n := note(t, s, b, suppression.Entry{Address: "two@example.com"}); n.Lasting || n.Added != 1 {
		t.Errorf("got %+v, want it added and not lasting: the replica is frozen", n)
	}
	if !suppressed(t, s, "two@example.com", "") {
		t.Error("not in force without the barrier")
	}
}

// The barrier of the disk, by what WAITAOF answers.
func TestBarrierOfTheDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(c *server.Peer)
		want   bool
	}{
		{"on disk", func(c *server.Peer) { c.WriteLen(2); c.WriteInt(1); c.WriteInt(0) }, true},
		{"not in time", func(c *server.Peer) { c.WriteLen(2); c.WriteInt(0); c.WriteInt(0) }, false},
		{"refused", func(c *server.Peer) { c.WriteError("NOPERM this user has no permissions to run the 'waitaof' command") }, false},
		{"unknown", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			asked := ""
			if tt.answer != nil {
				if err := m.Server().Register("WAITAOF", func(c *server.Peer, _ string, args []string) {
					asked = strings.Join(args, " ")
					tt.answer(c)
				}); err != nil {
					t.Fatal(err)
				}
			}

			s := suppression.New(client(t, "redis://"+m.Addr()), "bs", withoutFlags)
			n := note(t, s, suppression.Barrier{Disk: true}, suppression.Entry{Address: "one@example.com"})
			if n.Lasting != tt.want || n.Added != 1 {
				t.Errorf("got %+v, want it added, and lasting %v", n, tt.want)
			}

			if tt.answer != nil && asked != "1 0 500" {
				t.Errorf("WAITAOF was asked %q", asked)
			}
		})
	}
}

// Neither a full Redis nor one without replicas may be mistaken for the other.
func TestAddLastingWhenRedisRefuses(t *testing.T) {
	t.Parallel()
	rdb := client(t, testkit.Redis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction"))
	s := suppression.New(rdb, "bs", redis.NewScript)
	if err := rdb.SetRange(t.Context(), "filler", 4<<20, "x").Err(); err != nil {
		t.Fatalf("SETRANGE: %v", err)
	}

	note(t, s, suppression.Barrier{}, suppression.Entry{Address: "full@example.com", Scope: suppression.Topic("news")})
	if !suppressed(t, s, "full@example.com", "news") {
		t.Error("refused by a full Redis")
	}
	if err := rdb.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.AddLasting(t.Context(), suppression.Barrier{}, suppression.Entry{Address: "lost@example.com"}); err == nil || !strings.Contains(err.Error(), "NOREPLICAS") {
		t.Errorf("got %+v, %v, want NOREPLICAS", n, err)
	}
}

// until waits for what comes in its own time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range testkit.Tries(20 * time.Second) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}
