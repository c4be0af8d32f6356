package store

import "context"

// Memory is how full a Redis is, in bytes.
type Memory struct {
	Used  int64 // of Limit
	Limit int64 // maxmemory, or the memory of its machine; 0: not known
	// Machine: there is no maxmemory. Then Used is what the process takes.
	Machine bool
}

// Memory returns how full the node is.
func (n Node) Memory() Memory {
	if limit := number(n.Info, "maxmemory"); limit > 0 {
		return Memory{Used: number(n.Info, "used_memory") - number(n.Info, "mem_not_counted_for_evict"), Limit: limit}
	}
	return Memory{Used: max(number(n.Info, "used_memory"), number(n.Info, "used_memory_rss")), Limit: number(n.Info, "total_system_memory"), Machine: true}
}

// Kept returns the part of Limit that no new run may take: a tenth, for
// outcomes, unsubscribes and what other runs still need.
func (m Memory) Kept() int64 { return m.Limit / 10 }

// Free returns what a new run may take; it means nothing while Limit is not
// known.
func (m Memory) Free() int64 { return max(0, m.Limit-m.Kept()-m.Used) }

// Fits reports whether a new run that needs so many bytes may be made. Where
// Limit is not known it may.
func (m Memory) Fits(bytes int64) bool { return m.Limit == 0 || bytes <= m.Free() }

// Memory returns how full Redis is; of a cluster the primary that has least
// left, because all of a run lies on one. The zero Memory: not known.
func (s *Store) Memory(ctx context.Context) (Memory, error) {
	nodes, err := s.Nodes(ctx)
	if err != nil {
		return Memory{}, err
	}
	return least(nodes), nil
}

// least returns how full the node is that has least left, of those that know.
func least(nodes []Node) (least Memory) {
	for _, n := range nodes {
		if m := n.Memory(); m.Limit > 0 && (least.Limit == 0 || m.Free() < least.Free()) {
			least = m
		}
	}
	return least
}
