package feedback

import (
	"context"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/ledger"
)

// clocksApart is how far the clock of a notice's sender may be behind ours.
const clocksApart = 5 * time.Minute

// latestRuns looks for the latest run from which a message may have left to the addresses
// of findings, before what they tell happened. Where there is none they have no run.
func (r *Recorder) latestRuns(ctx context.Context, all []*finding) error {
	if len(all) == 0 {
		return nil
	}
	searched, err := r.searchedRuns(ctx)
	if err != nil {
		return err
	}

	for _, rec := range searched {
		var here []*finding
		var places []ledger.Place
		for _, f := range all {
			named, err := address.Parse(f.address)
			early := !f.notice.At.IsZero() && f.notice.At.Add(clocksApart).Before(rec.Created)
			if f.run != nil || early || err != nil {
				continue
			}
			at, found, err := r.people.find(ctx, rec.Handle(), named)
			if err != nil {
				return err
			}
			if found {
				here = append(here, f)
				places = append(places, at)
			}
		}
		if len(here) == 0 {
			continue
		}

		left, err := r.cfg.Ledger.Left(ctx, rec.Handle(), places)
		if err != nil {
			return err
		}
		for i, f := range here {
			if left[i] {
				f.run = rec
				f.runID = rec.ID
				f.part = places[i].Part
				f.index = places[i].Index
			}
		}
	}
	return nil
}

// searchedRuns returns the runs that are searched for addresses, the newest first.
func (r *Recorder) searchedRuns(ctx context.Context) ([]*ledger.Record, error) {
	ids, err := r.runs.newest(ctx)
	if err != nil {
		return nil, err
	}
	var all []*ledger.Record
	for _, id := range ids[:min(len(ids), maxRunsSearched)] {
		rec, err := r.runs.record(ctx, id)
		if err != nil {
			return nil, err
		}
		if rec != nil {
			all = append(all, rec)
		}
	}
	return r.people.searched(ctx, all)
}
