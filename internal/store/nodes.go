package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// informer is a client, or one connection of it.
type informer interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
}

// each calls do for every primary: the one there is, or those of a cluster,
// all at once. It returns the first error.
func (s *Store) each(ctx context.Context, do func(ctx context.Context, node informer) error) error {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return do(ctx, s.client)
	}
	n := 0
	var mu sync.Mutex
	err := c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		mu.Lock()
		n++
		mu.Unlock()
		return do(ctx, node)
	})
	if err == nil && n == 0 {
		return errors.New("the cluster names no primary")
	}
	return err
}

// findNodes reads the map of a cluster, for as long as a server may take to
// answer.
func (s *Store) findNodes(ctx context.Context) error {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return c.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
}

// A Node is one primary of the store, and what it says of itself.
type Node struct {
	Addr string // host:port
	Info map[string]string
}

// Nodes asks every primary for its INFO: one, or those of a cluster. An
// embedded store has none.
func (s *Store) Nodes(ctx context.Context) ([]Node, error) { return s.nodes(ctx) }

// nodes returns what INFO says of every primary, once all have answered, in the
// order of their addresses.
func (s *Store) nodes(ctx context.Context, sections ...string) ([]Node, error) {
	if s.Embedded() {
		return nil, nil
	}
	var mu sync.Mutex
	var nodes []Node
	err := s.each(ctx, func(ctx context.Context, node informer) error {
		text, err := node.Info(ctx, sections...).Result()
		if err != nil {
			return fmt.Errorf("read INFO of redis: %w", err)
		}
		n := Node{Info: parseInfo(text)}
		if c, ok := node.(*redis.Client); ok {
			n.Addr = c.Options().Addr
		}
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, n)
		return nil
	})
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
	return nodes, err
}

// Server returns the run id that the server drew when it started, and for how
// long it has been up: another id means that it was restarted, or that another
// server took its place, and what it had acknowledged may be gone. In a cluster
// it is the ids of all primaries, sorted and joined by +, and the shortest
// time. An embedded store has always been up.
func (s *Store) Server(ctx context.Context) (runID string, uptime time.Duration, err error) {
	if s.Embedded() {
		return EmbeddedRunID, 24 * time.Hour, nil
	}
	nodes, err := s.nodes(ctx, "server")
	if err != nil {
		return "", 0, err
	}
	return identity(nodes)
}

// identity returns the joined run ids of all primaries, and the shortest time
// that one has been up.
func identity(nodes []Node) (runID string, uptime time.Duration, err error) {
	ids := make([]string, 0, len(nodes))
	for i, n := range nodes {
		if n.Info["run_id"] == "" {
			return "", 0, errors.New("ask redis for its run id: INFO server does not have it")
		}
		ids = append(ids, n.Info["run_id"])
		if up := time.Duration(number(n.Info, "uptime_in_seconds")) * time.Second; i == 0 || up < uptime {
			uptime = up
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, "+"), uptime, nil
}

// RunID returns the run id of the server as Server does.
func (s *Store) RunID(ctx context.Context) (string, error) {
	id, _, err := s.Server(ctx)
	return id, err
}

// EmbeddedRunID is the run id of every embedded store.
const EmbeddedRunID = "embedded"

// errReplica refuses claims a connection to a server that only follows another.
var errReplica = errors.New("connect to redis for claims: it is a replica, expected a primary")

// identify asks the server at the other end of one new connection for its run
// id. It is empty for a sentinel, which has no data.
func (s *Store) identify(ctx context.Context, c informer) (string, error) {
	if s.Embedded() {
		return EmbeddedRunID, nil
	}
	text, err := c.Info(ctx, "server", "replication").Result()
	if err != nil {
		return "", fmt.Errorf("read redis run_id: %w", denied("info", err))
	}
	info := parseInfo(text)
	switch {
	case info["redis_mode"] == "sentinel":
		return "", nil
	case info["run_id"] == "":
		return "", errors.New("read redis run_id: INFO server has none")
	case info["role"] != "master":
		return "", errReplica
	}
	return info["run_id"], nil
}
