package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/zones"
	"broadside/scheduler/calendar"
)

var (
	// ErrNoZone is returned when the recipients are to get the message by their own clocks,
	// and no row of the audience names a zone that is known.
	ErrNoZone = errors.New("no row names a zone that is known")
	// ErrTooLong is returned when the moments of a run are further apart than its ledger
	// can count.
	ErrTooLong = errors.New("the run would last for too long")
)

// passedAfter is how long ago a time may have passed that still counts as now, whatever
// when_passed says: a scheduler takes moments to make a run, and the first zone would be too
// late each time.
const passedAfter = time.Minute

// shownUnknown is how many names that are no zones a plan shows.
const shownUnknown = 3

// A LocalPlan says when the recipients get the message by their own clocks.
type LocalPlan struct {
	At       time.Time       // what their clocks show, as if it were UTC; zero: when the run is made
	Waves    []campaign.Wave // in the order of time
	Fallback string          // the zone of those who name none that is known
	Empty    int64           // recipients who name none
	Unknown  int64           // those who name one that is not known
	Names    []string        // some of what those have named
	Spread   time.Duration   // each gets it at some moment within so long after their wave begins
	Expires  time.Duration   // since the run is made: then those of the last wave have had their time
}

// A clock finds out when each recipient of a run gets the message.
type clock struct {
	sel   Selection
	zones *zones.Zones

	byZone map[*time.Location]*zoneTime
	waves  map[int64]*campaign.Wave // by their moment in Unix seconds
	local  LocalPlan
	named  bool // some row names a zone that is known
	long   bool // some recipient is further away than a cell can say
}

// A zoneTime is when recipients in one zone get the message.
type zoneTime struct {
	at      time.Time
	skipped bool // never: the time has passed
	used    bool // some recipient lives there
	expires time.Duration
	wave    *campaign.Wave
}

// A dueTime is when one recipient gets the message, since the run is made, and the wave
// that they belong to.
type dueTime struct {
	due  time.Duration
	wave *campaign.Wave
}

// dueOf returns when recipients get the message; nil: at once.
func dueOf(moments []dueTime) []time.Duration {
	if moments == nil {
		return nil
	}
	due := make([]time.Duration, len(moments))
	for i, m := range moments {
		due[i] = m.due
	}
	return due
}

func newClock(sel Selection) (*clock, error) {
	fallback, err := time.LoadLocation(sel.Local.Fallback)
	if err != nil {
		return nil, fmt.Errorf("load timezone %q: %w", sel.Local.Fallback, err)
	}
	return &clock{
		sel: sel, zones: zones.New(sel.Local.Field, fallback),
		byZone: map[*time.Location]*zoneTime{}, waves: map[int64]*campaign.Wave{},
		local: LocalPlan{At: sel.Local.At, Fallback: sel.Local.Fallback, Spread: sel.Local.Spread},
	}, nil
}

// of returns when a row that may become a recipient gets the message.
func (c *clock) of(values []string) *zoneTime {
	zone, origin := c.zones.Of(values)
	c.named = c.named || origin == zones.Named
	t := c.byZone[zone]
	if t == nil {
		t = c.timeIn(zone)
		c.byZone[zone] = t
	}
	return t
}

// take returns when a row that is a recipient now gets the message.
func (c *clock) take(row audience.Row) dueTime {
	zone, origin := c.zones.Of(row.Values)
	t := c.byZone[zone] // of has been asked about the row
	switch origin {
	case zones.Empty:
		c.local.Empty++
	case zones.Unknown:
		c.local.Unknown++
		if name := audience.Excerpt(c.zones.Name(row.Values)); len(c.local.Names) < shownUnknown && !slices.Contains(c.local.Names, name) {
			c.local.Names = append(c.local.Names, name)
		}
	}

	if !t.used {
		t.used = true
		c.join(t, zone)
	}
	at := t.at
	if spread := c.sel.Local.Spread; spread > 0 {
		// Another chance than that by which a sample is drawn, whose recipients would all
		// be among the first.
		share := float64(chance("spread "+c.sel.Seed, row.Address.Hash())) / (1 << 64)
		at = c.hours(zone, at, time.Duration(share*float64(spread)))
	}

	due := max(0, at.Sub(c.sel.Made))
	c.long = c.long || due > ledger.MaxDue
	return dueTime{due: due, wave: t.wave}
}

// join makes a zone part of the wave of its moment.
func (c *clock) join(t *zoneTime, zone *time.Location) {
	key := t.at.Unix()
	wave := c.waves[key]
	if wave == nil {
		wave = &campaign.Wave{At: t.at.UTC()}
		c.waves[key] = wave
	}
	t.wave = wave
	c.local.Expires = max(c.local.Expires, t.expires)
	if len(wave.Zones) < campaign.ShownZones {
		wave.Zones = append(wave.Zones, zone.String())
	} else {
		wave.More++
	}
}

// timeIn returns when those get the message whose clock is that of a zone.
func (c *clock) timeIn(zone *time.Location) *zoneTime {
	local := c.sel.Local
	made := c.sel.Made
	t := &zoneTime{at: made}
	if !local.At.IsZero() {
		t.at = calendar.Local(local.At, zone)
	}

	if made.Sub(t.at) > passedAfter {
		switch local.WhenPassed {
		case campaign.PassedSkip:
			return &zoneTime{skipped: true}
		case campaign.PassedNextDay:
			for day := 1; t.at.Before(made); day++ {
				t.at = calendar.Local(local.At.AddDate(0, 0, day), zone)
			}
		}
	}
	if t.at.Before(made) {
		t.at = made
	}

	t.expires = c.hours(zone, t.at, local.Spread+c.sel.Lasts).Sub(made)
	t.at = c.hours(zone, t.at, 0)
	c.long = c.long || t.at.IsZero() || t.expires <= 0 || t.expires > ledger.MaxDue
	return t
}

// hours returns the moment at which the hours of a zone have been open for d since t.
func (c *clock) hours(zone *time.Location, t time.Time, d time.Duration) time.Time {
	return c.sel.Local.Window.In(zone).After(t, d)
}

// check says why the run cannot be made as it was read.
func (c *clock) check() error {
	switch {
	case c.long:
		return ErrTooLong
	case !c.named && len(c.byZone) > 0:
		return ErrNoZone
	}
	return nil
}

// plan returns what was found.
func (c *clock) plan() *LocalPlan {
	for _, w := range c.waves {
		if w.Recipients > 0 {
			slices.SortFunc(w.Zones, strings.Compare)
			c.local.Waves = append(c.local.Waves, *w)
		}
	}
	slices.SortFunc(c.local.Waves, func(a, b campaign.Wave) int { return a.At.Compare(b.At) })
	return &c.local
}
