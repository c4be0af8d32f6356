package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"broadside/internal/store"
	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

// lives is what a caller of Claims remembers: it takes connections to the
// servers that it knows, and counts those that it was asked about.
type lives struct {
	mu    sync.Mutex
	known string // joined by +
	seen  map[string]bool
}

var errUnknown = errors.New("not told yet")

func (l *lives) admit(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[id] = true
	if !slices.Contains(strings.Split(l.known, "+"), id) {
		return errUnknown
	}
	return nil
}

// learn takes what Server says.
func (l *lives) learn(t *testing.T, s *store.Store) string {
	t.Helper()
	var id string
	eventually(t, func() error {
		var err error
		id, _, err = s.Server(t.Context())
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = id
	return id
}

func TestSentinelFollowsThePrimary(t *testing.T) {
	t.Parallel()
	world := testkit.NewSentinels(t, 2)
	s := open(t, store.Options{URL: world.URL(), MaxConnections: 4, Claims: 1})
	var l lives
	first := l.learn(t, s)
	claims := s.Claims(l.admit)
	if err := claims.Incr(t.Context(), "n").Err(); err != nil {
		t.Fatalf("INCR: %v", err)
	}
	if !l.seen[first] || len(l.seen) != 1 {
		t.Errorf("claims was asked about %v, want the primary alone", l.seen)
	}
	if n, err := s.Client().Do(t.Context(), "WAIT", 2, 0).Int(); err != nil || n != 2 {
		t.Fatalf("WAIT: got %d, %v, want both replicas", n, err)
	}

	old := world.Primary()
	old.Kill()
	world.WaitFailover(old)
	eventually(t, func() error {
		if err := claims.Incr(t.Context(), "n").Err(); !errors.Is(err, errUnknown) {
			return fmt.Errorf("INCR at the new primary: got %w, want %w", err, errUnknown)
		}
		return nil
	})
	if second := l.learn(t, s); second == first {
		t.Errorf("Server: got %s after the failover, want another", second)
	}
	eventually(t, func() error {
		n, err := claims.Incr(t.Context(), "n").Result()
		if err != nil || n != 2 {
			return fmt.Errorf("INCR once it is known: got %d, %w, want 2", n, err)
		}
		return nil
	})
}

func TestSentinelTroubleSaysWhatToDo(t *testing.T) {
	t.Parallel()
	world := testkit.NewSentinels(t, 0)
	hosts := strings.TrimSuffix(strings.TrimPrefix(world.URL(), "redis-sentinel://"), "/"+testkit.SentinelPrimary)
	guarded := strings.Split(hosts, ",")[0]
	admin := redis.NewClient(&redis.Options{Addr: guarded})
	t.Cleanup(func() { admin.Close() })
	alone := testkit.NewRedis(t)
	for _, tt := range []struct {
		name, url string
		kind      error
		want      string
		prepare   string // password of the first sentinel
	}{
		{"unknown name", "redis-sentinel://:hunter2@" + hosts + "/other", store.ErrOptions, `names the primary "other", which the sentinel at ` + guarded + " does not watch; expected primary", ""},
		{"no sentinel", "redis-sentinel://:hunter2@" + alone.Addr() + "/primary", store.ErrOptions, "as a sentinel, which it is not", ""},
		{"nobody", "redis-sentinel://:hunter2@127.0.0.1:1/primary", store.ErrUnreachable, "sentinel 127.0.0.1:1 is not reachable", ""},
		{"password", "redis-sentinel://:hunter2@" + guarded + "/primary", store.ErrUnreachable, "?sentinel_password=", "open sesame"},
		{"wrong password", "redis-sentinel://" + guarded + "/primary?sentinel_password=hunter2", store.ErrUnreachable, "refuses the login", ""},
	} {
		if tt.prepare != "" {
			if err := admin.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">"+tt.prepare).Err(); err != nil {
				t.Fatalf("ACL SETUSER: %v", err)
			}
		}
		_, err := store.Open(t.Context(), store.Options{URL: tt.url})
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %v with %q", tt.name, err, tt.kind, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", tt.name, err)
		}
	}
	open(t, store.Options{URL: "redis-sentinel://" + guarded + "/primary?sentinel_password=open+sesame"})
}

