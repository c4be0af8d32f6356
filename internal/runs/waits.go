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
	"broadside/throttle"
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

// waitsOfRunning looks for workers, and for closed accounts and lanes.
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

	closings, err := r.Accounts.Closings(ctx, s.Accounts...)
	if err != nil {
		return nil, err
	}

	for _, c := range closings {
		if s.isHeldUpBy(c) {
			waits = append(waits, ClosingWait(c))
		}
	}

	return waits, nil
}

// isHeldUpBy reports whether a recipient of the run waits for what is closed. An
// entry that cannot be read closes nothing.
func (s Status) isHeldUpBy(c throttle.Closing) bool {
	switch {
	case c.Code == string(codes.BrokenState):
		return false
	case c.Provider == "":
		return true
	}
	part := slices.Index(campaign.Providers, campaign.Provider(c.Provider))
	return part < 0 || s.Parts[part].Open() > 0 // otherwise it is a domain, not a provider
}

// ClosingWait puts a closed account or lane into the words of reports.
func ClosingWait(c throttle.Closing) report.Wait {
	w := report.Wait{For: report.ForAccount, What: c.Account, Code: codes.Code(c.Code), Reason: c.Reason, Until: c.Until}
	if c.Provider != "" {
		w.For = report.ForLane
		w.What = c.Account + "/" + c.Provider
	}
	if codes.Of(w.Reason) == "" && w.Code != "" {
		w.Reason = w.Code.Reason("%s", w.Reason)
	}
	return w
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
