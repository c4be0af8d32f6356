package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
)

// ErrNoRecipients is returned when an audience has no recipient.
var ErrNoRecipients = errors.New("the audience has no recipient")

// ErrNoRoom is for Selection.Room: Redis does not have the memory for the run.
var ErrNoRoom = errors.New("redis does not have enough memory")

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
	Excluded func(hash [32]byte) bool // by another list or run; nil: none is
	// Where reports whether a row is sent to; nil: all are.
	Where func(address string, values []string) (bool, error)
	// Sample leaves out recipients by chance: always the same ones for a Seed, which is the
	// run where there is one.
	Sample campaign.SampleSize
	Seed   string
	Limit  int64          // keep the first so many; 0: all
	Expect campaign.Range // refuse another size
	OnlyTo func(address string) bool
	Topic  string // for the suppression look-up
	// Each is called with every row that becomes a recipient, and its number in the
	// audience from 1, refused rows included; nil: not called.
	Each func(n int64, row *audience.Row)
	// Local has each recipient get the message by their own clock; nil: all get it at once.
	// Made is when the run is made, and Lasts how long recipients have after the moment from
	// which on they may get it.
	Local *campaign.LocalTime
	Made  time.Time
	Lasts time.Duration
	// Domains reports whether the recipients of a domain are counted by themselves; nil:
	// of none.
	Domains func(domain string) bool
	// Room is asked before anything is written whether Redis has so many bytes
	// left, again and again of a very large audience; its error stops the
	// expansion. nil: not asked.
	Room func(ctx context.Context, bytes int64) error
}

// A Plan says what a run of an audience would be.
type Plan struct {
	Total      int64 // distinct valid recipients, suppressed ones included
	Suppressed int64
	Skipped    campaign.Skipped
	Parts      map[int]int64     // recipients per part
	Mailed     map[int]int64     // the same without those who are suppressed
	Domains    map[string]int64  // of Mailed, those of the domains that Selection.Domains counts
	Bytes      int64             // of recipients and rejects, as they are stored
	Rejects    []audience.Reject // the first ShownRejects of Skipped.Invalid
	Local      *LocalPlan        // nil: all recipients get the message at once
}

// ShownRejects is how many refused rows are shown before a launch.
const ShownRejects = 10

// Memory returns how many bytes of Redis' memory the run needs at its peak,
// about: recipients, their states, and what is handed out while sending.
func (p Plan) Memory() int64 { return needs(p.Parts, p.Total, p.Bytes) }

// Rows returns the number of rows that were read.
func (p Plan) Rows() int64 {
	return p.Total + p.Skipped.Rows()
}

// Expand reads the whole audience, leaves out invalid, duplicate and excluded
// rows, looks up suppressions, and writes recipients and rejects to the
// expansion. progress, if any, is called with the number of rows now and then. The
// caller makes the run ready; a nil expansion only plans.
func Expand(ctx context.Context, rows Audience, sel Selection, supp *suppression.Store, e *ledger.Expansion, progress func(int64)) (Plan, error) {
	x := &expander{sel: sel, supp: supp, parts: map[int][]audience.Row{}, plan: Plan{Parts: map[int]int64{}}}
	if sel.Local != nil {
		clock, err := newClock(sel)
		if err != nil {
			return Plan{}, err
		}
		x.clock = clock
		x.moments = map[int][]dueTime{}
	}
	x.mailed = map[int]int64{}
	x.domains = map[string]int64{}
	x.out = outbox{room: sel.Room, most: mostHeld, parts: map[int]int64{}}
	if e != nil {
		x.out.store = e
	}

	g, gctx := errgroup.WithContext(ctx)
	x.full = make(chan filled, 4)
	x.looked = make(chan filled, 4)
	g.Go(func() error { return x.lookAll(gctx) })
	g.Go(func() error { return x.write(gctx) })
	defer func() { _ = g.Wait() }() // after a panic too
	// Reading stays on this goroutine, so that the caller can recover from a panic
	// that the contents of a file cause.
	err := x.readAll(gctx, rows, progress)
	if err := cmp.Or(g.Wait(), err); err != nil {
		return Plan{}, err
	}

	x.plan.Suppressed = x.suppressed
	x.plan.Mailed = x.mailed
	x.plan.Domains = x.domains
	x.plan.Bytes = x.out.bytes
	if x.clock != nil {
		if err := x.clock.check(); err != nil {
			return x.plan, err
		}
		x.plan.Local = x.clock.plan()
	}
	if x.plan.Total == 0 {
		return x.plan, ErrNoRecipients
	}
	if r := sel.Expect; r != (campaign.Range{}) && (x.plan.Total < r.Min || x.plan.Total > r.Max) {
		return x.plan, &AudienceSizeError{x.plan.Total, r}
	}
	if err := x.out.flush(ctx); err != nil {
		return Plan{}, err
	}

	return x.plan, nil
}

