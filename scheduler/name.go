package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

const (
	// namedLately is how long a name stands for a run without a record: the launch died
	// before it wrote the record, or is just about to write it.
	namedLately = time.Hour
	// busyRest is how long a call waits before it looks again whether another one with
	// the same key is over.
	busyRest = 100 * time.Millisecond
)

// KeyName returns the name under which the ledger has the run of a key.
func KeyName(key string) string { return "key:" + key }

// name chooses the id of the run, and keeps what has one run (a key, a campaign
// without cron, a retry) from having another. existed: the key has a run already.
// A run with the chosen id may be under way, or left by a process that died.
func (m *Maker) name(ctx context.Context, spec campaign.RunSpec) (id string, existed bool, err error) {
	if spec.Occurrence.IsZero() {
		id, err = m.freeID(ctx, campaign.RunID(spec.Snapshot.Campaign, time.Now()))
	} else {
		id = campaign.RunID(spec.Snapshot.Campaign, spec.Occurrence)
	}

	if err == nil && spec.Key != "" {
		id, existed, err = m.nameKey(ctx, spec.Key, id)
	}

	switch {
	case err != nil || existed || spec.Once == "":
		return id, existed, err
	case spec.Again: // it takes the name from an earlier run when it is ready
		_, err = m.Ledger.Once(ctx, spec.Once, id)
		return id, false, err
	}

	id, err = m.nameOnce(ctx, spec, id)
	return id, false, err
}

// nameKey makes id the run of a key, unless the key has one that counts.
func (m *Maker) nameKey(ctx context.Context, key, id string) (run string, existed bool, err error) {
	run, err = m.take(ctx, KeyName(key), id, func(named string, rec *ledger.Record) (bool, error) {
		switch {
		case rec == nil:
			existed = !m.namedLately(named)
		case rec.State == campaign.RunFailed, rec.Key != key:
			return true, nil
		default:
			existed = rec.State != campaign.Expanding
		}
		return false, nil
	})
	return run, existed, err
}

// nameOnce makes id the run of something that may have only one. It returns a
// RepeatedError when there is one already: a key does not allow another.
func (m *Maker) nameOnce(ctx context.Context, spec campaign.RunSpec, id string) (string, error) {
	scheduled := !spec.Occurrence.IsZero()
	named, err := m.take(ctx, spec.Once, id, func(named string, rec *ledger.Record) (bool, error) {
		if rec != nil && rec.State == campaign.Expanding || rec == nil && !scheduled && m.namedLately(named) {
			return false, nil
		}
		counts, err := m.countsAsRun(ctx, spec, rec)
		if err == nil && counts {
			err = &RepeatedError{named, rec}
		}
		return true, err
	})
	switch {
	case err == nil && named == id:
		return id, nil
	case scheduled:
		if err == nil {
			err = fmt.Errorf("run %s of the campaign is being launched", named)
		}
		return "", err
	case spec.Key == "":
		return named, err
	case err != nil:
		return "", errors.Join(err, m.Ledger.Unname(ctx, KeyName(spec.Key), id))
	}

	// An unfinished launch without the key has the name. If it is alive it becomes the
	// run, and this call is refused; one that died makes room.
	if err := m.dropDead(ctx, spec, named); err != nil {
		return "", err
	}

	return "", errBusy
}

// dropDead removes a run whose launch died while it read the audience. errBusy while
// that launch is alive.
func (m *Maker) dropDead(ctx context.Context, spec campaign.RunSpec, id string) error {
	lease, err := m.Lease(ctx, id, "launched")
	if err != nil {
		return err
	}
	defer lease.Release(ctx)
	err = m.Ledger.Drop(ctx, id, spec.Snapshot.Campaign)
	if errors.Is(err, ledger.ErrReady) {
		return nil // its own launch was faster, and this one is refused next time
	}
	if err != nil {
		return err
	}

	return m.Ledger.Unname(ctx, spec.Once, id)
}

// take makes id the run that a name stands for, unless the name stands for another
// run for which free returns false. It returns the run that the name stands for
// afterwards. rec is nil when that other run has no record, either not yet or not any
// more.
func (m *Maker) take(ctx context.Context, name, id string, free func(named string, rec *ledger.Record) (bool, error)) (string, error) {
	named, err := m.Ledger.Once(ctx, name, id)
	for err == nil && named != id {
		if named != "" { // else it was given back just now
			rec, err := m.Ledger.Record(ctx, named)
			if err != nil && !ledger.Gone(err) {
				return "", err
			}
			if ok, err := free(named, rec); err != nil || !ok {
				return named, err
			}
		}
		named, err = m.Ledger.Rename(ctx, name, named, id)
	}

	return named, err
}

// freeID returns id, with a number behind it when another run of that second has it.
func (m *Maker) freeID(ctx context.Context, id string) (string, error) {
	first := id
	for n := 2; ; n++ {
		_, err := m.Ledger.Record(ctx, id)
		if ledger.Gone(err) {
			return id, nil
		}
		if err != nil {
			return "", err
		}
		id = first + "-" + strconv.Itoa(n)
	}
}

// namedLately reports whether a run without a record was named so lately that its
// record cannot have expired.
func (m *Maker) namedLately(id string) bool {
	t := campaign.TimeOfRun(id)
	return !t.IsZero() && time.Since(t) < min(namedLately, m.KeepRuns)
}

// countsAsRun reports whether a run stands in the way of another one of the same
// name. One that failed does not, nor does a retry that mailed no one because all of
// its recipients were suppressed.
func (m *Maker) countsAsRun(ctx context.Context, spec campaign.RunSpec, rec *ledger.Record) (bool, error) {
	if rec == nil {
		return true, nil
	}
	if rec.State == campaign.RunFailed || spec.Parent == "" {
		return rec.State != campaign.RunFailed, nil
	}

	tally, err := m.Ledger.Counts(ctx, rec.ID)
	if err != nil {
		return false, err
	}

	return tally.Counts[campaign.Suppressed] < rec.Total(), nil
}

// takeOver makes a run that is ready the one that a name stands for, in place of an
// earlier one.
func (m *Maker) takeOver(ctx context.Context, name, id string) {
	named, err := m.Ledger.Named(ctx, name)
	if err == nil && named != id {
		_, err = m.Ledger.Rename(ctx, name, named, id)
	}
	if err != nil {
		m.Log.Warn("run could not be named", "run", id, "name", name, "err", err)
	}
}
