package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

var (
	// errNotReady is returned by Ready when something that was written is missing.
	errNotReady = errors.New("expansion is not complete")
	// ErrReady is returned by Ready when another expansion has made the run ready,
	// and by Drop when any has.
	ErrReady = errors.New("it is ready already")
)

// An UnsureError is returned by Ready when it is not known whether the run is
// ready: messages may leave.
type UnsureError struct {
	Run string
	Err error // why there was no answer
}

// Error returns one line.
func (e *UnsureError) Error() string {
	return fmt.Sprintf("it is not known whether run %s is ready: %v", e.Run, e.Err)
}

// Unwrap returns the cause.
func (e *UnsureError) Unwrap() error { return e.Err }

const (
	// expansionTTL is how long an expansion that never became ready is kept.
	expansionTTL = time.Hour
	// unsureTime bounds the question whether a run is ready after all.
	unsureTime = 5 * time.Second
)

// An Expansion writes the audience of one run under a random attempt id. Its
// keys expire by themselves until Ready names the attempt: an expansion that
// dies half way leaves nothing, and of two the first that is ready wins. It
// belongs to one goroutine.
type Expansion struct {
	l      *Ledger
	run    Run
	parts  map[int]*partState
	chunks int
	fields []any // more that is recorded when the run is ready, as pairs
}

type partState struct{ size, suppressed int }

// Expand begins an expansion of the run.
func (l *Ledger) Expand(id string) *Expansion {
	return &Expansion{l: l, run: Run{ID: id, Attempt: rand.Text()[:12]}, parts: map[int]*partState{}}
}

func (e *Expansion) key(rest string) string { return e.l.runKey(e.run.ID, e.run.Attempt+":"+rest) }

// Content stores what the messages of the run are made from.
func (e *Expansion) Content(ctx context.Context, s campaign.Snapshot) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode content of run %s: %w", e.run.ID, err)
	}

	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("encode content of run %s: %w", e.run.ID, err)
	}
	defer enc.Close()
	if err := e.l.rdb.Set(ctx, e.key("content"), enc.EncodeAll(b, nil), expansionTTL).Err(); err != nil {
		return fmt.Errorf("store content of run %s: %w", e.run.ID, err)
	}

	return nil
}

// A Chunk is the next recipients of one part, encoded by campaign/audience.
type Chunk struct {
	Part       int
	Data       []byte
	Suppressed []bool // per recipient: suppressed already
	// Due is per recipient when they are due, since the run was created; at most MaxDue.
	// nil: all are at once.
	Due []time.Duration
}

// MaxDue is the latest moment that a cell can say, since its run was created.
const MaxDue = (1<<24 - 1) * time.Second

// Add appends chunks, in the order in which they are given, in one round trip.
func (e *Expansion) Add(ctx context.Context, chunks ...Chunk) error {
	pipe := e.l.rdb.Pipeline()
	for _, c := range chunks {
		p := e.parts[c.Part]
		if p == nil {
			p = &partState{}
			e.parts[c.Part] = p
		}

		cells := make([]byte, cellSize*len(c.Suppressed))
		for i, s := range c.Suppressed {
			if s {
				cells[i*cellSize] = byte(campaign.Suppressed)
				p.suppressed++
			} else if c.Due != nil {
				putWhen(cells[i*cellSize:], c.Due[i])
			}
		}

		pipe.HSet(ctx, e.key("chunks"), fmt.Sprintf("%d:%d", c.Part, p.size), c.Data)
		pipe.SetRange(ctx, e.key("cells:"+itoa(c.Part)), int64(p.size*cellSize), string(cells))
		pipe.Expire(ctx, e.key("cells:"+itoa(c.Part)), expansionTTL)
		p.size += len(c.Suppressed)
		e.chunks++
	}

	pipe.Expire(ctx, e.key("chunks"), expansionTTL)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store recipients of run %s: %w", e.run.ID, err)
	}

	return nil
}

// putWhen writes when a recipient is due into their cell, rounded up: nothing is early.
func putWhen(cell []byte, due time.Duration) {
	when := seconds(min(due, MaxDue))
	cell[2] = byte(when >> 16)
	cell[3] = byte(when >> 8)
	cell[4] = byte(when)
}

// Waves says when the recipients are due, for people, and until when those of the last
// wave have time, since the run was created. Both are recorded when the run is ready.
func (e *Expansion) Waves(waves []campaign.Wave, expires time.Duration) {
	e.fields = []any{"waves", encode(waves), "expires", seconds(expires)}
}

// Rejects appends a block of rejected rows, as encoded by the caller.
func (e *Expansion) Rejects(ctx context.Context, block []byte) error {
	pipe := e.l.rdb.Pipeline()
	pipe.RPush(ctx, e.key("rejects"), block)
	pipe.Expire(ctx, e.key("rejects"), expansionTTL)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store rejects of run %s: %w", e.run.ID, err)
	}
	return nil
}

// Size returns how many recipients were added.
func (e *Expansion) Size() (n int64) {
	for _, p := range e.parts {
		n += int64(p.size)
	}
	return n
}

