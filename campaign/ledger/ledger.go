package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// PageCells is how many cells a feeder reads at once (64 KB).
const PageCells = 13104

const cellSize = 5

// ErrNoRun is returned for a run that does not exist, or no longer.
var ErrNoRun = errors.New("no such run")

//go:embed lua/*.lua
var luaFiles embed.FS

// A Ledger is the ledger of all runs in one Redis. It is safe for concurrent
// use. It owns every key {run:<id>}:*, the indexes of runs and the list of
// workers.
type Ledger struct {
	rdb    redis.UniversalClient
	prefix string
	script scripts
}

type scripts struct {
	create, ready, turn, drop, discard                   *redis.Script
	step, record, refuse, giveback, issue, sweep, replay *redis.Script
	resolve, reopen, lease, beat, takeOff, note, name    *redis.Script
	storm, after, erase, hits, told                      *redis.Script
}

// New returns the ledger whose keys begin with prefix. lua turns source text
// into a script that this Redis understands (the embedded store does not know
// the line that allows a script when Redis is out of memory).
func New(rdb redis.UniversalClient, prefix string, lua func(src string) *redis.Script) *Ledger {
	lib := source("lib")
	always := "#!lua flags=allow-oom\n"
	return &Ledger{rdb: rdb, prefix: prefix, script: scripts{
		create:   lua(source("create")),
		ready:    lua(source("ready")),
		drop:     lua(always + source("drop")),
		discard:  lua(always + source("discard")),
		turn:     lua(always + source("turn")),
		note:     lua(always + source("note")),
		step:     lua("#!lua\n" + lib + source("step")),
		record:   lua(always + lib + source("step")), // without claims
		refuse:   lua(always + lib + source("refuse")),
		giveback: lua(always + lib + source("giveback")),
		issue:    lua(lib + source("issue")),
		sweep:    lua(always + lib + source("sweep")),
		replay:   lua(always + lib + source("replay")),
		resolve:  lua(always + lib + source("resolve")),
		reopen:   lua(always + lib + source("reopen")),
		lease:    lua(always + source("lease")),
		beat:     lua(always + source("beat")),
		takeOff:  lua(always + source("takeoff")),
		name:     lua(always + source("name")),
		storm:    lua(always + source("storm")),
		erase:    lua(always + source("erase")),
		told:     lua(always + source("told")),
		after:    lua(always + lib + source("after")),
		hits:     lua("#!lua\n" + source("hits")),
	}}
}

func source(name string) string {
	b, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // embedded: cannot happen in a binary that was built
	}
	return string(b)
}

// A Run is a handle on a run that became ready: what is needed to build its
// keys. It does not change.
type Run struct {
	ID      string
	Attempt string    // names the expansion that won
	Created time.Time // cells count their seconds from here
	Sizes   []PartSize
	// Replicated: a claim holds only once a replica of Redis has it.
	Replicated bool
}

// A PartSize is the number of recipients of one part.
type PartSize struct{ Part, Size int }

// A Ref names one recipient of a run.
type Ref struct {
	Run         *Run
	Part, Index int
}

// String names the recipient in logs: run/part/index.
func (r Ref) String() string { return fmt.Sprintf("%s/%d/%d", r.Run.ID, r.Part, r.Index) }

func (l *Ledger) runKey(id, rest string) string {
	return l.prefix + ":{run:" + id + "}:" + rest
}

func (l *Ledger) cellsKey(r *Run, part int) string {
	return l.runKey(r.ID, r.Attempt+":cells:"+itoa(part))
}

// cells returns the key of the part's cells.
func (t *target) cells() string { return t.keys[2] }

func (l *Ledger) receiptsKey(r *Run) string { return l.runKey(r.ID, r.Attempt+":receipts") }
func (l *Ledger) patternsKey(r *Run) string { return l.runKey(r.ID, r.Attempt+":patterns") }

// keys returns the ten keys of lua/lib.lua.
func (l *Ledger) keys(r *Run, part int) []string {
	base := l.runKey(r.ID, "")
	return []string{
		base + "record", base + "counts", base + r.Attempt + ":cells:" + itoa(part),
		base + "claims", base + "late", base + "replies", base + "early",
		l.receiptsKey(r), l.patternsKey(r), base + r.Attempt + ":chunks",
	}
}

// run calls a script through a single command: EVALSHA, or EVAL where Redis
// does not know it yet.
func (l *Ledger) run(ctx context.Context, s *redis.Script, keys []string, args ...any) *redis.Cmd {
	return s.Run(ctx, l.rdb, keys, args...)
}

// seconds returns the whole seconds of d, at least 0, rounded up.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Second - 1) / time.Second)
}

// fromMillis returns the time of a Redis field in milliseconds; the zero time
// for an empty one.
func fromMillis(s string) time.Time {
	ms := atoi64(s)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// oneLine makes text safe for the tab-separated reply field.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
