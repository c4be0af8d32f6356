// Package presence lists the processes that are alive. Each process keeps a key
// in Redis that expires unless it is renewed every few seconds. A process that
// stops in order deletes its key; one that is killed or cut off disappears when
// its key expires.
//
// It is for people to look at. Whether a worker's claims are still its own is
// decided by the list of workers in campaign/ledger, by another rule.
package presence

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/outage"
)

const (
	// beatEvery is how often a process says that it is alive.
	beatEvery = 5 * time.Second
	// Lasts is how long a process is listed after it was heard of last.
	Lasts = 15 * time.Second
	// within is how long one question to Redis may take.
	within = 2 * time.Second
	// leaveTime is how long a process that ends waits to be taken off the list.
	leaveTime = 500 * time.Millisecond
)

// The roles of processes.
const (
	Worker    = "worker"
	Scheduler = "scheduler"
	Web       = "web"
	All       = "all"    // the three of them in one
	Launch    = "launch" // `launch --wait` that does the work of a worker
)

// A Process is what is known of one that is alive.
type Process struct {
	Role    string    `json:"role"`
	ID      string    `json:"id"` // of a process that sends: the worker's, as in its log
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
	Version string    `json:"version"`
}

// Does reports whether the process does what a role is for.
func (p Process) Does(role string) bool { return p.Role == role || p.Role == All }

// Self describes this process. Its id is made up.
func Self(role string) Process {
	return Process{
		Role: role, ID: strings.ToLower(rand.Text()[:10]), Host: Host(),
		Since: time.Now().UTC().Truncate(time.Millisecond), Version: version(),
	}
}

// Host returns the name of this machine.
func Host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// version returns the version that this program was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "unknown")
}

// Count counts the processes that do what a role is for.
func Count(all []Process, role string) (n int) {
	for _, p := range all {
		if p.Does(role) {
			n++
		}
	}
	return n
}

// Summary counts processes in words: "2 workers, 1 scheduler, 1 web process".
func Summary(all []Process) string {
	count := func(role, one, many string) string {
		if n := Count(all, role); n != 1 {
			return fmt.Sprintf("%d %s", n, many)
		}
		return "1 " + one
	}
	return strings.Join([]string{
		count(Worker, "worker", "workers"),
		count(Scheduler, "scheduler", "schedulers"),
		count(Web, "web process", "web processes"),
	}, ", ")
}

// A Register is the list of processes in one Redis. It owns the keys
// PREFIX:processes (a set of ids) and PREFIX:process:ID (JSON). It is safe for
// concurrent use.
type Register struct {
	rdb     redis.UniversalClient
	prefix  string
	workers func(context.Context) ([]string, error)
}

// New returns the register whose keys begin with prefix. workers returns the ids of
// the workers that the ledger knows.
func New(rdb redis.UniversalClient, prefix string, workers func(context.Context) ([]string, error)) *Register {
	return &Register{rdb: rdb, prefix: prefix, workers: workers}
}

func (r *Register) ids() string              { return r.prefix + ":processes" }
func (r *Register) process(id string) string { return r.prefix + ":process:" + id }

// Enlist keeps this process on the list, under a role, until leave is called. id
// returns its id, which may change; nil: one is made up. leave reports whether the
// process was taken off the list in time; if not, its entry ends by itself.
func (r *Register) Enlist(log *slog.Logger, role string, id func() string) (leave func() (inTime bool)) {
	self := Self(role)
	listed, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Keep(listed, log, func() Process {
			if id != nil {
				self.ID = id()
			}
			return self
		})
	}()
	return func() bool {
		end()
		select {
		case <-done:
			return true
		case <-time.After(leaveTime):
			return false // Redis hangs
		}
	}
}

// Keep keeps a process on the list until ctx ends, and then takes it off. self is
// called for it each time: the id of a worker may change.
func (r *Register) Keep(ctx context.Context, log *slog.Logger, self func() Process) {
	notice := outage.NewNotice(log, "process list cannot be written", "process list is written again")
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	listed := ""
	for ctx.Err() == nil {
		now := self()
		if listed != "" && listed != now.ID {
			_ = r.remove(ctx, listed) // else it ends by itself
		}
		err := r.beat(ctx, now)
		if ctx.Err() == nil {
			notice.Note(err)
		}
		listed = now.ID
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}

	_ = r.remove(context.WithoutCancel(ctx), listed) // else it ends by itself
}

func (r *Register) beat(ctx context.Context, p Process) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("list process %s: %w", p.ID, err)
	}

	pipe := r.rdb.Pipeline()
	pipe.SAdd(ctx, r.ids(), p.ID)
	pipe.Set(ctx, r.process(p.ID), text, Lasts)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("list process %s: %w", p.ID, err)
	}

	return nil
}

func (r *Register) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	pipe := r.rdb.Pipeline()
	pipe.Del(ctx, r.process(id))
	pipe.SRem(ctx, r.ids(), id)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("take process %s off the list: %w", id, err)
	}
	return nil
}

// List returns the processes that are alive, by role, then the oldest first. An
// entry that cannot be read is returned with its id alone. A worker that only the
// ledger knows (an older version) comes last, with its role and id.
func (r *Register) List(ctx context.Context) ([]Process, error) {
	all, err := r.listed(ctx)
	if err != nil {
		return nil, err
	}

	workers, err := r.workers(ctx)
	if err != nil {
		return nil, err
	}

	slices.Sort(workers)
	for _, id := range workers {
		i := slices.IndexFunc(all, func(p Process) bool { return p.ID == id })
		switch {
		case i < 0:
			all = append(all, Process{Role: Worker, ID: id})
		case all[i].Role == "": // its entry cannot be read
			all[i].Role = Worker
		}
	}

	return all, nil
}

// listed returns the processes that are on the list.
func (r *Register) listed(ctx context.Context) ([]Process, error) {
	ids, err := r.rdb.SMembers(ctx, r.ids()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of processes", r.ids())
	}

	pipe := r.rdb.Pipeline()
	entries := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		entries[i] = pipe.Get(ctx, r.process(id))
	}

	_, _ = pipe.Exec(ctx) // each entry has its own error
	alive := []Process{}
	var gone []any
	for i, entry := range entries {
		text, err := entry.Result()
		switch {
		case errors.Is(err, redis.Nil):
			gone = append(gone, ids[i])
		case err == nil || campaign.IsWrongType(err):
			alive = append(alive, parse(ids[i], text))
		default:
			return nil, fmt.Errorf("read process %s: %w", ids[i], err)
		}
	}

	if len(gone) > 0 {
		_ = r.rdb.SRem(ctx, r.ids(), gone...).Err() // tidiness: a process that is back adds itself
	}

	slices.SortFunc(alive, func(a, b Process) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return alive, nil
}

// parse reads the entry of a process; what cannot be read has an id alone.
func parse(id, text string) Process {
	var p Process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Process{ID: id}
	}
	p.ID = id
	return p
}
