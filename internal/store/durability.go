package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// A Durability says which server this is, and what it has against forgetting
// what it acknowledged.
type Durability struct {
	RunID   string // see RunID
	Disk    bool   // an append-only file that WAITAOF waits for (Redis 7.2)
	Replica bool   // at least one replica is connected
}

// Durability asks the server. Of a cluster one server speaks for all.
func (s *Store) Durability(ctx context.Context) (Durability, error) {
	id, err := s.RunID(ctx)
	if err != nil || s.Embedded() {
		return Durability{RunID: id}, err
	}
	text, err := s.Client().Info(ctx, "server", "persistence", "replication").Result()
	if err != nil {
		return Durability{}, fmt.Errorf("ask redis for its persistence: %w", err)
	}
	info := parseInfo(text)
	replicas, _ := strconv.Atoi(info["connected_slaves"]) // absent: none
	return Durability{
		RunID:   id,
		Disk:    info["aof_enabled"] == "1" && atLeast(info["redis_version"], 7, 2),
		Replica: replicas > 0,
	}, nil
}

// atLeast reports whether a version like 7.2.4 is major.minor or newer.
func atLeast(version string, major, minor int) bool {
	m, rest, _ := strings.Cut(version, ".")
	n, _, _ := strings.Cut(rest, ".")
	have, err := strconv.Atoi(m)
	if err != nil || have != major {
		return err == nil && have > major
	}
	have, err = strconv.Atoi(n)
	return err == nil && have >= minor
}