// Ready checks that everything is in and lets the run begin. From here on
// messages may leave. When another expansion of the run was ready before, that
// one stays, what this one wrote is removed, and the error is ErrReady. After an
// UnsureError the run may be ready; after any other error this expansion has not
// made it ready.
func (e *Expansion) Ready(ctx context.Context, skipped campaign.Skipped) error {
	numbers := make([]int, 0, len(e.parts))
	for n := range e.parts {
		numbers = append(numbers, n)
	}

	sort.Ints(numbers)
	keys := []string{
		e.l.runKey(e.run.ID, "record"), e.l.runKey(e.run.ID, "counts"),
		e.key("content"), e.key("chunks"), e.key("rejects"),
	}
	fields := []any{
		"invalid", skipped.Invalid, "duplicate", skipped.Duplicate, "excluded", skipped.Excluded,
		"filtered", skipped.Filtered, "sampled", skipped.Sampled, "limited", skipped.Limited,
	}
	if skipped.Passed > 0 {
		fields = append(fields, "passed", skipped.Passed)
	}
	fields = append(fields, e.fields...)
	args := append([]any{e.run.Attempt, e.chunks, len(fields) / 2}, fields...)
	for _, n := range numbers {
		keys = append(keys, e.key("cells:"+itoa(n)))
		args = append(args, n, e.parts[n].size, e.parts[n].suppressed)
	}

	// It may have been taken for a run without a record, and dropped.
	if err := e.l.rdb.SAdd(ctx, e.l.activeKey(), e.run.ID).Err(); err != nil {
		return fmt.Errorf("make run %s ready: %w", e.run.ID, err)
	}

	res, err := e.l.run(ctx, e.l.script.ready, keys, args...).Slice()
	if err != nil {
		return e.lost(ctx, fmt.Errorf("make run %s ready: %w", e.run.ID, err))
	}

	switch ok, _ := res[0].(int64); {
	case ok != 1:
		return fmt.Errorf("make run %s ready: %w: %v", e.run.ID, errNotReady, res[1])
	case res[1] != e.run.Attempt:
		_, err := e.Discard(ctx) // what is left of it expires by itself
		return errors.Join(fmt.Errorf("make run %s ready: %w", e.run.ID, ErrReady), err)
	}

	return nil
}

// lost finds out whether the run became ready although no answer came from Redis:
// the answer may have been lost, or the command may still be on its way. An
// expansion that is discarded cannot become ready any more.
func (e *Expansion) lost(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsureTime)
	defer cancel()
	switch gone, err := e.Discard(ctx); {
	case err != nil:
		return &UnsureError{e.run.ID, fmt.Errorf("%w; %w", cause, err)}
	case gone:
		return cause
	}
	return nil
}

// Discard removes what was written by an expansion that is given up, so that Redis
// has the memory back now and not in an hour. It reports whether the data is gone:
// the expansion that made the run ready stays.
func (e *Expansion) Discard(ctx context.Context) (gone bool, err error) {
	keys := []string{e.l.runKey(e.run.ID, "record"), e.key("content"), e.key("chunks"), e.key("rejects")}
	for n := range e.parts {
		keys = append(keys, e.key("cells:"+itoa(n)))
	}
	n, err := e.l.run(ctx, e.l.script.discard, keys, e.run.Attempt).Int()
	if err != nil {
		return false, fmt.Errorf("discard what was written of run %s: %w", e.run.ID, err)
	}
	return n == 1, nil
}

// Snapshot reads the content of a run.
func (l *Ledger) Snapshot(ctx context.Context, r *Run) (*campaign.Snapshot, error) {
	key := l.runKey(r.ID, r.Attempt+":content")
	what := "content of run " + r.ID
	b, err := l.rdb.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: content of %s", ErrNoRun, r.ID)
	}
	if err != nil {
		return nil, campaign.ReadError(err, what, key)
	}

	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, fmt.Errorf("decode content of run %s: %w", r.ID, err)
	}
	defer dec.Close()
	if b, err = dec.DecodeAll(b, nil); err != nil {
		return nil, &campaign.BrokenError{What: what, Key: key, Err: err}
	}

	s := &campaign.Snapshot{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, &campaign.BrokenError{What: what, Key: key, Err: err}
	}

	return s, nil
}

// Chunk reads the chunk whose first recipient is first; ErrNoRun when the
// addresses of the run have expired.
func (l *Ledger) Chunk(ctx context.Context, r *Run, part, first int) ([]byte, error) {
	key := l.runKey(r.ID, r.Attempt+":chunks")
	b, err := l.rdb.HGet(ctx, key, fmt.Sprintf("%d:%d", part, first)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: addresses of %s", ErrNoRun, r.ID)
	}
	if err != nil {
		return nil, campaign.ReadError(err, "recipients of run "+r.ID, key)
	}
	return b, nil
}

// RejectBlocks reads the blocks that Expansion.Rejects stored.
func (l *Ledger) RejectBlocks(ctx context.Context, r *Run) ([]string, error) {
	key := l.runKey(r.ID, r.Attempt+":rejects")
	blocks, err := l.rdb.LRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "rejects of run "+r.ID, key)
	}
	return blocks, nil
}

// Drop removes a run that never became ready, as if it had not been created:
// its input was bad. ErrReady when it is.
func (l *Ledger) Drop(ctx context.Context, id, name string) error {
	dropped, err := l.run(ctx, l.script.drop, []string{l.runKey(id, "record"), l.runKey(id, "counts")}).Int()
	if err != nil {
		return fmt.Errorf("drop run %s: %w", id, err)
	}
	if dropped == 0 {
		return fmt.Errorf("drop run %s: %w", id, ErrReady)
	}
	return l.Forget(ctx, id, name)
}
