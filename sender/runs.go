package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/token"
	"broadside/internal/crash"
	"broadside/templates/compose"
)

const (
	// keptChunks bounds the decoded recipients in memory for each run that is known (some
	// 350 KB each, with twelve fields): its parts are under way at the same time.
	// maxChunks bounds those of all runs.
	keptChunks = 16
	maxChunks  = 64
	// stateEvery is how often the states of known runs are read, so that a
	// pause stops what waits here within a second.
	stateEvery = 400 * time.Millisecond
	// forgetAfter is how long a run without tasks stays compiled.
	forgetAfter = 10 * time.Minute
)

// A run is what a worker knows of a run that it sends for.
type run struct {
	handle   *ledger.Run
	composer *compose.Composer
	accounts weighted
	rate     float64
	high     bool // it goes before runs of normal priority
	topic    string
	hours    *hours // nil: recipients may get it at any time of their day
	running  atomic.Bool
	failing  failures
	setBacks setBacks
	used     atomic.Int64 // unix seconds

	fullLooks atomic.Int64 // how many more looks ask whether the recipient is suppressed
}

// follow takes over the state that the run's record has.
func (r *run) follow(rec *ledger.Record, now time.Time) {
	running := sends(rec, now)
	was := r.running.Swap(running)
	if running && !was {
		r.failing.resume()
	}
}

// sends reports whether a run may send: it runs, and its window is open.
func sends(rec *ledger.Record, now time.Time) bool {
	return rec.State == campaign.Running && rec.Window.Open(now)
}

// maxSetBacks bounds what is remembered of recipients that were set back.
const maxSetBacks = 10_000

// setBacks count how often recipients of a run got a reply that is not about them,
// since they were last charged or accepted.
type setBacks struct {
	mu sync.Mutex
	n  map[recipientKey]int
}

// count notes a reply for which a recipient is not charged, and returns how many
// that makes. When there are too many such recipients to remember, it is one too
// many: they are charged.
func (s *setBacks) count(key recipientKey) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.n[key] + 1
	if n > maxUncharged || len(s.n) >= maxSetBacks {
		delete(s.n, key)
		return maxUncharged + 1
	}

	if s.n == nil {
		s.n = map[recipientKey]int{}
	}

	s.n[key] = n
	return n
}

// clear forgets what was counted of a recipient.
func (s *setBacks) clear(key recipientKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.n, key)
}

// maxFullLooks is how many looks ask for suppressions after a claim found one. The
// audience was free of them when it was made: mostly there is none, the claim
// asks in any case, and what it finds costs no more than a connection.
const maxFullLooks = 1000

// lookKey returns the key by which a look asks for suppressions; the zero
// SuppressionKey where it asks for the state of the cell alone.
func (r *run) lookKey(rcpt *recipient) ledger.SuppressionKey {
	if r.fullLooks.Load() > 0 {
		r.fullLooks.Add(-1)
		return rcpt.suppressionKey
	}
	return ledger.SuppressionKey{}
}

// runs is a worker's cache of compiled runs and decoded chunks.
type runs struct {
	ledger *ledger.Ledger
	keys   *token.Keys
	log    *slog.Logger
	crash  *crash.Reporter
	load   singleflight.Group

	mu     sync.Mutex
	known  map[string]*run
	chunks map[string]*keptChunk
	used   int // how often a chunk was asked for
}

// A keptChunk is a chunk and when it was used last, as runs counts.
type keptChunk struct {
	*audience.Chunk
	used int
}

func newRuns(l *ledger.Ledger, keys *token.Keys, log *slog.Logger) *runs {
	return &runs{ledger: l, keys: keys, log: log, crash: crash.NewReporter(log), known: map[string]*run{}, chunks: map[string]*keptChunk{}}
}

// get returns a run; ledger.ErrNoRun when there is none that could be sent.
func (c *runs) get(ctx context.Context, id string) (*run, error) {
	c.mu.Lock()
	r := c.known[id]
	c.mu.Unlock()
	if r == nil {
		v, err, _ := c.load.Do(id, func() (any, error) { return c.compile(ctx, id) })
		if err != nil {
			return nil, err
		}
		r = v.(*run)
	}

	r.used.Store(time.Now().Unix())
	return r, nil
}

func (c *runs) compile(ctx context.Context, id string) (*run, error) {
	rec, err := c.ledger.Record(ctx, id)
	if err != nil {
		return nil, err
	}

	h := rec.Handle()
	if h == nil {
		return nil, fmt.Errorf("%w: %s is not ready", ledger.ErrNoRun, id)
	}

	snapshot, err := c.ledger.Snapshot(ctx, h)
	if err != nil {
		return nil, c.holdUnreadable(ctx, h, err)
	}

	composer, err := c.compose(*snapshot)
	if err != nil {
		// It compiled when the run was made; this worker is another version, or has other secrets.
		if _, err := c.ledger.PauseFor(ctx, id, codes.Content, fmt.Sprintf("a worker cannot compile the content: %v", err)); err != nil {
			return nil, err
		}
		c.log.Error("run paused", "run", id, "err", err)
		return nil, err
	}

	hours, err := hoursOf(snapshot.Hours)
	if err != nil {
		return nil, fmt.Errorf("hours of the recipients of run %s: %w", id, err)
	}

	r := &run{handle: h, composer: composer, accounts: weightedOf(snapshot), rate: snapshot.Pace(), high: rec.High, topic: snapshot.Topic, hours: hours}
	r.running.Store(sends(rec, time.Now()))
	r.used.Store(time.Now().Unix())
	c.mu.Lock()
	c.known[id] = r
	c.mu.Unlock()
	return r, nil
}

