package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadside/internal/store"
	"broadside/internal/testkit"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(slowly{m}) }

// slowly gives go-redis time to end: when a server is gone it asks for it once
// a second, and sees only then that its pool is closed.
type slowly struct{ *testing.M }

func (s slowly) Run() int {
	code := s.M.Run()
	for range testkit.Tries(3 * time.Second) {
		if goleak.Find() == nil {
			break
		}
	}
	return code
}

func open(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestOpen(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{URL: testkit.Redis(t, "--appendonly", "yes")})
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING: %v", err)
	}
	if s.Embedded() {
		t.Error("a real Redis says that it is embedded")
	}
	for _, f := range s.Findings() {
		if f.Level != store.Good {
			t.Errorf("finding %s: %s, want nothing wrong", f.Level, f.Text)
		}
	}
	id, err := s.RunID(t.Context())
	if err != nil || len(id) != 40 {
		t.Errorf("RunID: got %q, %v, want 40 digits", id, err)
	}
	same, uptime, err := s.Server(t.Context())
	if err != nil || same != id || uptime < 0 || uptime > time.Hour {
		t.Errorf("Server: got %q up for %v, %v, want %q of a server just started", same, uptime, err, id)
	}
}

func TestOpenWarnsOfAVolatileRedisOnLoopback(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{URL: testkit.Redis(t)})
	if f := s.Findings()[0]; f.Level != store.Warning || !strings.Contains(f.Text, "no persistence") {
		t.Errorf("worst finding: got %+v, want a warning of no persistence", f)
	}
}

func TestOpenRefusesAnUnfitRedis(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{URL: testkit.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")})
	if !errors.Is(err, store.ErrUnfit) || !strings.Contains(err.Error(), "set maxmemory-policy noeviction") {
		t.Errorf("Open: got %v, %v, want ErrUnfit with the fix", s, err)
	}
}

func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and never answers
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer silent.Close()
	plain := strings.TrimPrefix(testkit.Redis(t), "redis://")
	secure := fake(t, selfSigned(t), func(int64) string { return "" })
	guarded := strings.TrimPrefix(testkit.Redis(t), "redis://")
	if err := open(t, store.Options{URL: "redis://" + guarded}).Client().ConfigSet(t.Context(), "requirepass", "open sesame").Err(); err != nil {
		t.Fatalf("CONFIG SET: %v", err)
	}

	t.Run("all", func(t *testing.T) { // waits for the parallel ones, so that the listener stays
		for _, tt := range []struct {
			name, url string
			want      []string
		}{
			{"refused", "redis://:hunter2@127.0.0.1:1/0", []string{"redis at 127.0.0.1:1 is not reachable", "connection refused", "redis_url", "REDIS_URL"}},
			{"silent", "redis://:hunter2@" + silent.Addr().String(), []string{"does not answer in time"}},
			{"no password", "redis://" + guarded, []string{"refuses the login", "redis://user:password@host:6379/0"}},
			{"wrong password", "redis://:hunter2@" + guarded, []string{"refuses the login"}},
			{"self-signed", "rediss://:hunter2@" + secure, []string{"certificate that cannot be verified", "redis.tls_insecure: true"}},
			{"plain", "rediss://:hunter2@" + plain, []string{"does not answer in time", "does the server speak it on this port?"}},
			{"TLS", "redis://:hunter2@" + secure, []string{"closes the connection", "then write rediss://"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				_, err := store.Open(t.Context(), store.Options{URL: tt.url})
				if !errors.Is(err, store.ErrUnreachable) {
					t.Fatalf("Open: got %v, want ErrUnreachable", err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error lacks %q: %v", want, err)
					}
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows the password: %v", err)
				}
			})
		}
	})
}

func TestOpenInsecureTLS(t *testing.T) {
	t.Parallel()
	addr := fake(t, selfSigned(t), func(int64) string { return "" })
	open(t, store.Options{URL: "rediss://" + addr, TLSInsecure: true})
}

func TestOpenWaitsForLoading(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	addr := fake(t, nil, func(n int64) string {
		asked.Store(n)
		if n < 6 {
			return "LOADING Redis is loading the dataset in memory"
		}
		return ""
	})
	open(t, store.Options{URL: "redis://" + addr})
	if asked.Load() < 6 {
		t.Errorf("opened after %d questions, before the server was ready", asked.Load())
	}
}

func TestOpenWaitsForLoadingOnlySoLong(t *testing.T) {
	t.Parallel()
	addr := fake(t, nil, func(int64) string { return "LOADING Redis is loading the dataset in memory" })
	_, err := store.Open(t.Context(), store.Options{URL: "redis://" + addr})
	if !errors.Is(err, store.ErrUnreachable) || !strings.Contains(err.Error(), "is still loading its data") {
		t.Errorf("Open: got %v, want that it is still loading", err)
	}
}

func TestOpenIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	cancel(stop)
	_, err := store.Open(ctx, store.Options{URL: "redis://127.0.0.1:1"})
	if !errors.Is(err, stop) || errors.Is(err, store.ErrUnreachable) {
		t.Errorf("Open: got %v, want %v", err, stop)
	}
}

func TestOpenRefusesASmallBudget(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), store.Options{URL: "redis://127.0.0.1:1", MaxConnections: 3, Claims: 3})
	if !errors.Is(err, store.ErrOptions) || !strings.Contains(err.Error(), "redis.max_connections is 3, expected at least 4") {
		t.Errorf("Open: got %v, want ErrOptions with the number", err)
	}
}

