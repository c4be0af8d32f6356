package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/outage"
)

const (
	tickEvery = time.Second
	beatEvery = 5 * time.Second
	// deadAfter is how long a counter must stand still before its worker counts as
	// dead, by the observer's own monotonic clock, with Redis answering throughout.
	deadAfter = 15 * time.Second
	// joinWait is how long nothing is claimed after Redis changed. Workers may have
	// joined in the second that was lost.
	joinWait = 3 * time.Second
)

// ErrNotReplayed refuses a connection to a Redis to which this worker has not
// replayed its journal.
var ErrNotReplayed = errors.New("redis was restarted: the journal has not been replayed to it yet")

// MemberConfig is what a Member needs in addition to the ledger.
type MemberConfig struct {
	// Server returns the run_id of Redis, which is new after each start, and how
	// long ago that start was. In a cluster the ids of all primaries are joined by +.
	Server func(ctx context.Context) (runID string, uptime time.Duration, err error)
	// OnDead is called for each worker that is taken off, OnReset for a new
	// run_id, so that counts that are kept per worker can be corrected.
	OnDead  func(ctx context.Context, worker string) error
	OnReset func(ctx context.Context, worker string) error
	// Sever closes the connections to Redis that are open: some may lead to
	// the former server, which may still answer. May be nil.
	Sever func()
	Log   *slog.Logger
}

// A Member is a worker's place on the list of workers. While Run runs it
// raises the worker's counter, compares the claims that Redis holds with the
// journal, and observes all other workers: one whose counter stands still for 15 s
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
	listed   int // workers on the list when it was last read

	now func() time.Time // the monotonic clock of this process

	// Used by Run alone.
	joined       heartbeat       // the first one under this id
	acknowledged heartbeat       // the last one that Redis took
	deaths       int64           // of workers, when that was
	known        map[string]bool // workers on the list when it was last read
	severed      string          // run_id whose appearance ended all connections
	quiet        time.Time       // nothing is claimed before
	beaten       time.Time
	observed     time.Time
	seen         map[string]sighting
	replaying    replaying
}

type sighting struct {
	value string
	since time.Time
}

func (l *Ledger) workersKey() string { return l.prefix + ":{workers}" }
func (l *Ledger) deathsKey() string  { return l.prefix + ":{workers}:deaths" }

