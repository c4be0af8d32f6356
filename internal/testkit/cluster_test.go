package testkit_test

import (
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

func TestClusterSpreadsKeysAndFailsOver(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 3, true)
	if got := ask(t, c.Primaries[0].Addr(), "SET {b}k 1"); got != "+OK" {
		t.Errorf("SET at the first node: got %q, want +OK: the slot of b is 3300", got)
	}
	if got := ask(t, c.Primaries[2].Addr(), "SET {b}k 1"); !strings.HasPrefix(got, "-MOVED 3300") {
		t.Errorf("SET at the third node: got %q, want MOVED", got)
	}
	// A busy replica has not begun to follow yet.
	rdb := redis.NewClient(&redis.Options{Addr: c.Primaries[0].Addr(), PoolSize: 1, ReadTimeout: 30 * time.Second})
	defer rdb.Close()
	pipe := rdb.Pipeline()
	pipe.Set(t.Context(), "{b}k", "1", 0)
	replicas := pipe.Do(t.Context(), "WAIT", 1, 20_000)
	if _, err := pipe.Exec(t.Context()); err != nil || replicas.Val() != int64(1) {
		t.Fatalf("%v replicas have the key, %v", replicas.Val(), err)
	}
	c.Primaries[0].Kill()
	c.WaitFailover(0)
	if got := ask(t, c.Replicas[0].Addr(), "GET {b}k"); got != "1" {
		t.Errorf("GET at the promoted replica: got %q, want 1", got)
	}
	if got := strings.Count(c.URL(), ","); got != 2 {
		t.Errorf("URL %s, want three nodes", c.URL())
	}
}

func TestSentinelsFailOver(t *testing.T) {
	t.Parallel()
	s := testkit.NewSentinels(t, 1)
	old := s.Primary()
	if old != s.Servers[0] {
		t.Errorf("the primary is %s, want the first server", old.Addr())
	}
	rdb := redis.NewClient(&redis.Options{Addr: old.Addr()})
	defer rdb.Close()
	if err := rdb.Set(t.Context(), "k", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Wait(t.Context(), 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	old.Kill()
	s.WaitFailover(old)
	if got := ask(t, s.Primary().Addr(), "GET k"); got != "kept" {
		t.Errorf("GET at the new primary: got %q, want kept", got)
	}
}
