package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
	"broadside/configs/units"
	"broadside/internal/store"
)

const subjectRedis = "redis"

// A look says what to look for in a Redis.
type look struct {
	namespace      string
	maxConnections int      // of one process
	replicated     []string // runs and campaigns that wait for a replica
	runs           int      // that are under way
}

// inspect looks at how the store fares just now. Nothing is written. An embedded
// store has nothing to look at.
func inspect(ctx context.Context, st *store.Store, l look) []Finding {
	if st.Embedded() {
		return nil
	}

	var out []Finding
	nodes, err := st.Nodes(ctx)
	if err != nil {
		return append(out, unknown(subjectRedis, codes.RedisMemory, err))
	}

	for _, n := range nodes {
		subject := subjectRedis
		if len(nodes) > 1 {
			subject += " " + n.Addr
		}
		out = append(out, memory(subject, n.Memory()))
		out = append(out, evicted(subject, n.Info)...)
		out = append(out, clients(subject, n.Info, l.maxConnections)...)
		out = append(out, replicas(subject, n.Info, l.replicated)...)
	}
	if nodes[0].Info["aof_enabled"] == "1" {
		out = append(out, flushed(ctx, st.Client()))
	}

	out = append(out, times(ctx, st.Client())...)
	return append(out, tasks(ctx, st.Client(), l)...)
}

func memory(subject string, m store.Memory) Finding {
	const code = codes.RedisMemory
	if m.Limit == 0 {
		return good(subject, code, "memory: no limit is known")
	}

	share := int(100 * m.Used / m.Limit)
	text := fmt.Sprintf("memory: %d %% of %s (maxmemory) used", share, units.FormatBytes(m.Limit))
	fix := "raise maxmemory or take a larger plan; shorter retention.runs and retention.addresses free what ended runs take"
	if m.Machine {
		text = fmt.Sprintf("memory: no maxmemory, Redis takes %d %% of the %s of its machine", share, units.FormatBytes(m.Limit))
		fix = "set maxmemory to what Redis may have, so that it says no before the system kills it; give it a larger machine"
	}

	switch {
	case m.Free() == 0:
		return bad(subject, code, store.Failed, text, "new runs are refused; the last tenth is kept for outcomes and unsubscribes", fix)
	case share >= 75:
		return bad(subject, code, store.Warning, text, "a new run needs to fit into "+units.FormatBytes(m.Free()), fix)
	}

	return good(subject, code, text)
}

func evicted(subject string, info map[string]string) []Finding {
	n := info["evicted_keys"]
	if n == "" || n == "0" {
		return nil
	}
	return []Finding{bad(subject, codes.RedisEviction, store.Warning, n+" keys were evicted since Redis started, or since its figures were reset",
		"people may have lost their unsubscribe, and runs their memory of who was mailed",
		"set maxmemory-policy noeviction, compare with a backup, then CONFIG RESETSTAT")}
}

func clients(subject string, info map[string]string, budget int) []Finding {
	most, err := strconv.Atoi(info["maxclients"])
	if err != nil {
		return nil // it does not say
	}

	now, err := strconv.Atoi(info["connected_clients"])
	if err != nil {
		return nil
	}

	text := fmt.Sprintf("connections: %d of %d in use, one process takes up to %d (redis.max_connections)", now, most, budget)
	if most-now < budget {
		return []Finding{bad(subject, codes.RedisClients, store.Warning, text, "the next process to start may get too few",
			"lower redis.max_connections (web and scheduler do with 3, a worker with 12), or raise maxclients")}
	}

	return []Finding{good(subject, codes.RedisClients, text)}
}

// replicas looks for what durability: replicated waits for. min-replicas-to-write
// shows in INFO by the number of good ones alone.
func replicas(subject string, info map[string]string, wanted []string) []Finding {
	const code = codes.RedisReplicas
	text := info["connected_slaves"] + " replicas"
	fresh, counted := info["min_slaves_good_slaves"]
	if counted {
		text += ", " + fresh + " of them up to date (min-replicas-to-write is set)"
	}

	n, err := strconv.Atoi(info["connected_slaves"])
	switch {
	case err != nil, len(wanted) == 0 && n == 0:
		return nil
	case counted && n > 0 && fresh == "0":
		return []Finding{bad(subject, code, store.Warning, text, "Redis refuses writes until one has caught up", "look at the replica and at the network between the two")}
	case len(wanted) == 0 || n > 0:
		return []Finding{good(subject, code, text)}
	}

	return []Finding{bad(subject, code, store.Failed, text,
		fmt.Sprintf("delivery.durability: replicated of %s waits for one, and nothing is sent without", strings.Join(wanted, ", ")),
		"connect a replica to this Redis, or set durability: fast")}
}

// flushed asks how often the append-only file goes to disk.
func flushed(ctx context.Context, rdb redis.UniversalClient) Finding {
	const code = codes.RedisPersistence
	answer, err := rdb.ConfigGet(ctx, "appendfsync").Result()
	switch policy := answer["appendfsync"]; {
	case err != nil, policy == "":
		return good(subjectRedis, code, "appendfsync: not known, CONFIG is not allowed here")
	case policy == "no":
		return bad(subjectRedis, code, store.Warning, "appendfsync is no", "when its machine fails, half a minute of what was sent and who unsubscribed is lost", "set appendfsync everysec")
	default:
		return good(subjectRedis, code, "appendfsync "+policy)
	}
}