func TestClusterAsksPrimariesAlone(t *testing.T) {
	t.Parallel()
	world := testkit.NewCluster(t, 3, true)
	url := "redis-cluster://" + world.Replicas[1].Addr() + "," + world.Primaries[0].Addr()
	s := open(t, store.Options{URL: url, MaxConnections: 5, Claims: 2})
	var l lives
	first := l.learn(t, s)
	if n := strings.Count(first, "+"); n != 2 {
		t.Errorf("Server: got %q, want the ids of three primaries", first)
	}
	claims := s.Claims(l.admit)
	spread := func() error {
		for i := range 60 {
			pipe := claims.Pipeline()
			pipe.Incr(t.Context(), strconv.Itoa(i))
			pipe.Incr(t.Context(), strconv.Itoa(i)+"b")
			if _, err := pipe.Exec(t.Context()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := spread(); err != nil {
		t.Fatalf("INCR: %v", err)
	}
	if len(l.seen) != 3 {
		t.Errorf("claims was asked about %d servers, want the three primaries", len(l.seen))
	}

	world.Primaries[2].Kill()
	world.WaitFailover(2)
	eventually(t, func() error {
		if err := spread(); !errors.Is(err, errUnknown) {
			return fmt.Errorf("INCR after a failover: got %w, want %w", err, errUnknown)
		}
		return nil
	})
	eventually(t, func() error {
		if second := l.learn(t, s); second == first || strings.Count(second, "+") != 2 {
			return fmt.Errorf("Server after a failover: got %q, before %q", second, first)
		}
		return nil
	})
	eventually(t, spread)
	if len(l.seen) != 4 {
		t.Errorf("claims was asked about %d servers, want the promoted replica as well, and no other", len(l.seen))
	}
}

func TestOpenTellsClusterAndServerApart(t *testing.T) {
	t.Parallel()
	world := testkit.NewCluster(t, 1, false)
	alone := testkit.NewRedis(t)
	for _, tt := range []struct {
		url  string
		kind error
		want string
	}{
		{world.Primaries[0].URL(), store.ErrUnfit, "write redis-cluster://"},
		{"redis-cluster://" + alone.Addr(), store.ErrOptions, "is not a Redis Cluster: write redis://"},
		{"redis-cluster://127.0.0.1:1,127.0.0.1:2", store.ErrUnreachable, "redis at 127.0.0.1:1,127.0.0.1:2 is not reachable"},
	} {
		if _, err := store.Open(t.Context(), store.Options{URL: tt.url}); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open(%s): got %v, want %v with %q", tt.url, err, tt.kind, tt.want)
		}
	}
}

func TestOpenVerifiesCertificates(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	port := strconv.Itoa(testkit.Port(t))
	testkit.NewRedis(t, "--tls-port", port, "--tls-cert-file", certs.Valid.CertFile, "--tls-key-file", certs.Valid.KeyFile,
		"--tls-ca-cert-file", certs.CAFile, "--tls-auth-clients", "no")
	url := "rediss://127.0.0.1:" + port
	_, err := store.Open(t.Context(), store.Options{URL: url})
	if !errors.Is(err, store.ErrUnreachable) || !strings.Contains(err.Error(), "redis.tls_insecure: true") {
		t.Errorf("Open: got %v, want the way to accept the certificate", err)
	}
	s := open(t, store.Options{URL: url, TLSInsecure: true, MaxConnections: 3, Claims: 1})
	claims := s.Claims(func(context.Context, string) error { return nil })
	if err := errors.Join(s.Client().Incr(t.Context(), "n").Err(), claims.Incr(t.Context(), "n").Err()); err != nil {
		t.Errorf("INCR: %v", err)
	}
	s.Sever()
	if n, err := s.Client().Incr(t.Context(), "n").Result(); err != nil || n != 3 {
		t.Errorf("INCR after Sever: got %d, %v, want 3", n, err)
	}
}

func TestDeniedNamesTheCommand(t *testing.T) {
	t.Parallel()
	srv := testkit.NewRedis(t)
	admin := open(t, store.Options{URL: srv.URL()}).Client()
	user := func(name string, rules ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), append([]any{"ACL", "SETUSER", name, "on", ">pw", "resetkeys", "~a:*", "-@all"}, rules...)...).Err(); err != nil {
			t.Fatalf("ACL SETUSER: %v", err)
		}
	}
	user("narrow", "+info", "+eval", "+evalsha", "+incr", "+hset")
	user("blind", "+incr")
	url := func(name string) string { return "redis://" + name + ":pw@" + srv.Addr() }
	expect := func(what string, err error, command string) {
		t.Helper()
		var denied *store.DeniedError
		if !errors.As(err, &denied) || denied.Command != command || !errors.Is(err, store.ErrUnreachable) {
			t.Errorf("%s: got %v, want a DeniedError of %q", what, err, command)
		}
	}
	_, err := store.Open(t.Context(), store.Options{URL: url("blind")})
	expect("Open", err, "info")

	rdb := open(t, store.Options{URL: url("narrow")}).Client()
	expect("HGET", rdb.HGet(t.Context(), "a:h", "f").Err(), "hget")
	expect("SCRIPT LOAD", redis.NewScript("return 1").Load(t.Context(), rdb).Err(), "script|load")
	expect("INCR of a key", rdb.Incr(t.Context(), "b:n").Err(), "incr")
	expect("HGET in a script", rdb.Eval(t.Context(), "return redis.call('HGET', KEYS[1], 'f')", []string{"a:h"}).Err(), "a command within eval")
	var good *redis.IntCmd
	var bad *redis.StringCmd
	_, err = rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		good, bad = p.Incr(t.Context(), "a:n"), p.Get(t.Context(), "a:n")
		return nil
	})
	expect("the pipeline", err, "get")
	expect("GET in it", bad.Err(), "get")
	if good.Err() != nil {
		t.Errorf("INCR beside it: %v", good.Err())
	}
}
