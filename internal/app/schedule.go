package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/presence"
	"broadside/scheduler"
	"broadside/templates"
)

// Schedule is the scheduler process: it fires what is due, each occurrence
// exactly once, however many schedulers run, until ctx ends.
func (a *App) Schedule(ctx context.Context) error {
	defer a.enlist(presence.Scheduler, nil)()
	return a.fire(ctx)
}

func (a *App) fire(ctx context.Context) error {
	if err := a.Config.RequireSecrets(); err != nil {
		return err
	}
	a.log.Info("scheduler started")
	firer := scheduler.NewFirer(a.schedules, scheduler.FirerConfig{Make: a.makeRun, Log: a.log})
	err := a.put(ctx, firer.Run)
	a.log.Info("scheduler stopped")
	return err
}

// makeRun makes the run of an occurrence, from where an earlier scheduler may
// have left it. Its id follows from the time, so that there is one.
func (a *App) makeRun(ctx context.Context, f scheduler.Firing, still func(context.Context) error) (scheduler.Made, error) {
	id := campaign.RunID(f.ID, f.Occurrence)
	made, err := a.found(ctx, id)
	if err != nil || made != nil {
		return *orNothing(made), err
	}
	if f.Late() {
		return scheduler.Made{}, scheduler.ErrLate
	}
	def, err := campaign.Parse(f.File, filepath.Dir(f.File), f.Source)
	if err != nil {
		return a.verdict(ctx, f, id, err)
	}
	o := Launch{Now: true, Again: f.Again, Stored: &f.Schedule, Confirm: func(Plan) error { return still(ctx) }}
	p, err := a.prepare(ctx, def, o)
	if err != nil {
		return a.verdict(ctx, f, id, err)
	}
	defer p.close()
	p.once = ""
	if f.Timing.Cron == "" {
		p.once = onceOf(f.ID)
		if err := a.nameOccurrence(ctx, f, id); err != nil {
			return a.verdict(ctx, f, id, err)
		}
	}
	created, err := a.Ledger.Now(ctx)
	if err != nil {
		return scheduler.Made{}, err
	}
	if _, err := a.Ledger.Create(ctx, newRun(p, id, o, created)); err != nil {
		return scheduler.Made{}, err
	}
	if _, err := a.fill(ctx, p, id, o); err != nil {
		return a.verdict(ctx, f, id, err)
	}
	return scheduler.Made{Run: id}, nil
}

func orNothing(m *scheduler.Made) *scheduler.Made {
	if m == nil {
		return &scheduler.Made{}
	}
	return m
}

// found tells what became of the run of an occurrence that was begun before;
// nil when it is still to be made.
func (a *App) found(ctx context.Context, id string) (*scheduler.Made, error) {
	rec, err := a.Ledger.Record(ctx, id)
	switch {
	case ledger.Gone(err):
		return nil, nil
	case err != nil:
		return nil, err
	case rec.State == campaign.RunFailed:
		return &scheduler.Made{Run: id, Failure: rec.Reason}, nil
	case rec.Attempt != "":
		return &scheduler.Made{Run: id}, nil
	case rec.State != campaign.Expanding:
		return &scheduler.Made{Run: id, Failure: "the run is " + string(rec.State)}, nil
	}
	return nil, nil
}

// nameOccurrence makes the run the one run of a campaign without cron, unless
// it had one.
func (a *App) nameOccurrence(ctx context.Context, f scheduler.Firing, id string) error {
	if f.Again { // it takes the name from an earlier run when it is ready
		_, err := a.Ledger.Once(ctx, onceOf(f.ID), id)
		return err
	}
	_, err := a.take(ctx, onceOf(f.ID), id, func(named string, rec *ledger.Record) (bool, error) {
		switch {
		case rec != nil && rec.State == campaign.RunFailed:
			return true, nil
		case rec != nil && rec.State == campaign.Expanding:
			return false, fmt.Errorf("run %s of the campaign is being launched", named)
		}
		return false, refused(fmt.Sprintf("the campaign was launched meanwhile as run %s; schedule it with --again to send it once more", named))
	})
	return err
}

// verdict tells errors of the input, and an occurrence that is not to be sent
// any more, from trouble that may pass. The run, if it was begun, has failed:
// nothing was sent.
func (a *App) verdict(ctx context.Context, f scheduler.Firing, id string, cause error) (scheduler.Made, error) {
	late, gone := errors.Is(cause, scheduler.ErrLate), errors.Is(cause, scheduler.ErrGone)
	if !late && !gone && !a.isInput(ctx, cause) {
		return scheduler.Made{}, cause
	}
	reason := codes.NotLaunched.Reason("%s", address.Redact(strings.TrimSpace(cause.Error())))
	// It does not count as launched.
	if err := a.Ledger.Unname(ctx, onceOf(f.ID), id); err != nil {
		return scheduler.Made{}, err
	}
	before, err := a.Ledger.Turn(ctx, id, campaign.RunFailed, reason, campaign.Expanding)
	switch {
	case err != nil && !ledger.Gone(err):
		return scheduler.Made{}, err
	case late || gone:
		return scheduler.Made{}, cause
	case ledger.Gone(err):
		return scheduler.Made{Failure: reason}, nil
	case before != campaign.Expanding:
		// Another scheduler was faster, whatever it came to.
		return scheduler.Made{}, fmt.Errorf("run %s is %s: %w", id, before, cause)
	}
	return scheduler.Made{Run: id, Failure: reason}, nil
}

