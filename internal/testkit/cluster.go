package testkit

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A RedisCluster is a Redis Cluster whose primaries share the slots equally.
type RedisCluster struct {
	t         testing.TB
	Primaries []*RedisServer // as they were at the start
	Replicas  []*RedisServer // of the primary with the same number; may be empty
}

const clusterSlots = 16384

// NewCluster starts n primaries, each with a replica when replicas is true.
// args are options of every server.
func NewCluster(t testing.TB, n int, replicas bool, args ...string) *RedisCluster {
	t.Helper()
	c := &RedisCluster{t: t}
	args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000"}, args...)
	for i := range n {
		r := clusterNode(t, args)
		c.Primaries = append(c.Primaries, r)
		c.do(r, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/n, (i+1)*clusterSlots/n-1)
		c.do(r, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if replicas {
			c.Replicas = append(c.Replicas, clusterNode(t, args))
		}
	}
	host, port, err := net.SplitHostPort(c.Primaries[0].Addr())
	if err != nil {
		t.Fatalf("split address: %v", err)
	}
	for _, r := range c.nodes()[1:] {
		c.do(r, "CLUSTER", "MEET", host, port, c.Primaries[0].busPort())
	}
	c.until("every node knows all others", func(r *RedisServer) bool {
		return strings.Count(c.ask(r, "CLUSTER", "NODES"), " connected") == len(c.nodes())
	})
	for i, r := range c.Replicas {
		c.do(r, "CLUSTER", "REPLICATE", c.ask(c.Primaries[i], "CLUSTER", "MYID"))
	}
	c.until("cluster_state:ok everywhere", func(r *RedisServer) bool {
		return strings.Contains(c.ask(r, "CLUSTER", "INFO"), "cluster_state:ok")
	})
	for _, r := range c.Replicas {
		eventually(t, "replica that follows", func(context.Context) bool {
			return strings.Contains(c.ask(r, "INFO", "replication"), "master_link_status:up")
		})
	}
	return c
}

// clusterNode starts a server whose bus has a free port too.
func clusterNode(t testing.TB, args []string) *RedisServer {
	t.Helper()
	return NewRedis(t, append([]string{"--cluster-port", strconv.Itoa(Port(t))}, args...)...)
}

// busPort is the port at which the other nodes of a cluster speak to r.
func (r *RedisServer) busPort() string { return r.args[1] }

func (c *RedisCluster) nodes() []*RedisServer {
	return append(append([]*RedisServer(nil), c.Primaries...), c.Replicas...)
}

// URL returns redis-cluster://ADDR,... of the primaries.
func (c *RedisCluster) URL() string {
	addrs := make([]string, len(c.Primaries))
	for i, r := range c.Primaries {
		addrs[i] = r.Addr()
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

// WaitFailover waits until the replica of the primary n has taken its place,
// and all that live say that the cluster is whole.
func (c *RedisCluster) WaitFailover(n int) {
	c.t.Helper()
	eventually(c.t, "promotion of the replica", func(context.Context) bool {
		return strings.Contains(c.ask(c.Replicas[n], "INFO", "replication"), "role:master")
	})
	for i, r := range c.Primaries {
		if i == n {
			r = c.Replicas[n]
		}
		eventually(c.t, "cluster_state:ok", func(context.Context) bool {
			return strings.Contains(c.ask(r, "CLUSTER", "INFO"), "cluster_state:ok")
		})
	}
}

// until waits until ok holds for every node.
func (c *RedisCluster) until(what string, ok func(*RedisServer) bool) {
	c.t.Helper()
	for _, r := range c.nodes() {
		eventually(c.t, what, func(context.Context) bool { return ok(r) })
	}
}

// do sends a command to one node, which must not fail.
func (c *RedisCluster) do(r *RedisServer, args ...any) { c.t.Helper(); c.ask(r, args...) }

func (c *RedisCluster) ask(r *RedisServer, args ...any) string {
	c.t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: r.Addr(), PoolSize: 1, PipelinePoolSize: -1})
	defer rdb.Close()
	text, err := rdb.Do(c.t.Context(), args...).Text()
	if err != nil {
		c.t.Fatalf("%v: %v", args, err)
	}
	return text
}
