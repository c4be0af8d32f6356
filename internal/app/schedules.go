package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/runs"
	"broadside/scheduler"
)

// A Change is what differs between a schedule and the one that it replaces.
type Change struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// changes compares a schedule with the one that it replaces.
func changes(old, s *scheduler.Schedule) []Change {
	if old == nil {
		return nil
	}
	var all []Change
	differ := func(what, from, to string) {
		if from != to {
			all = append(all, Change{what, from, to})
		}
	}
	differ("schedule", old.Timing.String(), s.Timing.String())
	differ("timezone", old.Timing.Zone, s.Timing.Zone)
	differ("max_lateness", old.Timing.MaxLateness.String(), s.Timing.MaxLateness.String())
	differ("recipients", fmt.Sprint(old.Recipients), fmt.Sprint(s.Recipients))
	was, wasErr := campaign.Parse(old.File, filepath.Dir(old.File), old.Source)
	is, isErr := campaign.Parse(s.File, filepath.Dir(s.File), s.Source)
	if wasErr == nil && isErr == nil {
		for _, f := range fieldsOfFile {
			differ(f.name, f.value(was), f.value(is))
		}
	}
	for _, key := range fileKeys(old, s) {
		differ(key, fileText(old, key), fileText(s, key))
	}
	if len(all) == 0 && !bytes.Equal(old.Source, s.Source) {
		differ("campaign file", "other text", "new text")
	}
	return all
}

// fieldsOfFile are the values of a campaign file that are compared one by one.
var fieldsOfFile = []struct {
	name  string
	value func(*campaign.Definition) string
}{
	{"topic", func(d *campaign.Definition) string { return d.Topic }},
	{"from", func(d *campaign.Definition) string { return d.From }},
	{"reply_to", func(d *campaign.Definition) string { return d.ReplyTo }},
	{"subject", func(d *campaign.Definition) string { return d.Subject }},
	{"preheader", func(d *campaign.Definition) string { return d.Preheader }},
	{"audience", func(d *campaign.Definition) string { return d.Audience.Source }},
	{"exclude", func(d *campaign.Definition) string { return fmt.Sprint(d.Exclude) }},
	{"layout", func(d *campaign.Definition) string { return d.Content.Layout }},
	{"language", func(d *campaign.Definition) string { return d.Content.Language }},
	{"logo", func(d *campaign.Definition) string { return d.Content.Logo }},
	{"accounts", func(d *campaign.Definition) string { return strings.Join(d.Delivery.Accounts, ", ") }},
	{"rate", func(d *campaign.Definition) string { return fmt.Sprint(d.Delivery.Rate) }},
	{"delivery", func(d *campaign.Definition) string {
		return fmt.Sprintf("%d attempts, %v, expires after %v", d.Delivery.MaxAttempts, d.Delivery.Retry, d.Delivery.ExpiresAfter)
	}},
}

func fileKeys(all ...*scheduler.Schedule) []string {
	var keys []string
	for _, s := range all {
		for _, f := range s.Files {
			if !slices.Contains(keys, f.Key) {
				keys = append(keys, f.Key)
			}
		}
	}
	return keys
}

// fileText names the content of a file, by its size and the beginning of its
// hash; empty when there is none.
func fileText(s *scheduler.Schedule, key string) string {
	for _, f := range s.Files {
		if f.Key == key {
			return fmt.Sprintf("%s, %d bytes, %s", f.Name, f.Size, f.Sum[:8])
		}
	}
	return ""
}

// IsFile reports whether the name of a campaign is that of a file, and not the
// id of one that is scheduled.
func IsFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil || strings.ContainsAny(name, "./\\")
}

// Campaign reads a campaign that a person named: a file, or one that is
// scheduled, by its id. Then stored has its files.
func (a *App) Campaign(ctx context.Context, name string) (def *campaign.Definition, stored *scheduler.Schedule, err error) {
	if IsFile(name) {
		def, err = campaign.Load(ctx, name)
		return def, nil, err
	}
	id, err := a.FindSchedule(ctx, name)
	if err != nil {
		return nil, nil, errors.Join(invalid(name+": there is no such file"), err)
	}
	e, err := a.schedules.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	def, err = campaign.Parse(e.File, filepath.Dir(e.File), e.Source)
	return def, &e.Schedule, err
}