// Join puts a worker with a new random id on the list.
func (l *Ledger) Join(ctx context.Context, cfg MemberConfig) (*Member, error) {
	m := &Member{l: l, cfg: cfg, kick: make(chan struct{}, 1), changed: make(chan struct{}), seen: map[string]sighting{}, now: time.Now}
	runID, uptime, err := cfg.Server(ctx)
	if err != nil {
		return nil, fmt.Errorf("join the workers: %w", err)
	}

	m.id = newWorkerID()
	m.replayed = runID
	if uptime < joinWait {
		m.quiet = m.now().Add(joinWait)
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

// Listed returns how many workers are on the list, this one included. It is a
// second old at most while Redis answers; a dead worker counts until it is taken off.
func (m *Member) Listed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listed
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
	if runID != "" && slices.Contains(strings.Split(m.replayed, "+"), runID) {
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
		clear := m.clear
		changed := m.changed
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
	notice := outage.NewNotice(m.cfg.Log.With("worker", m.ID()), "heartbeat missed", "heartbeats are back")
	for {
		select {
		case <-t.C:
		case <-m.kick:
		case <-ctx.Done():
			return nil
		}

		err := m.tick(ctx)
		if ctx.Err() != nil {
			return nil
		}
		notice.Note(err)
		if err != nil {
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
	asking, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	runID, _, err := m.cfg.Server(asking)
	if err != nil {
		return err
	}

	m.mu.Lock()
	fresh := runID != m.replayed
	m.mu.Unlock()
	if fresh {
		if err := m.replay(ctx, runID); err != nil { // without a time limit
			return err
		}
	}

	asking, cancelRest := context.WithTimeout(ctx, beatEvery)
	defer cancelRest()
	if fresh || m.now().Sub(m.beaten) >= beatEvery {
		if err := m.beat(asking, runID); err != nil {
			return err
		}
		if err := m.review(asking); err != nil {
			return err
		}
	}

	return m.observe(asking, runID)
}

// A heartbeat is what the list of workers holds of one.
type heartbeat struct {
	counter int64
	runID   string    // of the Redis that the journal was replayed to
	at      time.Time // by Redis' clock
	journal uint64    // claims that were asked for until then
}

func (h heartbeat) String() string {
	return fmt.Sprintf("%d %s %d %d", h.counter, h.runID, h.at.UnixMilli(), h.journal)
}

func parseHeartbeat(value string) heartbeat {
	f := strings.Fields(value)
	if len(f) != 4 {
		return heartbeat{}
	}
	return heartbeat{counter: atoi64(f[0]), runID: f[1], at: fromMillis(f[2]), journal: uint64(atoi64(f[3]))}
}

// writeHeartbeat writes a heartbeat to the list of workers.
func (m *Member) writeHeartbeat(ctx context.Context, id, runID string) error {
	journal := m.journal.Len()
	now, err := m.l.Now(ctx)
	if err != nil {
		return err
	}

	h := heartbeat{m.counter, runID, now.Truncate(time.Millisecond), journal} // as it is read back
	if err := m.l.run(ctx, m.l.script.beat, []string{m.l.workersKey()}, id, h.String()).Err(); err != nil {
		return fmt.Errorf("write the heartbeat: %w", err)
	}

	m.acknowledged = h
	return nil
}

// beat raises the counter. A worker that was taken off takes a new id, which
// is on the list before anything is claimed under it.
func (m *Member) beat(ctx context.Context, runID string) error {
	old := m.ID()
	listed := true
	var err error
	if m.counter > 0 {
		if listed, err = m.l.rdb.HExists(ctx, m.l.workersKey(), old).Result(); err != nil {
			return fmt.Errorf("read the list of workers: %w", err)
		}
	}

	m.counter++
	id := old
	if !listed {
		id = newWorkerID()
	}
	if err := m.writeHeartbeat(ctx, id, runID); err != nil {
		return err
	}

	m.beaten = m.now()
	if m.deaths, err = m.l.Deaths(ctx); err != nil {
		return err
	}
	if m.counter == 1 || !listed {
		m.joined = m.acknowledged
	}
	if listed {
		return nil
	}

	m.mu.Lock()
	m.id = id
	m.mu.Unlock()
	m.cfg.Log.Info("worker was taken off the list, goes on under a new id", "worker", old, "new", id)

	// What was counted for the old id since then must move to the new one.
	return errors.Join(m.cfg.OnDead(ctx, old), m.cfg.OnReset(ctx, id))
}

// observe watches the other workers' counters and decides whether claims are
// allowed: every listed worker must have replayed to this Redis.
func (m *Member) observe(ctx context.Context, runID string) error {
	list, err := m.l.rdb.HGetAll(ctx, m.l.workersKey()).Result()
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}

	now := m.now()
	if now.Sub(m.observed) > beatEvery {
		clear(m.seen) // this worker was away, perhaps all the others too
	}

	m.observed = now
	all := true
	m.known = make(map[string]bool, len(list))
	for worker, value := range list {
		m.known[worker] = true
		if parseHeartbeat(value).runID != runID {
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
	m.listed = len(list)
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
	// A worker that gave a sign of life since the list was read keeps its connections.
	now, err := m.l.rdb.HGet(ctx, m.l.workersKey(), worker).Result()
	if errors.Is(err, redis.Nil) || err == nil && now != value {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}
	if err := m.cfg.OnDead(ctx, worker); err != nil {
		return err
	}

	n, err := m.l.run(ctx, m.l.script.takeOff, []string{m.l.workersKey(), m.l.deathsKey()}, worker, value).Int()
	if err != nil {
		return fmt.Errorf("take worker %s off the list: %w", worker, err)
	}

	if n == 0 {
		return nil
	}

	m.cfg.Log.Info("worker is dead, taken off the list", "worker", worker)
	return m.review(ctx)
}

// Deaths counts the workers that were taken off so far: when it rises, what
// is issued is issued again.
func (l *Ledger) Deaths(ctx context.Context) (int64, error) {
	n, err := l.rdb.Get(ctx, l.deathsKey()).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, campaign.ReadError(err, "the number of dead workers", l.deathsKey())
	}
	return n, nil
}

// Workers lists the workers whose counter was raised within the last 12 s.
func (l *Ledger) Workers(ctx context.Context) ([]string, error) {
	list, err := l.rdb.HGetAll(ctx, l.workersKey()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of workers", l.workersKey())
	}

	now, err := l.Now(ctx)
	if err != nil {
		return nil, err
	}

	var alive []string
	for worker, value := range list {
		if now.Sub(parseHeartbeat(value).at) < 12*time.Second {
			alive = append(alive, worker)
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
