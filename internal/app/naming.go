package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// youngest is how long ago a run can have begun whose name stands, and whose
// record was never made: its launch died in between, or is just there.
const youngest = time.Hour

// busyRest is how long a launch waits before it looks again whether another one
// with the same key is over.
const busyRest = 100 * time.Millisecond

// keyName is the name that the run of a key has.
func keyName(key string) string { return "key:" + key }

// nameRun chooses the id of the run, and keeps what has one run (a key, a
// campaign without cron, a retry) from having another. existed: the run of the
// key is there. A run of that id may be under way, or be left by a launch that
// died: expand decides.
func (a *App) nameRun(ctx context.Context, p *prepared, o Launch) (id string, existed bool, err error) {
	if id, err = a.freeID(ctx, campaign.RunID(p.def.ID, time.Now())); err != nil {
		return "", false, err
	}
	if o.Key != "" {
		id, err = a.take(ctx, keyName(o.Key), id, func(named string, rec *ledger.Record) (bool, error) {
			switch {
			case rec == nil:
				existed = !a.begun(named)
			case rec.State == campaign.RunFailed, rec.Key != o.Key:
				return true, nil
			default:
				existed = rec.State != campaign.Expanding
			}
			return false, nil
		})
	}
	switch {
	case err != nil || existed || p.once == "":
		return id, existed, err
	case o.Again:
		_, err = a.Ledger.Once(ctx, p.once, id)
		return id, false, err // it takes the name from an earlier run when it is ready
	}
	id, err = a.takeOnce(ctx, p, id, o.Key)
	return id, false, err
}

// takeOnce makes id the one run of what has just one, or refuses because there is
// one already: a key is no reason for another.
func (a *App) takeOnce(ctx context.Context, p *prepared, id, key string) (string, error) {
	named, err := a.take(ctx, p.once, id, func(named string, rec *ledger.Record) (bool, error) {
		if rec != nil && rec.State == campaign.Expanding || rec == nil && a.begun(named) {
			return false, nil
		}
		counts, err := a.countsAsRun(ctx, p, rec)
		if err == nil && counts {
			err = a.repeated(ctx, p, rec, named)
		}
		return true, err
	})
	if key == "" || err == nil && named == id {
		return named, err
	}
	if err != nil {
		return "", errors.Join(err, a.Ledger.Unname(ctx, keyName(key), id))
	}
	// An unfinished launch without the key has the name. If it is alive it will be the
	// run that is refused; one that died makes room.
	if err := a.dropDead(ctx, p, named); err != nil {
		return "", err
	}
	return "", errBusy
}

// dropDead removes a run whose launch died while it read the audience; errBusy while
// that launch is alive.
func (a *App) dropDead(ctx context.Context, p *prepared, id string) error {
	h, err := a.hold(ctx, id, "launched")
	if err != nil {
		return err
	}
	defer h.letGo(ctx)
	err = a.Ledger.Drop(ctx, id, p.def.ID)
	if errors.Is(err, ledger.ErrReady) {
		return nil // its own launch was faster: it is refused next time
	}
	if err != nil {
		return err
	}
	return a.Ledger.Unname(ctx, p.once, id)
}

// take makes id the run that a name stands for, unless it stands for another one
// that may does not give it up for; it returns the run that it stands for then.
// rec is nil when there is no record of the run, any more or yet.
func (a *App) take(ctx context.Context, name, id string, may func(named string, rec *ledger.Record) (bool, error)) (string, error) {
	named, err := a.Ledger.Once(ctx, name, id)
	for err == nil && named != id {
		if named != "" { // else it was given back just now
			rec, err := a.Ledger.Record(ctx, named)
			if err != nil && !ledger.Gone(err) {
				return "", err
			}
			if ok, err := may(named, rec); err != nil || !ok {
				return named, err
			}
		}
		named, err = a.Ledger.Rename(ctx, name, named, id)
	}
	return named, err
}

// freeID returns id, with a number when it is taken: two runs of one second.
func (a *App) freeID(ctx context.Context, id string) (string, error) {
	first := id
	for n := 2; ; n++ {
		if _, err := a.Ledger.Record(ctx, id); ledger.Gone(err) {
			return id, nil
		} else if err != nil {
			return "", err
		}
		id = first + "-" + strconv.Itoa(n)
	}
}

// begun reports whether a run without a record was named so lately that its
// record cannot have expired.
func (a *App) begun(id string) bool {
	t := campaign.TimeOfRun(id)
	return !t.IsZero() && time.Since(t) < min(youngest, a.Config.Retention.Runs)
}

// countsAsRun reports whether a run stands in the way of another one of the
// same name: one that failed does not, nor a retry that mailed nobody because
// all were suppressed.
func (a *App) countsAsRun(ctx context.Context, p *prepared, rec *ledger.Record) (bool, error) {
	if rec == nil || p.retry == nil {
		return rec == nil || rec.State != campaign.RunFailed, nil
	}
	tally, err := a.Ledger.Counts(ctx, rec.ID)
	if err != nil {
		return false, err
	}
	return rec.State != campaign.RunFailed && tally.Counts[campaign.Suppressed] < rec.Total(), nil
}

// takeName makes a run that is ready the one that its name stands for, in
// place of an earlier one.
func (a *App) takeName(ctx context.Context, p *prepared, id string) {
	named, err := a.Ledger.Named(ctx, p.once)
	if err == nil && named != id {
		_, err = a.Ledger.Rename(ctx, p.once, named, id)
	}
	if err != nil {
		a.log.Warn("run could not be named", "run", id, "name", p.once, "err", err)
	}
}

// repeated explains why there is no second run.
func (a *App) repeated(ctx context.Context, p *prepared, rec *ledger.Record, id string) error {
	if p.retry != nil {
		return p.retry.before(ctx, rec, id)
	}
	return a.repetition(ctx, p.def, rec, id)
}

// repetition explains why a campaign is not launched again.
func (a *App) repetition(ctx context.Context, def *campaign.Definition, rec *ledger.Record, id string) error {
	head := fmt.Sprintf("campaign %s was launched before: run %s", def.ID, id)
	if rec != nil {
		head += ", " + rec.Created.Format(time.RFC3339)
	}
	return ways(head+a.sofar(ctx, rec),
		[2]string{"broadside run resume " + id, "goes on with it when it is paused"},
		[2]string{"broadside campaign launch " + def.File + " --again --exclude run:" + def.ID, "sends to those whom no run of the campaign has reached"},
		[2]string{"broadside campaign launch " + def.File + " --again", "sends to everybody once more"})
}

// sofar says how far a run has come; nothing without a record.
func (a *App) sofar(ctx context.Context, rec *ledger.Record) string {
	if rec == nil {
		return ""
	}
	text := ", " + string(rec.State)
	if tally, err := a.Ledger.Counts(ctx, rec.ID); err == nil {
		text += fmt.Sprintf(", %d of %d accepted", tally.Counts[campaign.Accepted], rec.Total())
	}
	return text
}

// ways refuses what was done before, with the commands that can be meant and
// what each does.
func ways(head string, ways ...[2]string) error {
	for _, way := range ways {
		head += "\n  " + way[0] + "\n      " + way[1]
	}
	return refused(head)
}