// FindSchedule returns the id of the scheduled campaign that text means: an
// id, or the beginning of exactly one.
func (a *App) FindSchedule(ctx context.Context, text string) (string, error) {
	all, err := a.schedules.List(ctx)
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
		return "", invalid(fmt.Sprintf("no campaign %q is scheduled: broadside campaign list shows those that are", text))
	}
	return "", invalid(fmt.Sprintf("%q is the beginning of %d campaigns (%s); write more of it", text, len(found), strings.Join(found, ", ")))
}

// RemoveSchedule removes a schedule. The runs that it made stay; running is
// the one that is being made in this moment, empty if none is.
func (a *App) RemoveSchedule(ctx context.Context, id string) (running string, err error) {
	firing, err := a.schedules.Remove(ctx, id)
	if errors.Is(err, scheduler.ErrNoSchedule) {
		return "", invalid(fmt.Sprintf("no campaign %q is scheduled", id))
	}
	if err != nil || firing.IsZero() {
		return "", err
	}
	return campaign.RunID(id, firing), nil
}

// Schedules lists the scheduled campaigns, in the order of their ids.
func (a *App) Schedules(ctx context.Context) ([]*scheduler.Entry, error) {
	all, err := a.schedules.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.Broken != nil {
			continue
		}
		if e.LastRun, err = a.lastRun(ctx, e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lastRun returns the newest run of the campaign, also one that was launched,
// but none that is linked to another.
func (a *App) lastRun(ctx context.Context, e *scheduler.Entry) (string, error) {
	rec, err := a.Runs.Latest(ctx, e.ID)
	if campaign.IsBroken(err) {
		return e.LastRun, nil // `run list` shows it
	}
	if err != nil || rec == nil {
		return e.LastRun, err
	}
	return rec.ID, nil
}

// A Shown is what `campaign show` prints of a scheduled campaign.
type Shown struct {
	*scheduler.Entry
	Upcoming    []time.Time
	Occurrences []scheduler.Occurrence // newest first
	Runs        []runs.Status          // newest first
}

const (
	shownUpcoming = 5
	shownRuns     = 5
)

// ShowSchedule reads a schedule, its next times and what it came to so far.
func (a *App) ShowSchedule(ctx context.Context, id string) (Shown, error) {
	e, err := a.schedules.Get(ctx, id)
	if errors.Is(err, scheduler.ErrNoSchedule) {
		return Shown{}, invalid(fmt.Sprintf("no campaign %q is scheduled", id))
	}
	if err != nil {
		return Shown{}, err
	}
	s := Shown{Entry: e}
	if s.LastRun, err = a.lastRun(ctx, e); err != nil {
		return Shown{}, err
	}
	if !e.Done() {
		if s.Upcoming, err = e.Timing.Upcoming(e.Next.Add(-1), shownUpcoming); err != nil {
			return Shown{}, err
		}
	}
	if s.Occurrences, err = a.schedules.History(ctx, id); err != nil {
		return Shown{}, err
	}
	ids, err := a.Ledger.List(ctx, id)
	if err != nil {
		return Shown{}, err
	}
	for _, run := range ids[:min(len(ids), shownRuns)] {
		st, err := a.Runs.Status(ctx, run)
		if ledger.Gone(err) {
			continue // its time of retention is over
		}
		if campaign.IsBroken(err) {
			st = runs.Status{Record: &ledger.Record{ID: run, State: campaign.Broken, Reason: err.Error(), Created: campaign.TimeOfRun(run)}, Tally: &ledger.Tally{}}
		} else if err != nil {
			return Shown{}, err
		}
		s.Runs = append(s.Runs, st)
	}
	return s, nil
}
