package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const cronForms = `five fields (minute hour day month weekday) like "0 9 * * MON", @daily, or @every 1h`

// words are the cron texts with a name.
var words = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// maxEvery keeps @every within what time.Duration adds without overflow. It is
// longer than any real schedule needs.
const maxEvery = 10 * 365 * 24 * time.Hour

// A Cron is a recurring schedule in a time zone. The zero Cron never happens.
type Cron struct {
	text  string
	zone  *time.Location
	every time.Duration // 0: the fields

	minute, hour, day, month, weekday set
}

// String returns the text that the Cron was read from.
func (c Cron) String() string { return c.text }

// ParseCron reads a cron text whose times are local to zone. @every needs no zone;
// everything else does.
func ParseCron(text string, zone *time.Location) (Cron, error) {
	c := Cron{text: strings.Join(strings.Fields(text), " "), zone: zone}
	if len(c.text) > maxText {
		return Cron{}, fmt.Errorf("cron text of %d bytes; expected %s", len(c.text), cronForms)
	}

	if c.text == "" {
		return Cron{}, fmt.Errorf("cron text is empty; expected %s", cronForms)
	}

	spec := c.text
	if strings.HasPrefix(spec, "@") {
		word, rest, _ := strings.Cut(strings.ToLower(spec), " ")
		if word == "@every" {
			return every(c, rest)
		}
		fields, ok := words[word]
		if !ok || rest != "" {
			return Cron{}, fmt.Errorf("cron %q: no such word; expected @hourly, @daily, @weekly, @monthly, @yearly, or @every 1h", c.text)
		}
		spec = fields
	}

	if zone == nil {
		return Cron{}, fmt.Errorf("cron %q: no timezone is set; set timezone: Europe/Berlin (or UTC)", c.text)
	}

	fields := strings.Fields(spec)
	if len(fields) != 5 {
		return Cron{}, fmt.Errorf("cron %q: found %d fields; expected %s", c.text, len(fields), cronForms)
	}

	sets := []*set{&c.minute, &c.hour, &c.day, &c.month, &c.weekday}
	var errs []error
	for i, f := range fieldKinds {
		s, err := f.parse(fields[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("cron %q: %s: %w", c.text, f.name, err))
		}
		*sets[i] = s
	}

	if err := errors.Join(errs...); err != nil {
		return Cron{}, err
	}
	if !c.possible() {
		return Cron{}, fmt.Errorf("cron %q: its day never comes; the longest of its months has %d days", c.text, c.longestMonth())
	}

	return c, nil
}

func every(c Cron, text string) (Cron, error) {
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return Cron{}, fmt.Errorf("cron %q: found %q; expected a pause like 90m, 1h or 24h", c.text, text)
	}
	if d < time.Second || d > maxEvery || d%time.Second != 0 {
		return Cron{}, fmt.Errorf("cron %q: found a pause of %v; expected whole seconds, from 1s to %v", c.text, d, maxEvery)
	}
	c.every = d
	return c, nil
}

// IsEvery reports whether the Cron counts intervals, and not times of a clock.
func (c Cron) IsEvery() bool { return c.every > 0 }

// possible reports whether some month has a day that the cron names.
func (c Cron) possible() bool {
	if c.day.star || !c.weekday.star {
		return true // a weekday is in every month
	}
	return c.day.first() <= c.longestMonth()
}

func (c Cron) longestMonth() int {
	longest := 0
	for m := 1; m <= 12; m++ {
		if c.month.has(m) {
			longest = max(longest, daysIn(2024, time.Month(m))) // a leap year
		}
	}
	return longest
}

func daysIn(year int, m time.Month) int {
	return time.Date(year, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// Next returns the first occurrence after a time, in the cron's zone; the zero
// time if there is none before the year 2201.
func (c Cron) Next(after time.Time) time.Time {
	if c.every > 0 {
		return c.nextEvery(after)
	}
	if c.zone == nil {
		return time.Time{}
	}
	if earliest := time.Date(minYear, 1, 1, 0, 0, 0, 0, time.UTC); after.Before(earliest) {
		after = earliest.Add(-1)
	}

	// Begin on the day before: an occurrence that a gap moved can be later than
	// its own date.
	l := after.In(c.zone)
	d := time.Date(l.Year(), l.Month(), l.Day()-1, 0, 0, 0, 0, time.UTC)
	for d.Year() <= maxYear {
		if !c.month.has(int(d.Month())) {
			d = time.Date(d.Year(), d.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.onDay(d) {
			if t := c.firstOn(d, after); !t.IsZero() {
				return t
			}
		}
		d = d.AddDate(0, 0, 1)
	}

	return time.Time{}
}

// onDay reports whether the day fields match the date.
func (c Cron) onDay(d time.Time) bool {
	day := c.day.has(d.Day())
	weekday := c.weekday.has(int(d.Weekday()))
	if c.day.star || c.weekday.star {
		return day && weekday
	}
	return day || weekday
}

// firstOn returns the first occurrence on the local date d that is after the time,
// or the zero time.
func (c Cron) firstOn(d, after time.Time) time.Time {
	for h := range 24 {
		if !c.hour.has(h) {
			continue
		}
		if last := Local(d.Add(time.Duration(h)*time.Hour+59*time.Minute), c.zone); !last.After(after) {
			continue
		}
		for m := range 60 {
			if !c.minute.has(m) {
				continue
			}
			t := Local(d.Add(time.Duration(h)*time.Hour+time.Duration(m)*time.Minute), c.zone)
			if t.After(after) {
				return t
			}
		}
	}

	return time.Time{}
}

// nextEvery counts from the Unix epoch.
func (c Cron) nextEvery(after time.Time) time.Time {
	if after.Year() > maxYear {
		return time.Time{}
	}

	step := int64(c.every / time.Second)
	n := after.Unix() / step
	if after.Unix() < 0 {
		n = -1 // the first one is the epoch itself
	}

	t := time.Unix((n+1)*step, 0)
	if c.zone == nil {
		return t.UTC()
	}

	return t.In(c.zone)
}
