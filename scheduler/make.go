package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/scheduler/calendar"
)

// undoTime bounds the last writes for a run that is ready, or is given up.
const undoTime = 5 * time.Second

// Room knows whether Redis has memory for a run.
type Room interface {
	// Check refuses a run that needs more bytes than there are.
	Check(ctx context.Context, bytes int64) error
	// Explain says what Redis' refusal of a write for lack of memory means. Other
	// errors it returns as they are.
	Explain(err error) error
}

// A Maker makes runs: of a launch, of an occurrence of a schedule, of a retry. It is
// safe for concurrent use.
type Maker struct {
	Ledger      *ledger.Ledger
	Suppression *suppression.Store
	Room        Room
	Feeds       *feed.Sent    // the items of feeds that were sent
	KeepRuns    time.Duration // retention.runs
	Log         *slog.Logger
}

// An Input is what Make reads and asks while it makes a run.
type Input struct {
	Rows     Audience
	Select   Selection
	Progress func(rows int64) // is called with the number of rows read, now and then; nil: not called
	// Explain turns an error of reading the audience into one for people; nil: they
	// see the error itself.
	Explain func(error) error

	// Confirm is called once the audience is in, before the first message can leave.
	// Its error stops the run. nil: not asked.
	Confirm func(ctx context.Context, p Plan) error
	// Changed is called right before the run becomes ready. It reports whether the
	// recipients have changed; then Rows begins again and is read once more.
	// Its error stops the run. nil: they cannot change.
	Changed func(ctx context.Context) (bool, error)
}

// A Run is what Make returns.
type Run struct {
	ID      string
	Existed bool // the key was used before, and this is its run
	Plan    Plan // of a run that did not exist
}

// A RepeatedError is returned when there is already a run of something that may have
// only one.
type RepeatedError struct {
	Run    string
	Record *ledger.Record // nil: its time of retention is over
}

// Error returns one line.
func (e *RepeatedError) Error() string { return "it was done before: run " + e.Run }

// Make makes a run. When it returns without an error the whole audience is in, and
// workers may send. After an error nothing was sent, unless it is a
// ledger.UnsureError or ledger.ErrReady. Of calls with the same key at the same time
// one makes the run, and the others wait for it.
//
// After an error a run that is not of an occurrence is gone, as if it had never been
// begun. The run of an occurrence stays as it is, and the next call continues it.
func (m *Maker) Make(ctx context.Context, spec campaign.RunSpec, in Input) (Run, error) {
	for {
		run, err := m.try(ctx, spec, in)
		if spec.Key == "" || !errors.Is(err, errBusy) {
			return run, err
		}
		select {
		case <-time.After(busyRest):
		case <-ctx.Done():
			return Run{}, context.Cause(ctx)
		}
	}
}

// try is Make without waiting for another call with the same key.
func (m *Maker) try(ctx context.Context, spec campaign.RunSpec, in Input) (Run, error) {
	id, existed, err := m.name(ctx, spec)
	if err != nil {
		return Run{}, m.Room.Explain(err)
	}

	if existed {
		return Run{ID: id, Existed: true}, nil
	}

	if !spec.Occurrence.IsZero() { // the scheduler that claimed the occurrence has the right
		if _, err := m.create(ctx, spec, id); err != nil {
			return Run{}, err
		}
		return m.fill(ctx, spec, id, in)
	}

	lease, err := m.Lease(ctx, id, "launched")
	if err != nil {
		return Run{}, err
	}
	defer lease.Release(ctx)
	existed, err = m.begin(ctx, spec, id)
	if err != nil || existed {
		return Run{ID: id, Existed: existed}, err
	}

	run, err := m.fill(ctx, spec, id, in)
	if err != nil {
		return Run{}, m.undo(ctx, spec, id, err)
	}

	return run, nil
}

// begin makes the record of the run, or goes on with the one of a launch that died.
// existed: the run of the key has become ready since it was looked up.
func (m *Maker) begin(ctx context.Context, spec campaign.RunSpec, id string) (existed bool, err error) {
	isNew, err := m.create(ctx, spec, id)
	if err != nil || isNew {
		return false, err
	}

	rec, err := m.Ledger.Record(ctx, id)
	switch {
	case err != nil:
		return false, err
	case rec.Key != "" && rec.Key == spec.Key && rec.Attempt != "":
		return true, nil
	case rec.State != campaign.Expanding: // a launch of the same second
		return false, &RepeatedError{id, rec}
	}

	return false, nil
}