type expander struct {
	sel          Selection
	supp         *suppression.Store
	full, looked chan filled

	// Used by the reading goroutine alone.
	seen    audience.Seen
	sample  sample // of a number of recipients
	parts   map[int][]audience.Row
	rejects []audience.Reject
	plan    Plan
	clock   *clock            // nil: all recipients get the message at once
	moments map[int][]dueTime // when each of parts gets it, where there is a clock

	// Used by the writing goroutine alone.
	out        outbox
	suppressed int64
	mailed     map[int]int64
	domains    map[string]int64
}

// filled is a chunk on its way to the store, or a block of rejects.
type filled struct {
	part       int
	rows       []audience.Row
	moments    []dueTime // of each row; nil: at once
	suppressed []bool    // of each row, once it is looked at
	rejects    []audience.Reject
}

// KeptRejects is how many rejected rows of an audience are kept; more are only
// counted.
const KeptRejects = 100_000

// maxRecipients is how many recipients a run has at most, so that the states of
// a part fit in one Redis string (512 MB).
const maxRecipients = 100_000_000

// progressEvery is how many rows are read between two calls of progress.
const progressEvery = 5000

func (x *expander) readAll(ctx context.Context, rows Audience, progress func(int64)) error {
	defer close(x.full)
	return x.read(ctx, rows, progress)
}

func (x *expander) read(ctx context.Context, rows Audience, progress func(int64)) error {
	var row audience.Row
	for n := int64(1); ; n++ {
		err := rows.Next(&row)
		var reject *audience.Reject
		switch {
		case err == io.EOF:
			for _, d := range x.sample.rows() {
				if err := x.keep(ctx, d.n, d.row); err != nil {
					return err
				}
			}
			return x.flush(ctx)
		case errors.As(err, &reject):
			x.plan.Skipped.Invalid++
			if len(x.plan.Rejects) < ShownRejects {
				x.plan.Rejects = append(x.plan.Rejects, *reject)
			}
			if x.plan.Skipped.Invalid > KeptRejects {
				break // counted; the file is not what it should be
			}
			x.rejects = append(x.rejects, *reject)
			if len(x.rejects) >= audience.ChunkSize {
				if err := send(ctx, x.full, filled{rejects: x.rejects}); err != nil {
					return err
				}
				x.rejects = nil
			}
		case err != nil:
			return err
		default:
			if err := x.take(ctx, n, row); err != nil {
				return err
			}
		}

		if progress != nil && n%progressEvery == 0 {
			progress(n)
		}
	}
}

// take decides about one valid row.
func (x *expander) take(ctx context.Context, n int64, row audience.Row) error {
	hash := row.Address.Hash()
	switch {
	case !x.seen.Add(hash):
		x.plan.Skipped.Duplicate++
		return nil
	case x.sel.Excluded != nil && x.sel.Excluded(hash):
		x.plan.Skipped.Excluded++
		return nil
	}

	if x.sel.Where != nil {
		matches, err := x.sel.Where(row.Address.String(), row.Values)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		if !matches {
			x.plan.Skipped.Filtered++
			return nil
		}
	}

	if x.clock != nil && x.clock.of(row.Values).skipped {
		x.plan.Skipped.Passed++
		return nil
	}

	switch size := x.sel.Sample; {
	case size.Number > 0:
		if x.sample.add(size.Number, drawn{chance(x.sel.Seed, hash), n, row}) {
			x.plan.Skipped.Sampled++
		}
		return nil
	case size.Share > 0 && float64(chance(x.sel.Seed, hash)) >= size.Share*(1<<64):
		x.plan.Skipped.Sampled++
		return nil
	}
	return x.keep(ctx, n, row)
}

