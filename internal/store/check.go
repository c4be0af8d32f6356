package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"broadside/campaign/codes"
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
	Code  codes.Code // names the check
	Level Level
	Text  string // what was found
	Why   string // what comes of it; empty when Good
	Fix   string // what to do; empty when Good
}

func good(code codes.Code, format string, args ...any) Finding {
	return Finding{Code: code, Level: Good, Text: fmt.Sprintf(format, args...)}
}

// String returns one line: what was found, why it matters, and the fix.
func (f Finding) String() string {
	text := f.Text
	if f.Why != "" {
		text += ": " + f.Why
	}
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	return text
}

// inspect judges what INFO says, worst first.
func inspect(info map[string]string, asked kind, loopback, allowVolatile bool) []Finding {
	f := []Finding{
		checkVersion(info),
		checkRole(info, asked),
		checkEviction(info),
		checkPersistence(info, loopback || allowVolatile),
	}
	const lookAt = "look at the disk of the Redis server and its log"
	if info["aof_enabled"] == "1" && info["aof_last_write_status"] != "ok" {
		f = append(f, Finding{codes.RedisDisk, Failed, "the last write of the append-only file failed", "Redis refuses every write", lookAt})
	}
	if status := info["rdb_last_bgsave_status"]; status != "" && status != "ok" {
		f = append(f, Finding{codes.RedisDisk, Warning, "the last snapshot could not be written", "a restart would go back to the one before", lookAt + "; it also fails for lack of memory"})
	}
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(b.Level, a.Level) })
	return f
}

func checkVersion(info map[string]string) Finding {
	const upgrade = "use Redis 7.0 or newer, or Valkey"
	text := info["redis_version"]
	major, _, _ := strings.Cut(text, ".")
	if n, err := strconv.Atoi(major); err != nil {
		return Finding{codes.RedisVersion, Failed, fmt.Sprintf("INFO gives the version %q, expected a number", text), "what it can do is not known", upgrade}
	} else if n < 7 {
		return Finding{codes.RedisVersion, Failed, "version " + text + " is older than 7.0", "it cannot record what was sent when its memory is full", upgrade}
	}
	return good(codes.RedisVersion, "version %s", text)
}

func checkRole(info map[string]string, asked kind) Finding {
	if info["redis_mode"] == "cluster" && asked != cluster {
		return Finding{codes.RedisRole, Failed, "the server is a node of a Redis Cluster", "it has a part of the keys only", "write redis-cluster:// in redis_url"}
	}
	if role := info["role"]; role != "master" {
		return Finding{codes.RedisRole, Failed, fmt.Sprintf("the server is a %s", cmp.Or(role, "server of unknown role")), "it cannot be written to", "set redis_url to the primary"}
	}
	return good(codes.RedisRole, "primary")
}

func checkEviction(info map[string]string) Finding {
	const fix = "set maxmemory-policy noeviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "noeviction":
		return good(codes.RedisEviction, "never evicts keys")
	case info["maxmemory"] == "0":
		return Finding{codes.RedisEviction, Warning, fmt.Sprintf("maxmemory-policy is %s", policy), "it would delete keys if maxmemory were set", fix}
	}
	return Finding{
		codes.RedisEviction, Failed, fmt.Sprintf("maxmemory-policy is %q", policy),
		"when its memory is full it deletes keys, and with them who was sent to and who unsubscribed", fix,
	}
}

// checkPersistence looks for a sign that the server writes to disk. INFO
// does not show whether snapshots are configured, only whether there were any.
func checkPersistence(info map[string]string, volatileAllowed bool) Finding {
	const fix = "set appendonly yes"
	switch {
	case info["aof_enabled"] == "1":
		return good(codes.RedisPersistence, "append-only file")
	case number(info, "rdb_saves") > 0 || number(info, "rdb_last_load_keys_loaded") > 0:
		return Finding{codes.RedisPersistence, Warning, "snapshots only", "a crash loses the minutes since the last one", fix}
	case volatileAllowed:
		return Finding{codes.RedisPersistence, Warning, "no persistence", "a restart of Redis forgets runs, lists and unsubscribes", fix}
	}
	return Finding{
		codes.RedisPersistence, Failed, "no persistence (append-only file off, no snapshot written or loaded)",
		"a restart would forget who was sent to and who unsubscribed", fix + ", or allow_volatile_redis: true in broadside.yaml to take that risk",
	}
}

// number returns a figure of INFO, 0 when it is not there.
func number(info map[string]string, key string) int64 {
	n, err := strconv.ParseInt(info[key], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// refusal returns ErrUnfit with every failed finding, or nil.
func refusal(addr string, findings []Finding) error {
	var errs []error
	for _, f := range findings {
		if f.Level == Failed {
			errs = append(errs, fmt.Errorf("%w: %s: %s", ErrUnfit, addr, f))
		}
	}
	return errors.Join(errs...)
}

// FindingOf returns the finding that an error of Open amounts to.
func FindingOf(err error) Finding {
	f := Finding{codes.RedisUnreachable, Failed, err.Error(), "nothing can be launched, sent or unsubscribed without it", "see redis_url"}
	var lost *unreachableError
	if errors.As(err, &lost) {
		f.Text, f.Fix = fmt.Sprintf("redis at %s %s: %v", lost.addr, lost.what, lost.err), lost.fix
	}
	return f
}
