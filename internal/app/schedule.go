package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
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
	err := a.put(ctx, a.firer().Run)
	a.log.Info("scheduler stopped")
	return err
}

func (a *App) firer() *scheduler.Firer {
	return scheduler.NewFirer(a.schedules, scheduler.FirerConfig{Maker: a.maker, Campaigns: storedCampaigns{a}, Log: a.log})
}

// storedCampaigns reads campaigns as they were scheduled.
type storedCampaigns struct{ a *App }

// Open checks a campaign and opens its audience.
func (c storedCampaigns) Open(ctx context.Context, s *scheduler.Schedule) (campaign.RunSpec, scheduler.OpenInput, error) {
	def, err := campaign.Parse(s.File, filepath.Dir(s.File), s.Source)
	if err != nil {
		return campaign.RunSpec{}, scheduler.OpenInput{}, err
	}
	p, err := c.a.prepare(ctx, def, Launch{Now: true, Stored: s})
	if err != nil {
		return campaign.RunSpec{}, scheduler.OpenInput{}, err
	}
	return p.spec, scheduler.OpenInput{Input: p.in, Close: p.close}, nil
}

// IsFault reports whether an error is the fault of the campaign, its files or its
// accounts, so that trying again would not help.
func (c storedCampaigns) IsFault(ctx context.Context, err error) bool {
	var (
		problems strictyaml.Problems
		file     *audience.FileError
		template templates.Problems
		network  net.Error
	)
	if ctx.Err() != nil || errors.As(err, &network) || errors.Is(err, scheduler.ErrNoRoom) || c.a.Ping(ctx) != nil {
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