// create makes the record of the run. It reports false when there is one.
func (m *Maker) create(ctx context.Context, spec campaign.RunSpec, id string) (bool, error) {
	created, err := m.Ledger.Now(ctx) // the clock that the cells go by
	if err != nil {
		return false, err
	}
	isNew, err := m.Ledger.Create(ctx, newRun(spec, id, created))
	if err != nil && spec.Occurrence.IsZero() {
		return false, m.undo(ctx, spec, id, m.Room.Explain(err))
	}
	return isNew, err
}

func newRun(spec campaign.RunSpec, id string, created time.Time) ledger.NewRun {
	s := spec.Snapshot
	d := spec.Delivery
	return ledger.NewRun{
		ID: id, Campaign: s.Campaign, Key: spec.Key, Parent: spec.Parent,
		Topic: s.Topic, Subject: s.Subject, From: s.From, Audience: spec.Audience, Accounts: s.Accounts, Created: created,
		Retry: d.Retry, MaxAttempts: d.MaxAttempts, ExpiresAfter: expiresAfter(spec, created), Lasts: d.ExpiresAfter, Window: spec.Window,
		Resend: d.OnUncertain == campaign.Resend, Replicated: d.Durability == campaign.Replicated,
		Guard: spec.Guard, High: spec.High,
	}
}

// expiresAfter returns how long a run lasts: closed hours do not count.
func expiresAfter(spec campaign.RunSpec, created time.Time) time.Duration {
	end := spec.Window.After(created, spec.Delivery.ExpiresAfter)
	if h := spec.Snapshot.Hours; h != nil && spec.Local == nil {
		// A retry of a run whose recipients have hours by their own clocks.
		end = h.Window.After(created, spec.Delivery.ExpiresAfter+calendar.AllZones)
	}
	if end.IsZero() {
		return spec.Delivery.ExpiresAfter
	}
	return end.Sub(created)
}

// fill reads the audience, has the plan confirmed and makes the run ready. After an
// error what it wrote is gone, unless that is a ledger.UnsureError.
func (m *Maker) fill(ctx context.Context, spec campaign.RunSpec, id string, in Input) (run Run, err error) {
	e, plan, err := m.expand(ctx, spec, id, in)
	defer func() {
		if err != nil {
			err = m.Room.Explain(err)
			m.discard(ctx, id, e)
		}
	}()
	if err != nil {
		return Run{}, err
	}

	if in.Confirm != nil {
		if err := in.Confirm(ctx, plan); err != nil {
			return Run{}, err
		}
	}

	for in.Changed != nil {
		changed, err := in.Changed(ctx)
		if err != nil {
			return Run{}, err
		}
		if !changed {
			break
		}
		m.discard(ctx, id, e)
		if e, plan, err = m.expand(ctx, spec, id, in); err != nil {
			return Run{}, err
		}
	}

	err = e.Ready(ctx, plan.Skipped)
	switch {
	case errors.Is(err, ledger.ErrReady): // by a process that took this one for dead
		plan, err = m.planOf(ctx, id)
	case err == nil:
		m.noteReady(ctx, spec, id)
	}

	if err != nil {
		return Run{}, err
	}

	m.Log.Info("run is ready", "run", id, "campaign", spec.Snapshot.Campaign, "recipients", plan.Total, "suppressed", plan.Suppressed)
	return Run{ID: id, Plan: plan}, nil
}

// expand writes content and audience of the run to a new expansion, which the caller
// makes ready or discards.
func (m *Maker) expand(ctx context.Context, spec campaign.RunSpec, id string, in Input) (*ledger.Expansion, Plan, error) {
	e := m.Ledger.Expand(id)
	if err := e.Content(ctx, spec.Snapshot); err != nil {
		return e, Plan{}, err
	}
	in.Select.Room = m.Room.Check
	in.Select.Seed = id
	if spec.Local != nil {
		rec, err := m.Ledger.Record(ctx, id)
		if err != nil {
			return e, Plan{}, err
		}
		in.Select.Local = spec.Local
		in.Select.Made = rec.Created // the cells count from then
		in.Select.Lasts = spec.Delivery.ExpiresAfter
	}
	plan, err := m.read(ctx, in, e)
	if err == nil && plan.Local != nil {
		e.Waves(plan.Local.Waves, plan.Local.Expires)
	}
	if err == nil && spec.Spread > 0 {
		spec.Snapshot.SpreadRate = SpreadRate(spec.Spread, plan)
		err = e.Content(ctx, spec.Snapshot)
	}
	return e, plan, err
}

