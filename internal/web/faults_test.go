package web_test

import (
	"context"
	"testing"
	"time"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/store"
	"broadside/internal/testkit"
	"broadside/internal/web"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Whatever is the matter with Redis, the answer is 200 if the unsubscribe is in
// force, and else 503 with Retry-After, before a platform's router gives up.
func TestEveryTroubleOfRedisHasItsAnswer(t *testing.T) {
	t.Parallel()
	command := func(args ...any) func(*testing.T, *testkit.RedisServer, redis.UniversalClient) {
		return func(t *testing.T, _ *testkit.RedisServer, rdb redis.UniversalClient) {
			if err := rdb.Do(t.Context(), args...).Err(); err != nil {
				t.Fatalf("%v: %v", args, err)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		trouble func(*testing.T, *testkit.RedisServer, redis.UniversalClient)
		over    func(*testing.T, *testkit.RedisServer, redis.UniversalClient)
		want    int
	}{
		{
			"gone", func(_ *testing.T, r *testkit.RedisServer, _ redis.UniversalClient) { r.Kill() },
			func(_ *testing.T, r *testkit.RedisServer, _ redis.UniversalClient) { r.Start() }, 503,
		},
		{
			"frozen", func(_ *testing.T, r *testkit.RedisServer, _ redis.UniversalClient) { r.Stop() },
			func(_ *testing.T, r *testkit.RedisServer, _ redis.UniversalClient) { r.Cont() }, 503,
		},
		{"a replica", command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE"), 503},
		{"too few replicas", command("CONFIG", "SET", "min-replicas-to-write", "1"), command("CONFIG", "SET", "min-replicas-to-write", "0"), 503},
		{"full", command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0"), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.NewRedis(t)
			st, err := store.Open(t.Context(), store.Options{URL: r.URL()})
			if err != nil {
				t.Fatalf("open store: %v", err)
			}
			t.Cleanup(func() { st.Close() })
			list := suppression.New(st.Client(), "bs", st.Lua)
			s := newSite(t, web.Config{Ready: ready}, list)
			tt.trouble(t, r, st.Client())
			s.expect(t, tt.want)
			tt.over(t, r, st.Client())
			if was := len(s.suppressed(t)) > 0; tt.want == 200 && !was {
				t.Error("answered 200 and not suppressed")
			}
			s.expect(t, 200)
			if len(s.suppressed(t)) != 1 {
				t.Error("not suppressed after the second try")
			}
		})
	}
}

// expect presses the button and expects an answer.
func (s *site) expect(t *testing.T, want int) {
	t.Helper()
	start := time.Now()
	res, _ := s.do(t, "POST", token.Path+s.keys.Seal(link), form, "List-Unsubscribe=One-Click")
	retry := res.Header.Get("Retry-After")
	if res.StatusCode != want || (retry != "") != (want == 503) {
		t.Errorf("got %d, Retry-After %q, want %d", res.StatusCode, retry, want)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("answered after %v", took)
	}
}

// A Redis that reads its data answers, but not yet to the point.
func TestLoadingRedis(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	list := suppression.New(rdb, "bs", func(src string) *redis.Script { return redis.NewScript("--" + src) })
	s := newSite(t, web.Config{Ready: func(ctx context.Context) error { return rdb.Ping(ctx).Err() }}, list)
	m.SetError("LOADING Redis is loading the dataset in memory")
	s.expect(t, 503)
	if res, _ := s.do(t, "GET", "/readyz", "", ""); res.StatusCode != 503 {
		t.Errorf("/readyz: got %d, want 503", res.StatusCode)
	}

	m.SetError("")
	s.expect(t, 200)
}