// keep makes a recipient of a row.
func (x *expander) keep(ctx context.Context, n int64, row audience.Row) error {
	if x.sel.Limit > 0 && x.plan.Total >= x.sel.Limit {
		x.plan.Skipped.Limited++
		return nil
	}

	x.plan.Total++
	if x.plan.Total > maxRecipients {
		return &AudienceSizeError{x.plan.Total, campaign.Range{Max: maxRecipients}}
	}
	if x.sel.Each != nil {
		x.sel.Each(n, &row)
	}

	part := campaign.PartOf(row.Address.Domain)
	x.plan.Parts[part]++
	row.Values = append([]string(nil), row.Values...) // the reader uses its array again
	x.parts[part] = append(x.parts[part], row)
	if x.clock != nil {
		x.moments[part] = append(x.moments[part], x.clock.take(row))
	}
	if len(x.parts[part]) < audience.ChunkSize {
		return nil
	}

	full := filled{part: part, rows: x.parts[part], moments: x.moments[part]}
	x.parts[part] = make([]audience.Row, 0, audience.ChunkSize)
	delete(x.moments, part)

	return send(ctx, x.full, full)
}

func (x *expander) flush(ctx context.Context) error {
	for part, rows := range x.parts {
		if len(rows) > 0 {
			if err := send(ctx, x.full, filled{part: part, rows: rows, moments: x.moments[part]}); err != nil {
				return err
			}
		}
	}

	if len(x.rejects) > 0 {
		return send(ctx, x.full, filled{rejects: x.rejects})
	}

	return nil
}

func send(ctx context.Context, to chan<- filled, f filled) error {
	select {
	case to <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lookAll looks up suppressions, until the reader is done.
func (x *expander) lookAll(ctx context.Context) error {
	defer close(x.looked)
	for f := range x.full {
		if f.rows != nil {
			var err error
			if f.suppressed, err = x.look(ctx, f.rows); err != nil {
				return err
			}
		}
		if err := send(ctx, x.looked, f); err != nil {
			return err
		}
	}

	return nil
}

// write hands chunks on, until there are no more.
func (x *expander) write(ctx context.Context) error {
	for f := range x.looked {
		if f.rejects != nil {
			if err := x.writeRejects(ctx, f.rejects); err != nil {
				return err
			}
			continue
		}

		x.count(f)
		chunk := ledger.Chunk{Part: f.part, Data: audience.EncodeChunk(nil, f.rows), Suppressed: f.suppressed, Due: dueOf(f.moments)}
		if err := x.out.add(ctx, chunk); err != nil {
			return err
		}
	}

	return nil
}

// count notes who of a chunk is mailed.
func (x *expander) count(f filled) {
	for i, suppressed := range f.suppressed {
		if suppressed {
			x.suppressed++
			continue
		}
		x.mailed[f.part]++
		if f.moments != nil {
			f.moments[i].wave.Recipients++
		}
		domain := f.rows[i].Address.Domain
		if x.sel.Domains != nil && x.sel.Domains(domain) {
			x.domains[domain]++
		}
	}
}

func (x *expander) writeRejects(ctx context.Context, rows []audience.Reject) error {
	block, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode rejects: %w", err)
	}
	return x.out.reject(ctx, block)
}

func (x *expander) look(ctx context.Context, rows []audience.Row) ([]bool, error) {
	// Lists of hashes come from other systems, which may have hashed addresses that
	// were not in canonical form.
	people := make([]suppression.Person, 0, len(rows))
	of := make([]int, 0, len(rows)) // the row of each of them
	for i, row := range rows {
		people = append(people, suppression.PersonOf(row.Address))
		of = append(of, i)
		for _, spelling := range row.Address.OtherSpellings() {
			people = append(people, suppression.Person{Key: suppression.KeyOf(spelling)})
			of = append(of, i)
		}
	}

	found, err := x.supp.Suppressed(ctx, x.sel.Topic, people)
	if err != nil {
		return nil, err
	}

	suppressed := make([]bool, len(rows))
	for i, is := range found {
		suppressed[of[i]] = suppressed[of[i]] || is
	}

	if x.sel.OnlyTo != nil {
		for i, row := range rows {
			suppressed[i] = suppressed[i] || !x.sel.OnlyTo(row.Address.Canonical())
		}
	}

	return suppressed, nil
}