// SpreadRate returns the rate, in messages a second, at which those that are mailed leave
// evenly over a time; 0 when there is none.
func SpreadRate(over time.Duration, p Plan) float64 {
	if over <= 0 {
		return 0
	}
	return float64(max(1, p.Total-p.Suppressed)) / over.Seconds()
}

// read reads the audience into an expansion; nil: only to plan.
func (m *Maker) read(ctx context.Context, in Input, e *ledger.Expansion) (Plan, error) {
	plan, err := Expand(ctx, in.Rows, in.Select, m.Suppression, e, in.Progress)
	if err != nil && in.Explain != nil {
		err = in.Explain(err)
	}
	return plan, err
}

// Plan reads the audience and says what Make would do. It writes nothing.
func (m *Maker) Plan(ctx context.Context, in Input) (Plan, error) {
	return m.read(ctx, in, nil)
}

// discard removes what was written by an expansion that is given up.
func (m *Maker) discard(ctx context.Context, run string, e *ledger.Expansion) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if _, err := e.Discard(ctx); err != nil {
		m.Log.Warn("expansion could not be discarded, it expires in an hour", "run", run, "err", err)
	}
}

// noteReady records the consequences of a run that is ready, even if its launch was
// interrupted in the meantime.
func (m *Maker) noteReady(ctx context.Context, spec campaign.RunSpec, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if spec.Once != "" && (spec.Again || spec.Key != "") {
		m.takeOver(ctx, spec.Once, id)
	}
	if err := m.Ledger.UseTopic(ctx, spec.Snapshot.Topic); err != nil {
		m.Log.Warn("topic could not be noted as used", "topic", spec.Snapshot.Topic, "err", err)
	}
	if len(spec.Snapshot.FeedItems) > 0 && spec.Occurrence.IsZero() { // of an occurrence: MakeRun
		if err := m.NoteItems(ctx, id); err != nil {
			m.Log.Warn("items of a feed could not be noted as sent yet", "run", id, "err", err)
		}
	}
}

// planOf returns the plan of a run that another process has made ready.
func (m *Maker) planOf(ctx context.Context, id string) (Plan, error) {
	rec, err := m.Ledger.Record(ctx, id)
	if err != nil {
		return Plan{}, err
	}

	tally, err := m.Ledger.Counts(ctx, id)
	if err != nil {
		return Plan{}, err
	}

	var local *LocalPlan
	if waves := rec.Waves(); waves != nil {
		local = &LocalPlan{Waves: waves, Expires: rec.Expires}
	}
	plan := Plan{Total: rec.Total(), Suppressed: tally.Counts[campaign.Suppressed], Skipped: rec.Skipped, Parts: map[int]int64{}, Local: local}
	for _, p := range rec.Sizes {
		plan.Parts[p.Part] = int64(p.Size)
	}

	return plan, nil
}

// undo removes a run that did not become ready, so that it does not count as
// launched. It returns the cause, with ledger.ErrReady added when the run is ready
// after all.
func (m *Maker) undo(ctx context.Context, spec campaign.RunSpec, id string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	err := m.Ledger.Drop(ctx, id, spec.Snapshot.Campaign)
	ready := errors.Is(err, ledger.ErrReady)
	if err != nil && !ready {
		return cause // what is left expires by itself
	}

	if unsure, ok := errors.AsType[*ledger.UnsureError](cause); ok {
		cause = unsure.Err // it is known now
	}
	if ready {
		return fmt.Errorf("%w\n  run %s: %w", cause, id, err)
	}

	if spec.Once != "" {
		err = m.Ledger.Unname(ctx, spec.Once, id)
	}
	if spec.Key != "" {
		err = errors.Join(err, m.Ledger.Unname(ctx, KeyName(spec.Key), id))
	}
	if err != nil {
		m.Log.Warn("launch could not be undone completely", "run", id, "err", err)
	}

	return cause
}

// fail ends the run of an occurrence that cannot be made: it does not count as
// launched. gone: there is no such run. before is the state that the run had.
func (m *Maker) fail(ctx context.Context, name, id, reason string) (before campaign.RunState, gone bool, err error) {
	if err := m.Ledger.Unname(ctx, campaign.OnceCampaign(name), id); err != nil {
		return "", false, err
	}
	before, err = m.Ledger.Turn(ctx, id, campaign.RunFailed, reason, campaign.Expanding)
	if ledger.Gone(err) {
		return "", true, nil
	}
	return before, false, err
}
