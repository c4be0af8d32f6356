package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
)

// ErrNobody is returned when an audience has no recipient.
var ErrNobody = errors.New("the audience has no recipient")

// An AudienceSizeError is returned when an audience is not of the expected
// size.
type AudienceSizeError struct {
	Size   int64
	Expect campaign.Range
}

func (e *AudienceSizeError) Error() string {
	return fmt.Sprintf("the audience has %d recipients, expected %d-%d", e.Size, e.Expect.Min, e.Expect.Max)
}

// An Audience yields rows: audience.Reader does, of files and of lists.
type Audience interface {
	// Next fills row; io.EOF at the end, *audience.Reject for a row that
	// cannot be mailed.
	Next(row *audience.Row) error
}

// A Selection says which rows of an audience become recipients.
type Selection struct {
	Excluded func(hash [32]byte) bool // of another list or run; nil: nobody
	Limit    int64                    // keep the first so many; 0: all
	Expect   campaign.Range           // refuse another size
	OnlyTo   func(address string) bool
	Topic    string // for the suppression look-up
}

// A Plan is what an audience comes to.
type Plan struct {
	Total      int64 // distinct valid recipients, suppressed ones included
	Suppressed int64
	Skipped    campaign.Skipped
	Parts      map[int]int64 // recipients per part
}

// Rows returns the number of rows that were read.
func (p Plan) Rows() int64 {
	return p.Total + p.Skipped.Invalid + p.Skipped.Duplicate + p.Skipped.Excluded + p.Skipped.Limited
}

// A store takes what an expansion writes: ledger.Expansion, or nothing for a
// dry run.
type store interface {
	Add(ctx context.Context, chunks ...ledger.Chunk) error
	Rejects(ctx context.Context, block []byte) error
}

// Expand reads the whole audience, leaves out invalid, duplicate and excluded
// rows, finds who is suppressed, and writes recipients and rejects to the
// expansion. progress, if any, is told the number of rows now and then. The
// caller makes the run ready; a nil expansion only plans.
func Expand(ctx context.Context, rows Audience, sel Selection, supp *suppression.Store, e *ledger.Expansion, progress func(int64)) (Plan, error) {
	x := &expander{sel: sel, supp: supp, parts: map[int][]audience.Row{}, plan: Plan{Parts: map[int]int64{}}}
	if e != nil {
		x.store = e
	}
	g, gctx := errgroup.WithContext(ctx)
	x.full = make(chan filled, 4)
	g.Go(func() error { return x.write(gctx) })
	g.Go(func() error {
		defer close(x.full)
		return x.read(gctx, rows, progress)
	})
	if err := g.Wait(); err != nil {
		return Plan{}, err
	}
	x.plan.Suppressed = x.suppressed
	if x.plan.Total == 0 {
		return x.plan, ErrNobody
	}
	if r := sel.Expect; r != (campaign.Range{}) && (x.plan.Total < r.Min || x.plan.Total > r.Max) {
		return x.plan, &AudienceSizeError{x.plan.Total, r}
	}
	return x.plan, nil
}

type expander struct {
	sel   Selection
	supp  *suppression.Store
	store store // nil: only a plan
	full  chan filled

	// Of the reading goroutine.
	seen    audience.Seen
	parts   map[int][]audience.Row
	rejects []RejectedRow
	plan    Plan

	// Of the writing goroutine.
	suppressed int64
}

// filled is a chunk on its way to the store, or a block of rejects.
type filled struct {
	part    int
	rows    []audience.Row
	rejects []RejectedRow
}

// A RejectedRow is a row that is not mailed, as `run rejects` shows it.
type RejectedRow struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	Value  string `json:"value"`
}

// progressEvery is how many rows pass between two words of progress.
const progressEvery = 5000

func (x *expander) read(ctx context.Context, rows Audience, progress func(int64)) error {
	var row audience.Row
	for n := int64(1); ; n++ {
		err := rows.Next(&row)
		var reject *audience.Reject
		switch {
		case err == io.EOF:
			return x.flush(ctx)
		case errors.As(err, &reject):
			x.plan.Skipped.Invalid++
			x.rejects = append(x.rejects, RejectedRow{reject.Line, reject.Reason, reject.Value})
			if len(x.rejects) >= audience.ChunkSize {
				if err := x.send(ctx, filled{rejects: x.rejects}); err != nil {
					return err
				}
				x.rejects = nil
			}
		case err != nil:
			return err
		default:
			if err := x.take(ctx, row); err != nil {
				return err
			}
		}
		if progress != nil && n%progressEvery == 0 {
			progress(n)
		}
	}
}

// take decides about one valid row.
func (x *expander) take(ctx context.Context, row audience.Row) error {
	hash := row.Address.Hash()
	switch {
	case !x.seen.Add(hash):
		x.plan.Skipped.Duplicate++
		return nil
	case x.sel.Excluded != nil && x.sel.Excluded(hash):
		x.plan.Skipped.Excluded++
		return nil
	case x.sel.Limit > 0 && x.plan.Total >= x.sel.Limit:
		x.plan.Skipped.Limited++
		return nil
	}
	x.plan.Total++
	part := campaign.PartOf(row.Address.Domain)
	x.plan.Parts[part]++
	row.Values = append([]string(nil), row.Values...) // the reader uses its array again
	x.parts[part] = append(x.parts[part], row)
	if len(x.parts[part]) < audience.ChunkSize {
		return nil
	}
	rows := x.parts[part]
	x.parts[part] = make([]audience.Row, 0, audience.ChunkSize)
	return x.send(ctx, filled{part: part, rows: rows})
}

func (x *expander) flush(ctx context.Context) error {
	for part, rows := range x.parts {
		if len(rows) > 0 {
			if err := x.send(ctx, filled{part: part, rows: rows}); err != nil {
				return err
			}
		}
	}
	if len(x.rejects) > 0 {
		return x.send(ctx, filled{rejects: x.rejects})
	}
	return nil
}

func (x *expander) send(ctx context.Context, f filled) error {
	select {
	case x.full <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write looks up suppressions and stores chunks, until the reader is done.
func (x *expander) write(ctx context.Context) error {
	for f := range x.full {
		if f.rejects != nil {
			if err := x.writeRejects(ctx, f.rejects); err != nil {
				return err
			}
			continue
		}
		suppressed, err := x.look(ctx, f.rows)
		if err != nil {
			return err
		}
		for _, s := range suppressed {
			if s {
				x.suppressed++
			}
		}
		if x.store == nil {
			continue
		}
		chunk := ledger.Chunk{Part: f.part, Data: audience.EncodeChunk(nil, f.rows), Suppressed: suppressed}
		if err := x.store.Add(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (x *expander) writeRejects(ctx context.Context, rows []RejectedRow) error {
	if x.store == nil {
		return nil
	}
	block, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode rejects: %w", err)
	}
	return x.store.Rejects(ctx, block)
}

func (x *expander) look(ctx context.Context, rows []audience.Row) ([]bool, error) {
	keys := make([]suppression.Key, len(rows))
	for i, row := range rows {
		hash := row.Address.Hash()
		copy(keys[i][:], hash[:])
	}
	suppressed, err := x.supp.Suppressed(ctx, x.sel.Topic, keys)
	if err != nil {
		return nil, err
	}
	if x.sel.OnlyTo != nil {
		for i, row := range rows {
			suppressed[i] = suppressed[i] || !x.sel.OnlyTo(row.Address.Canonical())
		}
	}
	return suppressed, nil
}