func TestForClaimsLeavesMoreThanHalf(t *testing.T) {
	t.Parallel()
	for all := 2; all < 200; all++ {
		if claims := store.ForClaims(all); claims < 1 || all-claims < all/2 {
			t.Errorf("ForClaims(%d): %d", all, claims)
		}
	}
}

// The ceiling holds whatever runs at once, and no one who waits is refused.
func TestConnectionsNeverExceedTheBudget(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	s := open(t, store.Options{URL: url, MaxConnections: 5, Claims: 2})
	claims := s.Claims(func(context.Context, string) error { return nil })
	watch := open(t, store.Options{URL: url, MaxConnections: 1})

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, err := s.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
					p.Incr(ctx, "a")
					return p.Incr(ctx, "b").Err()
				})
				if err == nil {
					err = s.Client().Incr(ctx, "c").Err()
				}
				if err == nil {
					err = claims.Incr(ctx, "d").Err()
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("while waiting for a connection: %v", err)
					return
				}
			}
		})
	}
	most := 0
	for range 200 {
		list, err := watch.Client().ClientList(t.Context()).Result()
		if err != nil {
			t.Fatalf("CLIENT LIST: %v", err)
		}
		most = max(most, strings.Count(list, "\n")-1) // without watch's own
	}
	cancel()
	wg.Wait()
	if most > 5 || most < 4 {
		t.Errorf("saw %d connections at once, want 3 shared and 2 for claims, and no more", most)
	}
}

func TestClaimsAsksBeforeEachNewServer(t *testing.T) {
	t.Parallel()
	srv := testkit.NewRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, store.Options{URL: srv.URL(), MaxConnections: 4, Claims: 1})
	var known atomic.Value
	known.Store("")
	goneBack := errors.New("the server is another one")
	claims := s.Claims(func(_ context.Context, id string) error {
		if known.CompareAndSwap("", id) || known.Load() == id {
			return nil
		}
		return goneBack
	})
	if err := claims.Incr(t.Context(), "n").Err(); err != nil {
		t.Fatalf("INCR: %v", err)
	}
	id, err := s.RunID(t.Context())
	if err != nil || known.Load() != id {
		t.Errorf("onConnect got %v, RunID %v, %v", known.Load(), id, err)
	}

	srv.Kill()
	srv.Start()
	eventually(t, func() error { // the first one may find the old connection broken
		if err := claims.Incr(t.Context(), "n").Err(); !errors.Is(err, goneBack) {
			return fmt.Errorf("INCR on the new server: got %v, want %v", err, goneBack)
		}
		return nil
	})
	if n, err := s.Client().Get(t.Context(), "n").Int(); err != nil || n != 1 {
		t.Errorf("n: got %d, %v, want 1: nothing may reach a server that was not accepted", n, err)
	}

	known.Store("") // dealt with
	if n, err := claims.Incr(t.Context(), "n").Result(); err != nil || n != 2 {
		t.Errorf("INCR after it was accepted: got %d, %v, want 2", n, err)
	}
}

// A claim whose answer was lost must not be sent again.
func TestClaimsAreNotSentTwice(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	addr := fake(t, nil, func(int64) string { return "" }, command{"INCR", func(p *server.Peer) {
		seen.Add(1)
		p.Close()
	}})
	s := open(t, store.Options{URL: "redis://" + addr, MaxConnections: 2, Claims: 1})
	claims := s.Claims(func(context.Context, string) error { return nil })
	if err := claims.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("INCR: got no error from a connection that closed")
	}
	if n := seen.Load(); n != 1 {
		t.Errorf("the server saw the command %d times, want once", n)
	}
}

func TestLogsGoToTheLogger(t *testing.T) { // the logger of go-redis is one for all: not parallel
	var out testkit.Log
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := store.Open(t.Context(), store.Options{URL: "redis://:hunter2@127.0.0.1:1", Log: log}); err == nil {
		t.Fatal("Open: got no error")
	}
	if got := out.String(); !strings.Contains(got, "failed to dial") || strings.Contains(got, "hunter2") {
		t.Errorf("log: got %q, want the failed dial and no password", got)
	}
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for range testkit.Tries(10 * time.Second) {
		if err = f(); err == nil {
			return
		}
	}
	t.Error(err)
}

type command struct {
	name string
	do   func(*server.Peer)
}

// fake starts a server that knows INFO and says what a healthy Redis says,
// or the error that refuse returns for the n-th question (from 1).
func fake(t *testing.T, secure *tls.Config, refuse func(n int64) string, commands ...command) string {
	t.Helper()
	start := server.NewServer
	if secure != nil {
		start = func(addr string) (*server.Server, error) { return server.NewServerTLS(addr, secure) }
	}
	srv, err := start("127.0.0.1:0")
	if err != nil {
		t.Fatalf("start fake server: %v", err)
	}
	t.Cleanup(srv.Close)
	var asked atomic.Int64
	commands = append(commands, command{"INFO", func(p *server.Peer) {
		if text := refuse(asked.Add(1)); text != "" {
			p.WriteError(text)
			return
		}
		p.WriteBulk("redis_version:7.4.0\r\nredis_mode:standalone\r\nrun_id:fake\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\naof_last_write_status:ok\r\n")
	}})
	for _, c := range commands {
		if err := srv.Register(c.name, func(p *server.Peer, _ string, _ []string) { c.do(p) }); err != nil {
			t.Fatalf("register %s: %v", c.name, err)
		}
	}
	return srv.Addr().String()
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make key: %v", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("make certificate: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
