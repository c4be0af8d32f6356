package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
)

// errDamaged is returned when the cells or the counts of a run cannot be what
// this program has written.
var errDamaged = errors.New("the ledger is damaged")

// certain is how long the counts must contradict the cells before the run is held:
// cells and counts are read one after the other, while other processes write.
const certain = 3 * time.Second

// unreadableCells are the cells of a page that mean nothing.
type unreadableCells struct {
	count int
	first int  // index of the first
	state byte // of the first
}

func (u *unreadableCells) add(index int, state campaign.State) {
	if u.count == 0 {
		u.first = index
		u.state = byte(state)
	}
	u.count++
}

// err returns what is wrong with a page of a part; nil when it is whole.
func (u unreadableCells) err(part int) error {
	if u.count == 0 {
		return nil
	}
	return fmt.Errorf("%w: at %s the states of %d mean nothing (the first is recipient %d, state %q): it is not known whether they were sent to",
		errDamaged, campaign.Providers[part], u.count, u.first, u.state)
}

// page reads a page of cells. errDamaged when cells are missing or their key
// holds something else: the record of the run was there a moment ago.
func (f *Feeder) page(ctx context.Context, run *ledger.Run, part, page int) ([]ledger.Cell, error) {
	cells, err := f.ledger.Page(ctx, run, part, page)
	switch {
	case ledger.Gone(err):
		return nil, fmt.Errorf("%w: the recipients at %s have no states any more", errDamaged, campaign.Providers[part])
	case campaign.IsBroken(err):
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return nil, err
	}

	if want := cellsOfPage(run, part, page); len(cells) < want {
		return nil, fmt.Errorf("%w: %d of %d recipients at %s have no state", errDamaged, want-len(cells), want, campaign.Providers[part])
	}

	return cells, nil
}

// cellsOfPage returns how many cells a page of a part has.
func cellsOfPage(run *ledger.Run, part, page int) int {
	for _, p := range run.Sizes {
		if p.Part == part {
			return min(ledger.PageCells, p.Size-page*ledger.PageCells)
		}
	}
	return 0
}

// hold stops a run whose ledger cannot be trusted, until a person decides.
func (f *Feeder) hold(ctx context.Context, id string, why error) error {
	reason := codes.HeldLedger.Reason("%v", why)
	before, err := f.ledger.Turn(ctx, id, campaign.Held, reason, campaign.Running)
	if err == nil && before == campaign.Running {
		f.cfg.Log.Error("run is held", "run", id, "code", string(codes.HeldLedger), "reason", why.Error())
	}
	return err
}

// A countsCheck compares what the counts of a run say with its cells, as far as the
// feeder has read them.
type countsCheck struct {
	counted int64     // recipients who are not final, by the counts
	since   time.Time // the counts have not changed
}

// contradiction returns errDamaged when for some time the counts have said that
// recipients are left while no cell has, or that none is left while the run goes on.
func (c *countsCheck) contradiction(s *sweep, counts campaign.Counts, now time.Time) error {
	counted := counts.Open()
	if c.since.IsZero() || counted != c.counted {
		c.counted = counted
		c.since = now
		return nil
	}

	if now.Sub(c.since) < certain {
		return nil
	}
	if c.counted == 0 {
		return fmt.Errorf("%w: by the counts nobody is left, and the run is not finished", errDamaged)
	}

	since := c.since.Sub(s.run.Created)
	for _, p := range s.parts {
		for page := range p.due {
			if p.seen[page] < since || p.open[page] > 0 {
				return nil
			}
		}
	}

	return fmt.Errorf("%w: by the counts %d recipients are left, by their own states none", errDamaged, c.counted)
}

// countCells counts the cells of a run that are not final, and those that are missing
// or mean nothing.
func (f *Feeder) countCells(ctx context.Context, run *ledger.Run) (open, unreadable int, err error) {
	for _, p := range run.Sizes {
		for page := 0; page*ledger.PageCells < p.Size; page++ {
			cells, err := f.ledger.Page(ctx, run, p.Part, page)
			if err != nil && !ledger.Gone(err) {
				return 0, 0, err
			}

			unreadable += cellsOfPage(run, p.Part, page) - len(cells)
			for _, c := range cells {
				switch {
				case !c.State.Known():
					unreadable++
				case !c.State.Final():
					open++
				}
			}
		}
	}

	return open, unreadable, nil
}

// sweepCancelled cancels the recipients that are left of a cancelled run, and
// waits for those on the wire. Where cells are damaged the run must still come to
// its end: a recipient without a cell becomes uncertain, and counts that do not
// agree with the cells are not waited for.
func (f *Feeder) sweepCancelled(ctx context.Context, run *ledger.Run) error {
	tally, err := f.ledger.Counts(ctx, run.ID)
	if err != nil {
		return err
	}

	open, unreadable, err := f.countCells(ctx, run)
	c := tally.Counts
	switch {
	case err != nil:
		return err
	case open > 0 && c[campaign.Sending] > 0 && c[campaign.Pending]+c[campaign.Issued]+c[campaign.Deferred] == 0:
		return nil
	case open > 0:
		return f.ledger.Sweep(ctx, run)
	case unreadable > 0:
		f.cfg.Log.Warn("recipients of a cancelled run without a readable state are uncertain", "run", run.ID, "recipients", unreadable)
		return f.ledger.Abandon(ctx, run)
	}

	now, err := f.ledger.Now(ctx)
	if err != nil {
		return err
	}

	return f.ledger.NoteFinished(ctx, run.ID, now)
}
