package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// SentinelPrimary is the name by which the sentinels know the primary.
const SentinelPrimary = "primary"

// Sentinels are a primary, its replicas and three sentinels that watch it and
// agree within a second that it is down.
type Sentinels struct {
	t       testing.TB
	Servers []*RedisServer // the first is the primary at the start
	procs   []*Proc
	addrs   []string
	clients []*redis.SentinelClient
}

// NewSentinels starts a primary with replicas, and three sentinels. args are
// options of every server.
func NewSentinels(t testing.TB, replicas int, args ...string) *Sentinels {
	t.Helper()
	s := &Sentinels{t: t, Servers: []*RedisServer{NewRedis(t, args...)}}
	host, port, err := net.SplitHostPort(s.Servers[0].Addr())
	if err != nil {
		t.Fatalf("split address: %v", err)
	}
	for range replicas {
		s.Servers = append(s.Servers, NewRedis(t, append([]string{"--replicaof", host + " " + port}, args...)...))
	}
	// Sentinels look at a replica once in 10 s: it must be in step when they
	// do so first.
	primary := redis.NewClient(&redis.Options{Addr: s.Servers[0].Addr(), PoolSize: 1, PipelinePoolSize: -1})
	defer primary.Close()
	eventually(t, "replicas that follow", func(ctx context.Context) bool {
		text, err := primary.Info(ctx, "replication").Result()
		return err == nil && strings.Count(text, "state=online") == replicas
	})
	for range 3 {
		s.startSentinel(host, port)
	}
	eventually(t, "the sentinels know each other and the replicas", func(ctx context.Context) bool {
		for _, c := range s.clients {
			m, err := c.Master(ctx, SentinelPrimary).Result()
			if err != nil || m["num-other-sentinels"] != "2" || m["num-slaves"] != strconv.Itoa(replicas) {
				return false
			}
			list, err := c.Replicas(ctx, SentinelPrimary).Result()
			if err != nil {
				return false
			}
			for _, r := range list {
				if r["master-link-status"] != "ok" {
					return false
				}
			}
		}
		return true
	})
	return s
}

// startSentinel starts a sentinel on a free port.
func (s *Sentinels) startSentinel(host, port string) {
	s.t.Helper()
	conf := filepath.Join(s.t.TempDir(), "sentinel.conf")
	for range 10 { // another process may take the port first
		own := strconv.Itoa(Port(s.t))
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n",
			own, SentinelPrimary, host, port, SentinelPrimary, SentinelPrimary)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			s.t.Fatalf("write sentinel.conf: %v", err)
		}
		p := Start(s.t, nil, program(s.t, "redis-server", "redis-server"), conf, "--sentinel")
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		_, ok := p.Find(ctx, "+monitor", 1)
		cancel()
		if !ok {
			p.Kill()
			if strings.Contains(p.Output(), "in use") {
				continue
			}
			s.t.Fatalf("sentinel did not become ready:\n%s", p.Output())
		}
		addr := net.JoinHostPort("127.0.0.1", own)
		c := redis.NewSentinelClient(&redis.Options{Addr: addr})
		s.t.Cleanup(func() { c.Close() })
		s.procs, s.addrs, s.clients = append(s.procs, p), append(s.addrs, addr), append(s.clients, c)
		return
	}
	s.t.Fatal("found no port for a sentinel in 10 attempts")
}

// URL returns redis-sentinel://ADDR,ADDR,ADDR/primary.
func (s *Sentinels) URL() string {
	return "redis-sentinel://" + strings.Join(s.addrs, ",") + "/" + SentinelPrimary
}

// Proc returns the process of the sentinel n.
func (s *Sentinels) Proc(n int) *Proc { return s.procs[n] }

// Primary returns the server that the sentinels name as the primary.
func (s *Sentinels) Primary() *RedisServer {
	s.t.Helper()
	addr, err := s.clients[0].GetMasterAddrByName(s.t.Context(), SentinelPrimary).Result()
	if err != nil {
		s.t.Fatalf("ask a sentinel for the primary: %v", err)
	}
	for _, r := range s.Servers {
		if r.Addr() == net.JoinHostPort(addr[0], addr[1]) {
			return r
		}
	}
	s.t.Fatalf("the sentinel names %v, which is none of ours", addr)
	return nil
}

// WaitFailover waits until the sentinels name another primary than old.
func (s *Sentinels) WaitFailover(old *RedisServer) {
	s.t.Helper()
	eventually(s.t, "another primary", func(context.Context) bool { return s.Primary() != old })
}

// WaitReplica waits until the sentinels have made r a replica, and it follows.
func (s *Sentinels) WaitReplica(r *RedisServer) {
	s.t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: r.Addr(), PoolSize: 1, PipelinePoolSize: -1})
	defer rdb.Close()
	eventually(s.t, "replica that follows", func(ctx context.Context) bool {
		text, err := rdb.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(text, "role:slave") && strings.Contains(text, "master_link_status:up")
	})
}

// eventually asks until ok says so, and fails the test when that takes longer
// than patience.
func eventually(t testing.TB, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range Tries(patience) {
		if ok(ctx) {
			return
		}
	}
	t.Fatalf("no %s within %v", what, patience)
}
