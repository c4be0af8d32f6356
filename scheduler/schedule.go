package scheduler

import (
	"errors"
	"fmt"
	"time"

	"broadside/scheduler/calendar"
)

// ErrNoSchedule is returned for a campaign that is not scheduled.
var ErrNoSchedule = errors.New("no such schedule")

// ErrPast is returned for a schedule without an occurrence in the future.
var ErrPast = errors.New("the time has passed")

// ErrTooMany is returned for a schedule beyond the thousandth.
var ErrTooMany = errors.New("there are 1000 schedules already")

// A Timing says when a campaign is due: once, or by a cron text.
type Timing struct {
	At          time.Time     `json:"at,omitzero"`    // the one occurrence; zero with Cron
	Cron        string        `json:"cron,omitempty"` // as calendar.ParseCron reads it
	Zone        string        `json:"zone"`           // IANA name; cron is local to it, at is shown in it
	MaxLateness time.Duration `json:"max_lateness"`   // later than this an occurrence is missed
	// Recipient: the times are by each recipient's own clock. Then Zone is the zone where
	// they come first, and an occurrence is the moment at which it comes there.
	Recipient bool `json:"recipient,omitempty"`
}

// LastMoment returns when an occurrence has come by every clock.
func (t Timing) LastMoment(occurrence time.Time) time.Time {
	if !t.Recipient {
		return occurrence
	}
	return occurrence.Add(calendar.AllZones)
}

// ZoneName returns the zone as people see it.
func (t Timing) ZoneName() string {
	if t.Recipient {
		return "recipient"
	}
	return t.Zone
}

// Location returns the zone.
func (t Timing) Location() (*time.Location, error) {
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return nil, fmt.Errorf("load timezone %q: %w", t.Zone, err)
	}
	return zone, nil
}

// Next returns the first occurrence after a time, in the timing's zone; the
// zero time when there is none.
func (t Timing) Next(after time.Time) (time.Time, error) {
	zone, err := t.Location()
	if err != nil {
		return time.Time{}, err
	}

	if t.Cron == "" {
		if t.At.After(after) {
			return t.At.In(zone), nil
		}
		return time.Time{}, nil
	}

	c, err := calendar.ParseCron(t.Cron, zone)
	if err != nil {
		return time.Time{}, err
	}

	return c.Next(after), nil
}

// First returns the occurrence that a schedule begins with which is stored at a time: the
// next one, or the single time of all clocks when it has not come by every clock yet. It is
// the zero time when there is none.
func (t Timing) First(now time.Time) (time.Time, error) {
	if t.Recipient && t.Cron == "" {
		return t.Next(now.Add(-calendar.AllZones))
	}
	return t.Next(now)
}

// Upcoming returns the next n occurrences after a time, fewer when there are
// no more.
func (t Timing) Upcoming(after time.Time, n int) ([]time.Time, error) {
	var all []time.Time
	for range n {
		next, err := t.Next(after)
		if err != nil || next.IsZero() {
			return all, err
		}
		all = append(all, next)
		after = next
	}

	return all, nil
}

// String returns the cron text, or the time with its offset; a time of all clocks has none.
func (t Timing) String() string {
	if t.Cron != "" {
		return t.Cron
	}
	if t.Recipient {
		return localText(calendar.Wall(t.At))
	}
	if zone, err := t.Location(); err == nil {
		return t.At.In(zone).Format(time.RFC3339)
	}
	return t.At.Format(time.RFC3339)
}

// localText writes a wall time without an offset.
func localText(wall time.Time) string {
	if wall.Second() != 0 {
		return wall.Format("2006-01-02T15:04:05")
	}
	return wall.Format("2006-01-02T15:04")
}

// Text writes an occurrence as `campaign run --at` takes it.
func (t Timing) Text(occurrence time.Time) string {
	if t.Recipient {
		return localText(calendar.Wall(occurrence))
	}
	return occurrence.Format(time.RFC3339)
}

// A Schedule is a campaign that waits for its time, with all that it is made
// from but lists: those are read when it fires.
type Schedule struct {
	ID      string `json:"id"` // of the campaign
	Topic   string `json:"topic"`
	Subject string `json:"subject"`
	From    string `json:"from"`
	File    string `json:"file"`   // the campaign file's name, for messages
	Source  []byte `json:"source"` // and its text
	Timing  Timing `json:"timing"`
	Again   bool   `json:"again,omitempty"` // although a campaign without cron had its run
	// Audience is where the recipients come from, as written; Recipients is how
	// many they were when the campaign was scheduled.
	Audience   string    `json:"audience"`
	Recipients int64     `json:"recipients"`
	Files      []File    `json:"files"`
	Stored     time.Time `json:"stored"`
	Version    string    `json:"version"` // random, new each time that it is stored
}

// A File is a file that is stored with a schedule.
type File struct {
	Key    string `json:"key"`  // where the campaign file names it: content.markdown
	Name   string `json:"name"` // as written there
	Size   int64  `json:"size"`
	Sum    string `json:"sum"` // SHA-256 of the content, hex
	Pieces int    `json:"pieces"`
}

// An Entry is a stored schedule and where it stands.
type Entry struct {
	Schedule
	Next                  time.Time // zero: it is done
	Firing                time.Time // the occurrence that a scheduler is firing; zero: none
	Trouble               string    // what keeps a due occurrence from being fired
	LastRun               string    // the latest run that was made; empty: none
	Fired, Missed, Failed int64     // occurrences
	Broken                error     // why it cannot be read; then only the ID is known
}

// Done reports whether the schedule has no further occurrence.
func (e *Entry) Done() bool { return e.Next.IsZero() }
