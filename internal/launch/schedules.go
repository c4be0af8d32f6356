package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/runs"
	"broadside/scheduler"
	"broadside/scheduler/calendar"
)

// Schedules are the campaigns that are sent later. They are the scheduler.Campaigns of a
// scheduler. They are safe for concurrent use.
type Schedules struct {
	Launcher *Launcher            // checks campaigns, and plans their runs
	Stored   *scheduler.Schedules // where they are stored, with their files
	Log      *slog.Logger
}

// IsFile reports whether the name of a campaign is that of a file, and not the id of a
// scheduled campaign.
func IsFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil || strings.ContainsAny(name, "./\\")
}

// Campaign reads the campaign that a person named: a file, or the id of a scheduled
// campaign. Of a scheduled one, stored has the files.
func (s *Schedules) Campaign(ctx context.Context, name string) (def *campaign.Definition, stored *scheduler.Schedule, err error) {
	if IsFile(name) {
		def, err = campaign.Load(ctx, name)
		return def, nil, err
	}

	id, err := s.Find(ctx, name)
	if err != nil {
		return nil, nil, errors.Join(failure.Invalid(name+": there is no such file"), err)
	}

	e, err := s.Stored.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}

	def, err = campaign.Parse(e.File, filepath.Dir(e.File), e.Source)
	return def, &e.Schedule, err
}

// Find returns the id of the scheduled campaign that text means: an id, or the beginning
// of exactly one.
func (s *Schedules) Find(ctx context.Context, text string) (string, error) {
	all, err := s.Stored.List(ctx)
	if err != nil {
		return "", err
	}

	var found []string
	for _, e := range all {
		if e.ID == text {
			return text, nil
		}
		if text != "" && strings.HasPrefix(e.ID, text) {
			found = append(found, e.ID)
		}
	}

	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", failure.Invalid(fmt.Sprintf("no campaign %q is scheduled: broadside campaign list shows those that are", text))
	}

	return "", failure.Invalid(fmt.Sprintf("%q is the beginning of %d campaigns (%s); write more of it", text, len(found), strings.Join(found, ", ")))
}

// Remove removes a schedule. The runs that were made of it stay. running is the run that
// a scheduler is making of it at this moment; empty when there is none.
func (s *Schedules) Remove(ctx context.Context, id string) (running string, err error) {
	firing, err := s.Stored.Remove(ctx, id)
	if errors.Is(err, scheduler.ErrNoSchedule) {
		return "", notScheduled(id)
	}
	if err != nil || firing.IsZero() {
		return "", err
	}
	return campaign.RunID(id, firing), nil
}

func notScheduled(id string) error {
	return failure.Invalid(fmt.Sprintf("no campaign %q is scheduled", id))
}

