// Package window knows the hours at which a run may send: schedule.window and
// schedule.holidays in a campaign file.
//
// A window is that of a clock on a wall. Where that clock is put forward or back, a time
// that does not exist is the first moment after it that does, and one that exists twice is
// the first of the two, as in scheduler/calendar: what is due at such a time and the window
// that begins with it agree.
package window

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxHolidays is how many days a window leaves out at most.
	maxHolidays = 1000
	// horizon is how far ahead a window is looked for.
	horizon = 400
	// maxParts is how many parts a window has at most.
	maxParts = 20

	// Form is how a window is written, for messages.
	Form = "days and hours such as Mon-Fri 08:00-20:00, or several of them with commas between"

	dateForm = time.DateOnly
)

// A Window is the hours at which a run may send. It is stored as JSON. The methods of a nil
// Window are those of one that is always open.
type Window struct {
	text     string
	zone     *time.Location
	parts    []part
	holidays map[string]bool // dates
}

// Closed is a window that never opens.
var Closed = &Window{zone: time.UTC}

// A part is hours of some days of the week. Hours that end before they begin end on the
// next day.
type part struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes after midnight
}

// New returns the window that a text describes, by the clock of a zone, without the days
// that are given as 2026-12-25. The error says what was found, and what was expected.
func New(text string, zone *time.Location, holidays []string) (*Window, error) {
	w := &Window{text: text, zone: zone, holidays: map[string]bool{}}
	for _, day := range holidays {
		if _, err := time.Parse(dateForm, day); err != nil {
			return nil, fmt.Errorf("found %q, expected a date such as 2026-12-25", day)
		}
		w.holidays[day] = true
	}
	if len(w.holidays) > maxHolidays {
		return nil, fmt.Errorf("found %d dates, expected at most %d", len(w.holidays), maxHolidays)
	}

	for text := range strings.SplitSeq(text, ",") {
		p, err := parsePart(text)
		if err != nil {
			return nil, err
		}
		w.parts = append(w.parts, p)
	}
	if len(w.parts) > maxParts {
		return nil, fmt.Errorf("found %d parts, expected at most %d", len(w.parts), maxParts)
	}
	return w, nil
}

func parsePart(text string) (p part, err error) {
	words := strings.Fields(text)
	problem := fmt.Errorf("found %q, expected %s", strings.TrimSpace(text), Form)
	switch len(words) {
	case 1:
		p.days = [7]bool{true, true, true, true, true, true, true}
	case 2:
		if !p.readDays(words[0]) {
			return p, problem
		}
	default:
		return p, problem
	}

	from, to, ok := strings.Cut(words[len(words)-1], "-")
	if !ok || !readClock(from, &p.from) || !readClock(to, &p.to) || p.from == 24*60 {
		return p, problem
	}
	if p.from == p.to {
		return p, fmt.Errorf("found %q, which never opens: expected two different times", strings.TrimSpace(text))
	}
	return p, nil
}

// readDays reads Mon, or Mon-Fri, which may go beyond the end of the week.
func (p *part) readDays(text string) bool {
	first, last, several := strings.Cut(text, "-")
	if !several {
		last = first
	}
	from, ok := weekday(first)
	to, also := weekday(last)
	if !ok || !also {
		return false
	}
	for d := from; ; d = (d + 1) % 7 {
		p.days[d] = true
		if d == to {
			return true
		}
	}
}

