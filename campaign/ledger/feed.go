package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
)

// A Cell is the state of one recipient.
type Cell struct {
	State      campaign.State
	Attempts   int
	Unanswered int           // times it was issued in a row without a word from a worker
	When       time.Duration // since the run was created: do not look at it before
}

// parseCells decodes cells as Redis holds them.
func parseCells(b string) []Cell {
	cells := make([]Cell, len(b)/cellSize)
	for i := range cells {
		c := b[i*cellSize : i*cellSize+cellSize]
		cells[i] = Cell{
			State: campaign.State(c[0]), Attempts: int(c[1] >> 4), Unanswered: int(c[1] >> 1 & 7),
			When: time.Duration(int(c[2])<<16|int(c[3])<<8|int(c[4])) * time.Second,
		}
	}
	return cells
}

// Page reads the cells of one page of a part; the last page is shorter.
func (l *Ledger) Page(ctx context.Context, r *Run, part, page int) ([]Cell, error) {
	const size = PageCells * cellSize
	key := l.cellsKey(r, part)
	b, err := l.rdb.GetRange(ctx, key, int64(page*size), int64(page*size+size-1)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "cells of run "+r.ID, key)
	}

	if b == "" {
		return nil, fmt.Errorf("%w: cells of %s", ErrNoRun, r.ID)
	}

	return parseCells(b), nil
}

// Early is a note for the feeder, made since its last call: part and page, and the
// moment at which something there is due.
type Early struct {
	Part, Page int
	When       time.Duration
}

// An Issued is the answer of Issue.
type Issued struct {
	Indexes []int
	Early   []Early
	At      time.Time // the server's time of issue
}

// Issue marks recipients of a part as issued, up to the backlog, and returns those
// that it marked. Each must give a sign of life within hold, or it is issued again;
// hold doubles each time. force makes issued ones ready at once, because a worker
// died.
func (l *Ledger) Issue(ctx context.Context, r *Run, part, backlog int, hold time.Duration, force bool, indexes []int) (Issued, error) {
	res, err := l.run(ctx, l.script.issue, l.keys(r, part), part, backlog, seconds(hold), flag(force), ranges(indexes)).Slice()
	if err != nil {
		return Issued{}, fmt.Errorf("issue recipients of run %s: %w", r.ID, err)
	}

	if len(res) != 3 {
		return Issued{}, fmt.Errorf("issue recipients of run %s: unexpected answer", r.ID)
	}

	var out Issued
	list, _ := res[0].([]any)
	for _, v := range list {
		i, _ := v.(int64)
		out.Indexes = append(out.Indexes, int(i))
	}

	notes, _ := res[1].([]any)
	for k := 0; k+1 < len(notes); k += 2 {
		field, _ := notes[k].(string)
		when, _ := notes[k+1].(string)
		p, page, _ := strings.Cut(field, ":")
		out.Early = append(out.Early, Early{int(atoi64(p)), int(atoi64(page)), time.Duration(atoi64(when)) * time.Second})
	}

	ms, _ := res[2].(int64)
	out.At = time.UnixMilli(ms)

	return out, nil
}

// ranges writes ascending indexes as "3,7-90,100".
func ranges(indexes []int) string {
	var b []byte
	for k := 0; k < len(indexes); {
		first := indexes[k]
		last := first
		for k++; k < len(indexes) && indexes[k] == last+1; k++ {
			last++
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(first), 10)
		if last > first {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(last), 10)
		}
	}

	return string(b)
}

// sweepCells is how many cells one sweep script looks at: Redis serves no other
// client while it runs (about 4 ms).
const sweepCells = 2000

// Sweep cancels all recipients of a cancelled run except those being sent to.
func (l *Ledger) Sweep(ctx context.Context, r *Run) error { return l.sweep(ctx, r, false) }

