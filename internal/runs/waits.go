package runs

import (
	"context"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/presence"
	"broadside/internal/report"
)

// waits returns what keeps a run from going on now. It returns nothing for a run
// that is over, paused or held, whose reason says why.
func (r *Runs) waits(ctx context.Context, s Status) ([]report.Wait, error) {
	switch s.State {
	case campaign.Running:
		return r.waitsOfRunning(ctx, s)
	case campaign.Expanding:
		return r.waitsOfExpanding(ctx, s.Record)
	}
	return nil, nil
}

// waitsOfRunning looks for workers, for accounts and lanes that take less or
// nothing, and for quotas that are spent.
func (r *Runs) waitsOfRunning(ctx context.Context, s Status) ([]report.Wait, error) {
	var waits []report.Wait
	workers, err := r.Ledger.Workers(ctx)
	if err != nil {
		return nil, err
	}

	if len(workers) == 0 && !r.Embedded {
		waits = append(waits, report.Wait{
			For: report.ForWorker, Code: codes.NoWorker,
			Reason: codes.NoWorker.Reason("no worker is alive: start `broadside worker`, or `broadside all`"),
		})
	}

	now, err := r.Ledger.Now(ctx)
	if err != nil {
		return nil, err
	}

	if !s.Window.Open(now) {
		return append(waits, windowWait(s.Record, now)), nil // whatever else there is
	}

	limits, err := r.limitWaits(ctx, s)
	if err != nil {
		return nil, err
	}

	wait, is := s.waveWait(now)
	if !is {
		wait, is, err = r.clockWait(ctx, s, now, limits)
	}
	if err != nil {
		return nil, err
	}
	if is {
		waits = append(waits, wait)
	}

	waits = append(waits, limits...)
	return s.withExpiry(waits, now), nil
}

// windowWait is the wait of a run for its window.
func windowWait(rec *ledger.Record, now time.Time) report.Wait {
	wait := report.Wait{For: report.ForWindow, What: rec.Campaign, Code: codes.Window, Until: rec.Window.Next(now)}
	wait.Reason = codes.Window.Reason("it sends %s", rec.Window)
	return wait
}

// waitsOfExpanding finds out whether a process is still reading the audience.
func (r *Runs) waitsOfExpanding(ctx context.Context, rec *ledger.Record) ([]report.Wait, error) {
	now, err := r.Ledger.Now(ctx)
	if err != nil || now.Sub(rec.Created) < ledger.ExpansionLease {
		return nil, err
	}

	alive, err := r.Ledger.Expanded(ctx, rec.ID)
	if err != nil || alive {
		return nil, err
	}

	firing, err := r.Firing(ctx, rec.Campaign)
	if err != nil {
		return nil, err
	}

	if firing.IsZero() || campaign.RunID(rec.Campaign, firing) != rec.ID {
		return []report.Wait{{
			For: report.ForLaunch, What: rec.Campaign, Code: codes.Abandoned,
			Reason: codes.Abandoned.Reason("the process that read the audience gives no sign of life: launch the campaign again, which takes the run over"),
		}}, nil
	}

	processes, err := r.Processes.List(ctx)
	if err != nil || presence.Count(processes, presence.Scheduler) > 0 {
		return nil, err // a scheduler takes it over within seconds
	}

	return []report.Wait{{
		For: report.ForScheduler, What: rec.Campaign, Code: codes.NoScheduler,
		Reason: codes.NoScheduler.Reason("no scheduler is alive: start `broadside scheduler`, or `broadside all`"),
	}}, nil
}

const (
	// waitsEvery is how often Wait finds out what a run waits for.
	waitsEvery = time.Second
	// returnTime is how long after an outage of Redis a worker may take to give a sign
	// of life again. Until then, seeing no worker means nothing.
	returnTime = 7 * time.Second
)

// A waitsReader reads now and then what a run waits for.
type waitsReader struct {
	runs   *Runs
	readAt time.Time
	waits  []report.Wait
	outage time.Time // when Redis could not be reached last
}

// read returns what the run waits for, as far as is known.
func (w *waitsReader) read(ctx context.Context, s Status) []report.Wait {
	now := time.Now()
	if now.Sub(w.readAt) < waitsEvery {
		return w.waits
	}

	waits, err := w.runs.waits(ctx, s)
	if err != nil {
		return w.waits
	}

	if now.Sub(w.outage) < returnTime {
		waits = withoutWorker(waits)
	}

	w.readAt = now
	w.waits = waits

	return w.waits
}

// during returns what the run waits for while Redis cannot be reached.
func (w *waitsReader) during(outage error) []report.Wait {
	w.outage = time.Now()
	return append(slices.Clone(w.waits), report.Wait{
		For: report.ForRedis, Code: codes.RedisUnreachable,
		Reason: codes.RedisUnreachable.Reason("%v", outage),
	})
}

// withoutWorker returns the waits but the one for a worker.
func withoutWorker(waits []report.Wait) []report.Wait {
	return slices.DeleteFunc(slices.Clone(waits), func(w report.Wait) bool { return w.For == report.ForWorker })
}