// List returns the scheduled campaigns, in the order of their ids.
func (s *Schedules) List(ctx context.Context) ([]*scheduler.Entry, error) {
	all, err := s.Stored.List(ctx)
	if err != nil {
		return nil, err
	}

	for _, e := range all {
		if e.Broken != nil {
			continue
		}
		e.LastRun, err = s.lastRun(ctx, e)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lastRun returns the latest run of the campaign, which may have been launched, but is
// not linked to an earlier one.
func (s *Schedules) lastRun(ctx context.Context, e *scheduler.Entry) (string, error) {
	rec, err := s.Launcher.Runs.Latest(ctx, e.ID)
	if campaign.IsBroken(err) {
		return e.LastRun, nil // `run list` shows it
	}
	if err != nil || rec == nil {
		return e.LastRun, err
	}
	return rec.ID, nil
}

// Skip has one time of a schedule left out. It returns the schedule, and the time that
// the text names. The error names the next times when it is none of them.
func (s *Schedules) Skip(ctx context.Context, id, text string) (*scheduler.Entry, time.Time, error) {
	e, at, err := s.timeOf(ctx, id, text)
	if err != nil {
		return nil, time.Time{}, err
	}
	return e, at, s.Stored.Skip(ctx, id, at)
}

// Unskip takes a skip back.
func (s *Schedules) Unskip(ctx context.Context, id, text string) (*scheduler.Entry, time.Time, error) {
	e, at, err := s.timeOf(ctx, id, text)
	if err != nil {
		return nil, time.Time{}, err
	}
	was, err := s.Stored.Unskip(ctx, id, at)
	if err == nil && !was {
		err = failure.Invalid(fmt.Sprintf("%s of %s is not skipped", at.Format(time.RFC3339), id))
	}
	return e, at, err
}

// RunNow makes the run of one time of a schedule now, and returns its id. When the time
// comes no other is made. After feed.ErrNothingNew none was made, and the time stays.
func (s *Schedules) RunNow(ctx context.Context, id, text string) (run string, err error) {
	e, at, err := s.timeOf(ctx, id, text)
	if err != nil {
		return "", err
	}
	firer := scheduler.NewFirer(s.Stored, scheduler.FirerConfig{Maker: s.Launcher.Maker, Campaigns: s, Log: s.Log})
	made, err := firer.RunNow(ctx, e.Schedule, at)
	switch {
	case err != nil:
	case made.Failure != "":
		err = failure.Refused(made.Failure)
	case made.Skipped != "":
		err = feed.ErrNothingNew
	}
	return made.Run, err
}

// timeOf returns the time to come of a schedule that a text names.
func (s *Schedules) timeOf(ctx context.Context, id, text string) (*scheduler.Entry, time.Time, error) {
	e, err := s.Stored.Get(ctx, id)
	if errors.Is(err, scheduler.ErrNoSchedule) {
		return nil, time.Time{}, notScheduled(id)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if e.Done() {
		return nil, time.Time{}, failure.Invalid(fmt.Sprintf("campaign %s has no time to come", id))
	}

	zone, err := e.Timing.Location()
	if err != nil {
		return nil, time.Time{}, err
	}
	at, err := calendar.ParseAt(text, zone)
	if err != nil {
		return nil, time.Time{}, failure.Invalid("--at: " + err.Error())
	}
	next, err := e.Timing.Next(at.Add(-1))
	if err != nil {
		return nil, time.Time{}, err
	}
	if next.Equal(at) && !at.Before(e.Next) {
		return e, at, nil
	}

	upcoming, err := e.Timing.Upcoming(e.Next.Add(-1), shownUpcoming)
	if err != nil {
		return nil, time.Time{}, err
	}
	var times []string
	for _, t := range upcoming {
		times = append(times, e.Timing.Text(t))
	}
	return nil, time.Time{}, failure.Invalid(fmt.Sprintf("%s is no time to come of campaign %s; its next times are %s", text, id, strings.Join(times, ", ")))
}

// Shown is what `campaign show` prints of a scheduled campaign.
type Shown struct {
	*scheduler.Entry
	Upcoming    []time.Time
	Skipped     []bool                 // which of Upcoming are left out
	Occurrences []scheduler.Occurrence // newest first
	Runs        []runs.Status          // newest first
}

const (
	shownUpcoming = 5
	shownRuns     = 5
)

// Show reads a schedule, so many of its next times (0: five), its occurrences so far and its latest runs.
func (s *Schedules) Show(ctx context.Context, id string, next int) (Shown, error) {
	e, err := s.Stored.Get(ctx, id)
	if errors.Is(err, scheduler.ErrNoSchedule) {
		return Shown{}, notScheduled(id)
	}
	if err != nil {
		return Shown{}, err
	}

	shown := Shown{Entry: e}
	shown.LastRun, err = s.lastRun(ctx, e)
	if err != nil {
		return Shown{}, err
	}

	if !e.Done() {
		shown.Upcoming, err = e.Timing.Upcoming(e.Next.Add(-1), cmp.Or(next, shownUpcoming))
		if err == nil {
			shown.Skipped, err = s.Stored.Skipped(ctx, id, shown.Upcoming...)
		}
		if err != nil {
			return Shown{}, err
		}
	}

	shown.Occurrences, err = s.Stored.History(ctx, id)
	if err != nil {
		return Shown{}, err
	}

	shown.Runs, err = s.latestRuns(ctx, id)
	return shown, err
}

// latestRuns returns the status of the latest runs of a campaign, newest first.
func (s *Schedules) latestRuns(ctx context.Context, id string) ([]runs.Status, error) {
	ids, err := s.Launcher.Ledger.List(ctx, id)
	if err != nil {
		return nil, err
	}

	var latest []runs.Status
	for _, run := range ids[:min(len(ids), shownRuns)] {
		st, err := s.Launcher.Runs.Status(ctx, run)
		switch {
		case ledger.Gone(err):
			continue // its time of retention is over
		case campaign.IsBroken(err):
			broken := ledger.Record{ID: run, State: campaign.Broken, Reason: err.Error(), Created: campaign.TimeOfRun(run)}
			st = runs.Status{Record: &broken, Tally: &ledger.Tally{}}
		case err != nil:
			return nil, err
		}
		latest = append(latest, st)
	}

	return latest, nil
}
