package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"broadside/campaign"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
)

// ScheduleOptions say how a campaign is scheduled.
type ScheduleOptions struct {
	At    string // in place of the file's schedule
	Again bool   // schedule a campaign without cron although it was launched before

	// Confirm is called with the plan before anything is stored. Its error stops it.
	// nil: it is not called.
	Confirm func(Plan) error
	// Progress is called with the number of rows read, now and then. nil: it is not called.
	Progress func(rows int64)

	// Stored has the files that the campaign names; nil: they are on disk.
	Stored *scheduler.Schedule
}

// Scheduled is the result of Add.
type Scheduled struct {
	scheduler.Schedule
	Plan    Plan
	Next    time.Time
	Old     *scheduler.Schedule // the one that was replaced; nil: none
	Changes []Change            // compared with Old
}

// Add checks a campaign as a launch does. Then it stores the campaign with its files and
// its audience, in place of a schedule of the same id. A list, and what is on the web or in
// a database, is not stored: it is read when the campaign is due. Of an audience that is
// elsewhere only the columns are read before that, so that what is wrong with its address,
// its login or its query shows now.
func (s *Schedules) Add(ctx context.Context, def *campaign.Definition, o ScheduleOptions) (Scheduled, error) {
	timing, err := s.check(ctx, def, o)
	if err != nil {
		return Scheduled{}, err
	}

	if err := s.onlyOnce(ctx, def, timing, o.Again); err != nil {
		return Scheduled{}, err
	}

	schedule := scheduler.Schedule{
		ID: def.ID, Topic: def.Topic, Subject: def.Subject, From: def.From, File: filepath.Base(def.File), Source: def.Source,
		Timing: timing, Again: o.Again, Audience: def.Audience.Source, Version: scheduler.NewVersion(),
	}
	done, err := s.store(ctx, def, schedule, o)
	if err != nil {
		s.Stored.Discard(ctx, schedule.Version)
	}

	return done, err
}

// check returns when a campaign is to be sent. The error has the problems of the time
// and of the campaign.
func (s *Schedules) check(ctx context.Context, def *campaign.Definition, o ScheduleOptions) (scheduler.Timing, error) {
	now, err := s.Stored.Now(ctx)
	if err != nil {
		return scheduler.Timing{}, err
	}

	timing, timingErr := scheduler.TimingOf(s.Launcher.Config, def, o.At, now)
	if def.Audience.Source == "-" {
		return timing, errors.Join(timingErr, strictyaml.Problems{def.Problem("audience.source", "the standard input cannot be scheduled, because it is gone when the time comes: name a file or list:NAME")})
	}

	p, err := s.Launcher.prepare(ctx, def, Options{Now: true, Stored: o.Stored, Later: true})
	if err == nil {
		p.close()
	}

	return timing, errors.Join(timingErr, err)
}

// onlyOnce refuses a campaign without cron that was launched before.
func (s *Schedules) onlyOnce(ctx context.Context, def *campaign.Definition, t scheduler.Timing, again bool) error {
	if t.Cron != "" || again {
		return nil
	}
	before, err := s.Launcher.LaunchedBefore(ctx, def.ID)
	if err != nil || before == "" {
		return err
	}
	return failure.Refused(fmt.Sprintf("campaign %s was launched before: run %s\n  campaign schedule --again     sends it again, to all recipients\n"+
		"  exclude: [run:%s] in the file leaves out the recipients that a run of it has reached", def.ID, before, def.ID))
}

// store stages the files of a campaign, plans from the staged files, which are what will
// be sent, and stores the schedule.
func (s *Schedules) store(ctx context.Context, def *campaign.Definition, schedule scheduler.Schedule, o ScheduleOptions) (Scheduled, error) {
	from := s.Launcher.Sources(o.Stored)
	for _, f := range sources.Files(def) {
		staged, err := s.stage(ctx, def, schedule.Version, f, from)
		if err != nil {
			return Scheduled{}, err
		}
		schedule.Files = append(schedule.Files, staged)
	}

	begins, err := s.begins(ctx, schedule.Timing)
	if err != nil {
		return Scheduled{}, err
	}

	plan, err := s.Launcher.Plan(ctx, def, Options{Now: true, Progress: o.Progress, Stored: &schedule, Begins: begins, Later: true})
	if err != nil {
		return Scheduled{}, err
	}

	if o.Confirm != nil {
		if err := o.Confirm(plan); err != nil {
			return Scheduled{}, err
		}
	}

	schedule.Recipients = plan.Total
	old, err := s.Stored.Put(ctx, schedule)
	switch {
	case errors.Is(err, scheduler.ErrPast):
		return Scheduled{}, failure.Invalid(fmt.Sprintf("%s has passed while the campaign was read; nothing was stored", schedule.Timing))
	case errors.Is(err, scheduler.ErrTooMany):
		return Scheduled{}, failure.Refused(fmt.Sprintf("%v: remove some with broadside campaign unschedule; campaign list shows those that are done", err))
	case err != nil:
		return Scheduled{}, err
	}

	e, err := s.Stored.Get(ctx, schedule.ID)
	if err != nil {
		return Scheduled{}, err
	}

	s.Log.Info("campaign scheduled", "campaign", schedule.ID, "schedule", schedule.Timing.String(), "timezone", schedule.Timing.ZoneName(), "next", e.Next)
	return Scheduled{Schedule: schedule, Plan: plan, Next: e.Next, Old: old, Changes: changes(old, &schedule)}, nil
}

// begins returns the occurrence with which a schedule begins that is stored now.
func (s *Schedules) begins(ctx context.Context, t scheduler.Timing) (time.Time, error) {
	now, err := s.Stored.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return t.First(now)
}

// stage copies a file that the campaign names into Redis.
func (s *Schedules) stage(ctx context.Context, def *campaign.Definition, version string, f sources.NamedFile, from sources.Sources) (scheduler.File, error) {
	r, err := from.File(ctx, def, f.Key, f.Name)
	if err != nil {
		return scheduler.File{}, failure.Invalid(fmt.Sprintf("%s: %v", f.Key, err))
	}
	defer func(c io.Closer) { _ = c.Close() }(r) // only read

	staged, err := s.Stored.Stage(ctx, version, f.Key, f.Name, r)
	if errors.Is(err, scheduler.ErrTooLarge) {
		return staged, failure.Invalid(fmt.Sprintf("%s: %s is larger than 256 MiB: store it with `broadside list import NAME %s` and write list:NAME", f.Key, f.Name, f.Name))
	}
	return staged, err
}