// compose compiles the content of a run. A panic is an error of this content.
func (c *runs) compose(s campaign.Snapshot) (composer *compose.Composer, err error) {
	defer c.crash.Recover(func(f *crash.Fault) { err = f }, "campaign", s.Campaign)
	return compose.New(s, c.keys)
}

// row returns one recipient of a run.
func (c *runs) row(ctx context.Context, r *run, part, index int) (audience.Row, error) {
	first := index - index%audience.ChunkSize
	key := r.handle.ID + " " + strconv.Itoa(part) + " " + strconv.Itoa(first)
	chunk := c.kept(key)
	if chunk == nil {
		v, err, _ := c.load.Do(key, func() (any, error) {
			chunk, err := c.chunk(ctx, r.handle, part, first)
			if err != nil {
				return nil, c.holdUnreadable(ctx, r.handle, err)
			}
			c.keep(key, chunk)
			return chunk, nil
		})
		if err != nil {
			return audience.Row{}, err
		}
		chunk = v.(*audience.Chunk)
	}

	if index-first >= chunk.Len() {
		return audience.Row{}, fmt.Errorf("run %s has no recipient %d in part %d", r.handle.ID, index, part)
	}

	return chunk.Row(index - first), nil
}

// errNoChunk is returned for recipients that are not in the form of this version.
var errNoChunk = errors.New("the ledger is damaged")

func (c *runs) chunk(ctx context.Context, h *ledger.Run, part, first int) (*audience.Chunk, error) {
	data, err := c.ledger.Chunk(ctx, h, part, first)
	if err != nil {
		return nil, err
	}
	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		return nil, fmt.Errorf("%w: decode recipients of run %s: %w", errNoChunk, h.ID, err)
	}
	return chunk, nil
}

// holdUnreadable holds a running run, until a person decides, when err says that
// its content or its recipients are gone or damaged; it returns err. Without this
// the run would stay as it is for ever: its recipients are issued and dropped.
func (c *runs) holdUnreadable(ctx context.Context, h *ledger.Run, err error) error {
	if !campaign.IsBroken(err) && !ledger.Gone(err) && !errors.Is(err, errNoChunk) {
		return err
	}

	rec, readErr := c.ledger.Record(ctx, h.ID)
	if readErr != nil || rec.Attempt != h.Attempt {
		return err // the run is gone, or was made again
	}

	before, turnErr := c.ledger.Turn(ctx, h.ID, campaign.Held, codes.HeldLedger.Reason("%v", err), campaign.Running)
	if turnErr != nil {
		return errors.Join(err, turnErr)
	}

	if before == campaign.Running {
		c.log.Error("run is held", "run", h.ID, "code", string(codes.HeldLedger), "reason", err.Error())
	}

	return err
}

// kept returns a chunk that is in memory; nil when it is not.
func (c *runs) kept(key string) *audience.Chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.chunks[key]
	if k == nil {
		return nil
	}
	c.used++
	k.used = c.used
	return k.Chunk
}

// keep keeps a chunk in place of those that were not used for the longest time.
func (c *runs) keep(key string, chunk *audience.Chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.chunks) >= min(maxChunks, keptChunks*max(1, len(c.known))) {
		oldest := ""
		for other, k := range c.chunks {
			if oldest == "" || k.used < c.chunks[oldest].used {
				oldest = other
			}
		}
		delete(c.chunks, oldest)
	}
	c.used++
	c.chunks[key] = &keptChunk{chunk, c.used}
}

// forget lets go of a run and of its chunks.
func (c *runs) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
	maps.DeleteFunc(c.chunks, func(key string, _ *keptChunk) bool { return strings.HasPrefix(key, id+" ") })
}

// A stoppedRun is a run that is not running any more.
type stoppedRun struct {
	*run
	reason string // that its record has
}

// refresh reads the states of the known runs, and returns those that are not
// running. A run whose state cannot be read goes on: claims ask for it themselves.
func (c *runs) refresh(ctx context.Context, now time.Time) (stopped []stoppedRun, err error) {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.known))
	c.mu.Unlock()
	for _, r := range all {
		rec, readErr := c.ledger.Record(ctx, r.handle.ID)
		reason := ""
		switch {
		case ledger.Gone(readErr) || readErr == nil && rec.Attempt != r.handle.Attempt,
			readErr == nil && now.Sub(time.Unix(r.used.Load(), 0)) > forgetAfter:
			r.running.Store(false)
			c.forget(r.handle.ID)
		case readErr != nil:
			err = readErr
			continue
		default:
			reason = rec.Reason
			r.follow(rec, now)
		}
		if !r.running.Load() {
			stopped = append(stopped, stoppedRun{r, reason})
		}
	}

	return stopped, err
}
