package store

import (
	"context"
	"strconv"
	"strings"
)

// A Durability says which servers these are, and what they have against
// forgetting what they acknowledged.
type Durability struct {
	RunID   string // see RunID
	Disk    bool   // an append-only file that WAITAOF waits for (Redis 7.2), of every primary
	Replica bool   // at least one replica is connected, to every primary
}

// Durability asks every server, once: of a cluster each must be able to do what
// it says, because what is acknowledged may lie on any.
func (s *Store) Durability(ctx context.Context) (Durability, error) {
	if s.Embedded() {
		return Durability{RunID: EmbeddedRunID}, nil
	}
	nodes, err := s.nodes(ctx, "server", "persistence", "replication")
	if err != nil {
		return Durability{}, err
	}
	id, _, err := identity(nodes)
	if err != nil {
		return Durability{}, err
	}
	return durability(id, nodes), nil
}

func durability(id string, nodes []Node) Durability {
	d := Durability{RunID: id, Disk: true, Replica: true}
	for _, n := range nodes {
		d.Disk = d.Disk && n.Info["aof_enabled"] == "1" && atLeast(n.Info["redis_version"], 7, 2)
		d.Replica = d.Replica && number(n.Info, "connected_slaves") > 0
	}
	return d
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