// Abandon makes the recipients of a cancelled run whose cells cannot be read
// uncertain: whether they were mailed is not known, and the run could never be
// over. It is called when a Sweep has left no others.
func (l *Ledger) Abandon(ctx context.Context, r *Run) error { return l.sweep(ctx, r, true) }

func (l *Ledger) sweep(ctx context.Context, r *Run, abandon bool) error {
	for _, p := range r.Sizes {
		for first := 0; first < p.Size; first += sweepCells {
			last := min(first+sweepCells, p.Size) - 1
			n, err := l.run(ctx, l.script.sweep, l.keys(r, p.Part), p.Part, first, last, flag(abandon)).Int()
			if err != nil {
				return fmt.Errorf("cancel recipients of run %s: %w", r.ID, err)
			}
			if n < 0 {
				return nil
			}
		}
	}

	return nil
}

// MaxBacklog bounds how many recipients of a part are issued at once: what Redis
// holds of them as tasks, and what a pause leaves to be given back.
const MaxBacklog = 4000

// Lease takes or renews the lease of the run's feeder. It saves work and
// protects nothing: two feeders do no harm.
func (l *Ledger) Lease(ctx context.Context, id, holder string, d time.Duration) (bool, error) {
	return l.lease(ctx, id, "lease", holder, d)
}

func (l *Ledger) lease(ctx context.Context, id, key, holder string, d time.Duration) (bool, error) {
	n, err := l.run(ctx, l.script.lease, []string{l.runKey(id, key)}, holder, d.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("take the %s of run %s: %w", key, id, err)
	}
	return n == 1, nil
}

// Now returns the time of Redis.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	t, err := l.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the time of Redis: %w", err)
	}
	return t, nil
}

// A LastReply is the last reply of a recipient.
type LastReply struct {
	At      time.Time
	Attempt int
	Reason  string // "", attempts, expired, stuck, uncertain
	Reply
}

// Replies reads the last replies for the recipients of a run that were not accepted
// (the others are in Receipts), by part and index.
func (l *Ledger) Replies(ctx context.Context, r *Run) (map[[2]int]LastReply, error) {
	out := map[[2]int]LastReply{}
	err := l.scan(ctx, l.runKey(r.ID, "replies"), func(field, value string) {
		part, index, _ := strings.Cut(field, ":")
		if last, ok := parseLastReply(value); ok {
			out[[2]int{int(atoi64(part)), int(atoi64(index))}] = last
		}
	})
	if err != nil {
		return nil, campaign.ReadError(err, "replies of run "+r.ID, l.runKey(r.ID, "replies"))
	}

	return out, nil
}

// parseLastReply reads what lua/lib.lua remembers of a recipient.
func parseLastReply(value string) (LastReply, bool) {
	f := strings.SplitN(value, "\t", 7)
	if len(f) < 7 {
		return LastReply{}, false
	}
	return LastReply{
		At: fromMillis(f[0]), Attempt: int(atoi64(f[1])), Reason: f[2],
		Reply: Reply{Code: int(atoi64(f[3])), Enhanced: f[4], Account: f[5], Text: f[6]},
	}, true
}

// Claims reads the claims that are held now: token by part and index.
func (l *Ledger) Claims(ctx context.Context, r *Run) (map[[2]int]string, error) {
	key := l.runKey(r.ID, "claims")
	m, err := l.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "claims of run "+r.ID, key)
	}

	out := map[[2]int]string{}
	for field, v := range m {
		part, index, _ := strings.Cut(field, ":")
		token, _, _ := strings.Cut(v, " ")
		out[[2]int{int(atoi64(part)), int(atoi64(index))}] = token
	}

	return out, nil
}

// scan reads a hash piece by piece.
func (l *Ledger) scan(ctx context.Context, key string, each func(field, value string)) error {
	var cursor uint64
	for {
		kv, next, err := l.rdb.HScan(ctx, key, cursor, "", 1000).Result()
		if err != nil {
			return err
		}
		for k := 0; k+1 < len(kv); k += 2 {
			each(kv[k], kv[k+1])
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