// isInput reports whether the error is that of the campaign, its files or its
// accounts: trying again would not help.
func (a *App) isInput(ctx context.Context, err error) bool {
	var (
		problems strictyaml.Problems
		file     *audience.FileError
		template templates.Problems
		network  net.Error
	)
	if ctx.Err() != nil || errors.As(err, &network) || errors.Is(err, scheduler.ErrNoRoom) || a.Ping(ctx) != nil {
		return false
	}
	return errors.As(err, &problems) || errors.As(err, &file) || errors.As(err, &template) ||
		errors.Is(err, ErrInvalid) || errors.Is(err, ErrRefused)
}

// A Scheduling says how a campaign is scheduled.
type Scheduling struct {
	At    string // in place of the file's schedule
	Again bool   // although a campaign without cron had its run
	// Stored has the files that the campaign names; nil: they are on disk.
	Stored *scheduler.Schedule
	// Confirm is shown the plan before anything is stored; its error stops it.
	Confirm func(Plan) error
	// Progress is told the number of rows read, now and then.
	Progress func(rows int64)
}

// A Scheduled is the answer of AddSchedule.
type Scheduled struct {
	scheduler.Schedule
	Plan    Plan
	Next    time.Time
	Old     *scheduler.Schedule // that was replaced; nil: none
	Changes []Change            // against Old
}

// AddSchedule checks a campaign as a launch does, and stores it with its files
// and its audience, in place of a schedule of the same id. A list is read when
// it fires.
func (a *App) AddSchedule(ctx context.Context, def *campaign.Definition, o Scheduling) (Scheduled, error) {
	now, err := a.schedules.Now(ctx)
	if err != nil {
		return Scheduled{}, err
	}
	timing, err := scheduler.TimingOf(a.Config, def, o.At, now)
	errs := []error{err}
	if def.Audience.Source == "-" {
		errs = append(errs, strictyaml.Problems{def.Problem("audience.source", "the standard input cannot be scheduled, it is gone when the time comes: name a file or list:NAME")})
	} else if p, err := a.prepare(ctx, def, Launch{Now: true, Stored: o.Stored}); err != nil {
		errs = append(errs, err)
	} else {
		p.close()
	}
	if err := errors.Join(errs...); err != nil {
		return Scheduled{}, err
	}
	if err := a.onlyOnce(ctx, def, timing, o.Again); err != nil {
		return Scheduled{}, err
	}
	s := scheduler.Schedule{
		ID: def.ID, Topic: def.Topic, Subject: def.Subject, From: def.From, File: filepath.Base(def.File), Source: def.Source,
		Timing: timing, Again: o.Again, Audience: def.Audience.Source, Version: scheduler.NewVersion(),
	}
	done, err := a.enter(ctx, def, s, o)
	if err != nil {
		a.schedules.Discard(ctx, s.Version)
	}
	return done, err
}

// onlyOnce refuses a campaign without cron that had its run.
func (a *App) onlyOnce(ctx context.Context, def *campaign.Definition, t scheduler.Timing, again bool) error {
	if t.Cron != "" || again {
		return nil
	}
	before, err := a.LaunchedBefore(ctx, def.ID)
	if err != nil || before == "" {
		return err
	}
	return refused(fmt.Sprintf("campaign %s was launched before: run %s\n  campaign schedule --again     sends it once more, to everybody\n"+
		"  exclude: [run:%s] in the file leaves out those whom any run of it has reached", def.ID, before, def.ID))
}

// enter stages the files, plans from what was staged, as it will be sent, and
// stores the schedule.
func (a *App) enter(ctx context.Context, def *campaign.Definition, s scheduler.Schedule, o Scheduling) (Scheduled, error) {
	from := a.Sources(o.Stored)
	for _, f := range sources.Files(def) {
		staged, err := a.stage(ctx, def, s.Version, f, from)
		if err != nil {
			return Scheduled{}, err
		}
		s.Files = append(s.Files, staged)
	}
	plan, err := a.Plan(ctx, def, Launch{Now: true, Progress: o.Progress, Stored: &s})
	if err != nil {
		return Scheduled{}, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(plan); err != nil {
			return Scheduled{}, err
		}
	}
	s.Recipients = plan.Total
	old, err := a.schedules.Put(ctx, s)
	if errors.Is(err, scheduler.ErrPast) {
		return Scheduled{}, invalid(fmt.Sprintf("%s has passed while the campaign was read; nothing was stored", s.Timing))
	}
	if errors.Is(err, scheduler.ErrTooMany) {
		return Scheduled{}, refused(fmt.Sprintf("%v: take some away with broadside campaign unschedule; campaign list shows those that are done", err))
	}
	if err != nil {
		return Scheduled{}, err
	}
	e, err := a.schedules.Get(ctx, s.ID)
	if err != nil {
		return Scheduled{}, err
	}
	a.log.Info("campaign scheduled", "campaign", s.ID, "schedule", s.Timing.String(), "timezone", s.Timing.Zone, "next", e.Next)
	return Scheduled{Schedule: s, Plan: plan, Next: e.Next, Old: old, Changes: changes(old, &s)}, nil
}

func (a *App) stage(ctx context.Context, def *campaign.Definition, version string, f sources.NamedFile, from sources.Sources) (scheduler.File, error) {
	r, err := from.File(ctx, def, f.Key, f.Name)
	if err != nil {
		return scheduler.File{}, invalid(fmt.Sprintf("%s: %v", f.Key, err))
	}
	defer func(c io.Closer) { _ = c.Close() }(r) // only read
	staged, err := a.schedules.Stage(ctx, version, f.Key, f.Name, r)
	if errors.Is(err, scheduler.ErrTooLarge) {
		return staged, invalid(fmt.Sprintf("%s: %s is larger than 256 MiB: store it with `broadside list import NAME %s` and write list:NAME", f.Key, f.Name, f.Name))
	}
	return staged, err
}
