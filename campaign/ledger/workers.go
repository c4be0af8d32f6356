package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

const (
	tickEvery = time.Second
	beatEvery = 5 * time.Second
	// deadAfter is how long the same counter must be seen, on the observer's
	// own monotonic clock with Redis answering throughout.
	deadAfter = 15 * time.Second
	// settleTime is how long nothing is claimed after Redis changed: for
	// workers that joined in the second that was lost.
	joinWait = 3 * time.Second
)

// ErrNotReplayed refuses a connection to a Redis that has not been told what
// this worker remembers.
var ErrNotReplayed = errors.New("redis was restarted: the journal has not been replayed to it yet")

// MemberConfig is what a Member needs beside the ledger.
type MemberConfig struct {
	// Server tells the run_id of Redis, new with each of its lives, and how
	// long that life is.
	Server func(ctx context.Context) (runID string, uptime time.Duration, err error)
	// OnDead is told of each worker that is taken off, OnReset of a new
	// run_id: whoever keeps counts per worker mends them.
	OnDead  func(ctx context.Context, worker string) error
	OnReset func(ctx context.Context, worker string) error
	Log     *slog.Logger
}

// A Member is a worker's place on the list of workers. While Run runs it
// raises the worker's counter, compares the claims that Redis holds with the
// journal, and observes all other workers: whose counter stands still for 15 s
// is taken off, and its claims become uncertain.
type Member struct {
	l       *Ledger
	cfg     MemberConfig
	journal Journal
	kick    chan struct{}

	mu       sync.Mutex
	id       string
	counter  int64
	replayed string // run_id that knows our journal
	clear    bool   // claims are allowed
	changed  chan struct{}

	// Used by Run alone.
	quiet  time.Time // nothing is claimed before
	beaten time.Time
	seen   map[string]sighting
}

type sighting struct {
	value string
	since time.Time
}

func (l *Ledger) workersKey() string { return l.prefix + ":{workers}" }
func (l *Ledger) deathsKey() string  { return l.prefix + ":{workers}:deaths" }

// Join puts a worker with a new random id on the list.
func (l *Ledger) Join(ctx context.Context, cfg MemberConfig) (*Member, error) {
	m := &Member{l: l, cfg: cfg, kick: make(chan struct{}, 1), changed: make(chan struct{}), seen: map[string]sighting{}}
	runID, uptime, err := cfg.Server(ctx)
	if err != nil {
		return nil, fmt.Errorf("join the workers: %w", err)
	}
	m.id, m.replayed = newWorkerID(), runID
	if uptime < joinWait {
		m.quiet = time.Now().Add(joinWait)
	}
	if err := m.beat(ctx, runID); err != nil {
		return nil, fmt.Errorf("join the workers: %w", err)
	}
	if err := m.observe(ctx, runID); err != nil {
		return nil, fmt.Errorf("join the workers: %w", err)
	}
	return m, nil
}

func newWorkerID() string { return strings.ToLower(rand.Text()[:10]) }

// ID returns the worker's id. It changes when the worker was taken off.
func (m *Member) ID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id
}

// Journal returns the log of the worker's claims.
func (m *Member) Journal() *Journal { return &m.journal }

// Ask logs a claim that is about to be asked for.
func (m *Member) Ask(ref Ref) Entry { return m.journal.Ask(m.ID(), ref) }

// Mine reports whether a token belongs to the worker's present id: a claim
// that was answered after the worker was taken off must not be used.
func (m *Member) Mine(token string) bool {
	worker, _, _ := strings.Cut(token, ".")
	return worker == m.ID()
}

// Admit is asked for each new connection that claims may go through. A run_id
// that our journal has not been replayed to is refused, and sets off the
// replay.
func (m *Member) Admit(runID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if runID == m.replayed {
		return nil
	}
	m.setClear(false)
	select {
	case m.kick <- struct{}{}:
	default:
	}
	return ErrNotReplayed
}

// setClear changes whether claims are allowed. The caller holds mu.
func (m *Member) setClear(clear bool) {
	if m.clear != clear {
		m.clear = clear
		close(m.changed)
		m.changed = make(chan struct{})
	}
}