func weekday(text string) (time.Weekday, bool) {
	for d := range time.Weekday(7) {
		if strings.EqualFold(text, d.String()) || strings.EqualFold(text, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

// readClock reads 08:00 as minutes; 24:00 is the end of the day.
func readClock(text string, minutes *int) bool {
	hours, rest, ok := strings.Cut(text, ":")
	h, err := strconv.Atoi(hours)
	m, also := strconv.Atoi(rest)
	*minutes = 60*h + m
	return ok && err == nil && also == nil && len(hours) <= 2 && len(rest) == 2 && h >= 0 && m >= 0 && m < 60 && *minutes <= 24*60
}

// In returns the same hours by the clock of another zone.
func (w *Window) In(zone *time.Location) *Window {
	if w == nil {
		return nil
	}
	other := *w // the rest is never written to
	other.zone = zone
	return &other
}

// String returns the window as it was written, with its zone.
func (w *Window) String() string {
	if w == nil {
		return ""
	}
	return w.text + " " + w.zone.String()
}

// Open reports whether a run may send at t.
func (w *Window) Open(t time.Time) bool {
	if w == nil {
		return true
	}
	_, ok := w.opening(t)
	return ok
}

// opening returns when the window closes that is open at t.
func (w *Window) opening(t time.Time) (closes time.Time, open bool) {
	for _, day := range []int{-1, 0} { // hours of yesterday may go on today
		for _, o := range w.openings(t, day) {
			if !t.Before(o.from) && t.Before(o.to) && o.to.After(closes) {
				closes, open = o.to, true
			}
		}
	}
	return closes, open
}

type opening struct{ from, to time.Time }

// openings returns the hours of the day that is so many days after that of t.
func (w *Window) openings(t time.Time, day int) (all []opening) {
	t = t.In(w.zone)
	date := time.Date(t.Year(), t.Month(), t.Day()+day, 0, 0, 0, 0, time.UTC)
	if w.holidays[date.Format(dateForm)] {
		return nil
	}
	for _, p := range w.parts {
		if !p.days[date.Weekday()] {
			continue
		}
		to := p.to
		if p.to <= p.from {
			to += 24 * 60
		}
		o := opening{moment(date, p.from, w.zone), moment(date, to, w.zone)}
		if o.from.Before(o.to) { // otherwise the clock goes forward over all of it
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b opening) int { return a.from.Compare(b.from) })
	return all
}

// moment returns when the clocks of a zone show so many minutes after midnight of a date:
// the first time if they do twice, and if they never do the first moment at which they show
// something later.
func moment(date time.Time, minutes int, zone *time.Location) time.Time {
	shown := date.Unix() + int64(60*minutes) // what they must show, as if it were UTC
	// No zone is more than a day from UTC, so the moment lies in these two days.
	for at := time.Unix(shown-24*3600, 0).In(zone); ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		unix := shown - int64(offset)
		if unix < at.Unix() {
			return at // they are put forward over it
		}
		if end.IsZero() || unix < end.Unix() {
			return time.Unix(unix, 0).In(zone)
		}
		at = end.In(zone)
	}
}

// Next returns when a run may send, t at the earliest; the zero time when it never may.
func (w *Window) Next(t time.Time) time.Time {
	if w.Open(t) {
		return t
	}
	for day := range horizon {
		for _, o := range w.openings(t, day) {
			if !o.from.Before(t) {
				return o.from
			}
		}
	}
	return time.Time{}
}

// Closes returns when the window closes that is open at t; the zero time when none is, or
// when it does not close within a year.
func (w *Window) Closes(t time.Time) time.Time {
	if w == nil {
		return time.Time{}
	}
	closes, open := w.opening(t)
	for days := 0; open && days < horizon; days++ {
		next, goesOn := w.opening(closes)
		if !goesOn {
			return closes
		}
		closes = next
	}
	return time.Time{}
}

// After returns the moment at which the window has been open for d since t; the zero time
// when it never is for so long.
func (w *Window) After(t time.Time, d time.Duration) time.Time {
	if w == nil {
		return t.Add(d)
	}
	for range 20 * horizon {
		t = w.Next(t)
		closes, open := w.opening(t)
		if !open {
			return time.Time{}
		}
		if left := closes.Sub(t); left < d {
			d -= left
			t = closes
			continue
		}
		return t.Add(d)
	}
	return time.Time{}
}

// stored is how a Window is written as JSON.
type stored struct {
	Text     string   `json:"text"`
	Zone     string   `json:"zone"`
	Holidays []string `json:"holidays,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (w *Window) MarshalJSON() ([]byte, error) {
	s := stored{Text: w.text, Zone: w.zone.String()}
	for day := range w.holidays {
		s.Holidays = append(s.Holidays, day)
	}
	slices.Sort(s.Holidays)
	return json.Marshal(s)
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *Window) UnmarshalJSON(b []byte) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return err
	}
	read, err := New(s.Text, zone, s.Holidays)
	if err != nil {
		return err
	}
	*w = *read
	return nil
}

// ReadHolidays returns the dates of a file, one a line. What follows a # is a comment. The
// error names the line.
func ReadHolidays(text string) (days []string, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" {
			continue
		}
		if _, err := time.Parse(dateForm, line); err != nil {
			return nil, fmt.Errorf("line %d: found %.40q, expected a date such as 2026-12-25", n, line)
		}
		days = append(days, line)
	}
	return days, nil
}
