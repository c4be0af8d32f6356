package lanes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// Discarded is what became of the suppressions of a storm.
type Discarded struct {
	Lane         Lane
	Suppressions int      // taken off the list
	Recipients   int      // of runs that still have their addresses
	Runs         []string // that these are of, in order: they can be retried
}

// Discard takes the suppressions away again that replies in a lane have caused since the
// storm began because of which it is closed, notes the recipients in the ledger, so that
// they can be retried, and then opens the lane as Reset does. The error is of the kind
// failure.ErrRefused when the lane is not closed by a storm.
func (s *Lanes) Discard(ctx context.Context, now time.Time, name Name) (Discarded, error) {
	learnt, err := s.Learnt.Read(ctx, name.Account)
	if err != nil {
		return Discarded{}, err
	}
	l := learnt[name.Account][name.Lane]
	if !isStorm(now, l) || l.From.IsZero() {
		return Discarded{}, failure.Refused(fmt.Sprintf("lane %s is %s, and not closed by the storm guard: there is nothing to discard; `broadside suppression rm ADDRESS` takes one address off the list", name, l.State(now)))
	}

	recipients, n, err := s.Suppression.Discard(ctx, name.String(), l.From)
	out := Discarded{Suppressions: n, Runs: []string{}}
	if err != nil {
		return out, err
	}
	byRun := map[string][][2]int{}
	for _, r := range recipients {
		byRun[r.Run] = append(byRun[r.Run], [2]int{r.Part, r.Index})
	}
	for run, of := range byRun {
		noted, err := s.note(ctx, run, of)
		if err != nil {
			return out, err
		}
		if noted {
			out.Recipients += len(of)
			out.Runs = append(out.Runs, run)
		}
	}
	slices.Sort(out.Runs)
	out.Lane, err = s.Reset(ctx, now, name)
	return out, err
}

// note notes the recipients of a run; it reports false when nothing can be sent to them
// again: the run, or its addresses, are gone, or it cannot be read.
func (s *Lanes) note(ctx context.Context, run string, of [][2]int) (bool, error) {
	rec, err := s.Ledger.Record(ctx, run)
	if ledger.Gone(err) || campaign.IsBroken(err) || err == nil && rec.Handle() == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.Ledger.NoteStorm(ctx, rec.Handle(), of)
}