// Clear waits until claims are allowed: every listed worker knows this Redis.
func (m *Member) Clear(ctx context.Context) error {
	for {
		m.mu.Lock()
		clear, changed := m.clear, m.changed
		m.mu.Unlock()
		if clear {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Run keeps the worker on the list until ctx ends.
func (m *Member) Run(ctx context.Context) error {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.kick:
		case <-ctx.Done():
			return nil
		}
		if err := m.tick(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("heartbeat missed", "worker", m.ID(), "err", err)
			clear(m.seen) // Redis did not answer throughout
		}
	}
}

// Leave takes the worker off the list. Claims that are still open then become
// uncertain by the next observer.
func (m *Member) Leave(ctx context.Context) error {
	if err := m.l.rdb.HDel(ctx, m.l.workersKey(), m.ID()).Err(); err != nil {
		return fmt.Errorf("leave the workers: %w", err)
	}
	return nil
}

func (m *Member) tick(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	runID, _, err := m.cfg.Server(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	fresh := runID != m.replayed
	m.mu.Unlock()
	if fresh {
		if err := m.replay(ctx, runID); err != nil {
			return err
		}
	}
	if fresh || time.Since(m.beaten) >= beatEvery {
		if err := m.beat(ctx, runID); err != nil {
			return err
		}
		if err := m.review(ctx); err != nil {
			return err
		}
	}
	return m.observe(ctx, runID)
}

// beat raises the counter. A worker that was taken off takes a new id.
func (m *Member) beat(ctx context.Context, runID string) error {
	now, err := m.l.Now(ctx)
	if err != nil {
		return err
	}
	if m.counter > 0 {
		listed, err := m.l.rdb.HExists(ctx, m.l.workersKey(), m.ID()).Result()
		if err != nil {
			return fmt.Errorf("read the list of workers: %w", err)
		}
		if !listed {
			m.mu.Lock()
			old := m.id
			m.id = newWorkerID()
			m.mu.Unlock()
			m.cfg.Log.Info("worker was taken off the list, goes on under a new id", "worker", old, "new", m.ID())
			if err := m.cfg.OnReset(ctx, m.ID()); err != nil {
				return err
			}
		}
	}
	m.counter++
	value := fmt.Sprintf("%d %s %d", m.counter, runID, now.UnixMilli())
	if err := m.l.rdb.HSet(ctx, m.l.workersKey(), m.ID(), value).Err(); err != nil {
		return fmt.Errorf("write the heartbeat: %w", err)
	}
	m.beaten = time.Now()
	return nil
}

// replay tells a Redis with a new run_id what the journal knows.
func (m *Member) replay(ctx context.Context, runID string) error {
	m.mu.Lock()
	m.setClear(false)
	m.mu.Unlock()
	entries := m.journal.sent()
	changed := 0
	for len(entries) > 0 {
		n := min(500, len(entries))
		k, err := m.l.replayAll(ctx, m.ID(), entries[:n])
		if err != nil {
			return err
		}
		entries, changed = entries[n:], changed+k
	}
	// Our heartbeat may be among what was lost: it is written again, not missed.
	if err := m.l.rdb.HSet(ctx, m.l.workersKey(), m.ID(), fmt.Sprintf("%d %s 0", m.counter, runID)).Err(); err != nil {
		return fmt.Errorf("write the heartbeat: %w", err)
	}
	if err := m.cfg.OnReset(ctx, m.ID()); err != nil {
		return err
	}
	m.mu.Lock()
	m.replayed = runID
	m.mu.Unlock()
	m.quiet = time.Now().Add(joinWait)
	clear(m.seen)
	m.cfg.Log.Info("redis was restarted, journal replayed", "worker", m.ID(), "redis_run_id", runID, "mended", changed)
	return nil
}

func (l *Ledger) replayAll(ctx context.Context, worker string, entries []entry) (changed int, err error) {
	if err := l.script.replay.Load(ctx, l.rdb).Err(); err != nil {
		return 0, fmt.Errorf("replay the journal: %w", err)
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(entries))
	for i, e := range entries {
		cmds[i] = l.script.replay.EvalSha(ctx, pipe, l.keys(e.ref.Run, e.ref.Part),
			e.ref.Part, e.ref.Index, e.token, worker, e.attempt, int(e.how), e.outcome.Reply.field(), jitter())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("replay the journal: %w", err)
	}
	for _, c := range cmds {
		n, _ := c.Int()
		changed += n
	}
	return changed, nil
}

// review compares the claims that Redis holds with the journal and the list:
// those of ours that ended are settled as logged, those that nobody knows
// become uncertain.
func (m *Member) review(ctx context.Context) error {
	ids, err := m.l.Active(ctx)
	if err != nil {
		return err
	}
	type held struct {
		ref   Ref
		token string
	}
	var claims []held
	for _, id := range ids {
		rec, err := m.l.Record(ctx, id)
		if errors.Is(err, ErrNoRun) {
			continue
		}
		if err != nil {
			return err
		}
		run := rec.Handle()
		if run == nil {
			continue
		}
		tokens, err := m.l.Claims(ctx, run)
		if err != nil {
			return err
		}
		for at, token := range tokens {
			claims = append(claims, held{Ref{run, at[0], at[1]}, token})
		}
	}
	if len(claims) == 0 {
		return nil
	}
	// The list comes after the claims: who claimed was on it by then.
	list, err := m.l.rdb.HGetAll(ctx, m.l.workersKey()).Result()
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}
	me := m.ID()
	for _, c := range claims {
		worker, _, _ := strings.Cut(c.token, ".")
		o := Outcome{State: campaign.Uncertain}
		if worker == me {
			if e, ok := m.journal.find(c.token); ok {
				if e.how == asking || e.how == open {
					continue
				}
				o = e.outcome
			}
		} else if _, ok := list[worker]; ok {
			continue
		}
		applied, err := m.l.settle(ctx, c.ref, c.token, o)
		if err != nil {
			return err
		}
		if applied && o.State == campaign.Uncertain {
			m.cfg.Log.Info("claim without an owner is uncertain", "run", c.ref.Run.ID, "part", c.ref.Part, "index", c.ref.Index, "worker", worker)
		}
	}
	return nil
}

// observe watches the other workers' counters and decides whether claims are
// allowed: every listed worker must have replayed to this Redis.
func (m *Member) observe(ctx context.Context, runID string) error {
	list, err := m.l.rdb.HGetAll(ctx, m.l.workersKey()).Result()
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}
	now := time.Now()
	all := true
	for worker, value := range list {
		if f := strings.Fields(value); len(f) < 2 || f[1] != runID {
			all = false
		}
		if worker == m.ID() {
			continue
		}
		s, ok := m.seen[worker]
		if !ok || s.value != value {
			m.seen[worker] = sighting{value, now}
			continue
		}
		if now.Sub(s.since) >= deadAfter {
			if err := m.takeOff(ctx, worker, value); err != nil {
				return err
			}
		}
	}
	for worker := range m.seen {
		if _, ok := list[worker]; !ok {
			delete(m.seen, worker)
		}
	}
	if !all {
		m.quiet = later(m.quiet, now.Add(tickEvery))
	}
	m.mu.Lock()
	m.setClear(all && !now.Before(m.quiet) && m.replayed == runID)
	m.mu.Unlock()
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (m *Member) takeOff(ctx context.Context, worker, value string) error {
	n, err := m.l.run(ctx, m.l.script.takeOff, []string{m.l.workersKey(), m.l.deathsKey()}, worker, value).Int()
	if err != nil {
		return fmt.Errorf("take worker %s off the list: %w", worker, err)
	}
	if n == 0 {
		return nil
	}
	m.cfg.Log.Info("worker is dead, taken off the list", "worker", worker)
	if err := m.cfg.OnDead(ctx, worker); err != nil {
		return err
	}
	return m.review(ctx)
}

// Deaths counts the workers that were taken off so far: when it rises, what
// is issued is issued again.
func (l *Ledger) Deaths(ctx context.Context) (int64, error) {
	n, err := l.rdb.Get(ctx, l.deathsKey()).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("read the deaths of workers: %w", err)
	}
	return n, nil
}

// Workers lists the workers whose counter was raised within the last 12 s.
func (l *Ledger) Workers(ctx context.Context) ([]string, error) {
	list, err := l.rdb.HGetAll(ctx, l.workersKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("read the list of workers: %w", err)
	}
	now, err := l.Now(ctx)
	if err != nil {
		return nil, err
	}
	var alive []string
	for worker, value := range list {
		if f := strings.Fields(value); len(f) == 3 {
			ms, _ := strconv.ParseInt(f[2], 10, 64)
			if now.Sub(time.UnixMilli(ms)) < 12*time.Second {
				alive = append(alive, worker)
			}
		}
	}
	return alive, nil
}

// IsClear reports whether claims are allowed now.
func (m *Member) IsClear() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clear
}
