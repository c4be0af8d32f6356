package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrUnfit: the server answers, but sending cannot rely on it.
var ErrUnfit = errors.New("redis is not fit")

// A Level says how bad a finding is.
type Level int

// The levels. A Failed finding keeps Open from returning a store.
const (
	Good Level = iota
	Warning
	Failed
)

// String returns ok, warning or failed.
func (l Level) String() string {
	switch l {
	case Good:
		return "ok"
	case Warning:
		return "warning"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// A Finding is the outcome of one check.
type Finding struct {
	Level Level
	Text  string // what was found
	Fix   string // what to do; empty when Good
}

// inspect judges what INFO says, worst first.
func inspect(info map[string]string, loopback, allowVolatile bool) []Finding {
	f := []Finding{
		checkVersion(info),
		checkRole(info),
		checkEviction(info),
		checkPersistence(info, loopback || allowVolatile),
	}
	if info["aof_enabled"] == "1" && info["aof_last_write_status"] != "ok" {
		f = append(f, Finding{Failed, "the last write of the append-only file failed", "look at the disk of the Redis server and its log"})
	}
	if status := info["rdb_last_bgsave_status"]; status != "" && status != "ok" {
		f = append(f, Finding{Warning, "the last snapshot could not be written", "look at the disk and the memory of the Redis server and its log"})
	}
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(b.Level, a.Level) })
	return f
}

func checkVersion(info map[string]string) Finding {
	const upgrade = "use Redis 7.0 or newer, or Valkey"
	text := info["redis_version"]
	major, _, _ := strings.Cut(text, ".")
	if n, err := strconv.Atoi(major); err != nil {
		return Finding{Failed, fmt.Sprintf("INFO gives the version %q, expected a number", text), upgrade}
	} else if n < 7 {
		return Finding{Failed, "version " + text + " is older than 7.0: it cannot record what was sent when its memory is full", upgrade}
	}
	return Finding{Level: Good, Text: "version " + text}
}

func checkRole(info map[string]string) Finding {
	if info["redis_mode"] == "cluster" {
		return Finding{Failed, "the server is a node of a Redis Cluster, which is not supported yet", "use a single server"}
	}
	if role := info["role"]; role != "master" {
		return Finding{Failed, fmt.Sprintf("the server is a %s, which cannot be written to", cmp.Or(role, "server of unknown role")), "set redis_url to the primary"}
	}
	return Finding{Level: Good, Text: "primary"}
}

func checkEviction(info map[string]string) Finding {
	const fix = "set maxmemory-policy noeviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "noeviction":
		return Finding{Level: Good, Text: "never evicts keys"}
	case info["maxmemory"] == "0":
		return Finding{Warning, fmt.Sprintf("maxmemory-policy is %s; it would delete keys if maxmemory were set", policy), fix}
	}
	return Finding{Failed, fmt.Sprintf("maxmemory-policy is %q: when its memory is full it deletes keys, and with them who was sent to and who unsubscribed", policy), fix}
}

// checkPersistence looks for a sign that the server writes to disk. INFO
// does not show whether snapshots are configured, only whether there were any.
func checkPersistence(info map[string]string, volatileAllowed bool) Finding {
	const fix = "set appendonly yes"
	positive := func(key string) bool {
		n, err := strconv.ParseInt(info[key], 10, 64)
		return err == nil && n > 0
	}
	switch {
	case info["aof_enabled"] == "1":
		return Finding{Level: Good, Text: "append-only file"}
	case positive("rdb_saves") || positive("rdb_last_load_keys_loaded"):
		return Finding{Warning, "snapshots only: a crash loses the minutes since the last one", fix}
	case volatileAllowed:
		return Finding{Warning, "no persistence: a restart of Redis forgets runs, lists and unsubscribes", fix}
	}
	return Finding{Failed, "no persistence (append-only file off, no snapshot written or loaded): a restart would forget who was sent to and who unsubscribed", fix + ", or allow_volatile_redis: true in broadside.yaml to take that risk"}
}

// refusal returns ErrUnfit with every failed finding, or nil.
func refusal(addr string, findings []Finding) error {
	var errs []error
	for _, f := range findings {
		if f.Level == Failed {
			errs = append(errs, fmt.Errorf("%w: %s: %s; %s", ErrUnfit, addr, f.Text, f.Fix))
		}
	}
	return errors.Join(errs...)
}
