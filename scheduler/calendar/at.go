package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Years that a campaign can be in. Others are slips of the keyboard.
const (
	minYear = 1970
	maxYear = 2200
)

// maxText bounds the texts that are parsed, and quoted in errors.
const maxText = 200

const atForms = `2026-10-01T09:00, with an offset (2026-10-01T09:00+02:00, or Z) or a timezone setting`

// localLayouts and offsetLayouts are the forms of a time; a space may stand for
// the T.
var (
	localLayouts  = []string{"2006-01-02T15:04", "2006-01-02T15:04:05"}
	offsetLayouts = []string{"2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00"}
)

// ParseAt reads a time. Without an offset in the text it is local time in zone,
// and an error if zone is nil. The result is in zone, or, without one, in the
// text's offset. See the package comment for local times that do not exist or come
// twice.
func ParseAt(text string, zone *time.Location) (time.Time, error) {
	s := strings.TrimSpace(text)
	if len(s) > maxText {
		return time.Time{}, fmt.Errorf("time of %d bytes; expected something like %s", len(s), atForms)
	}

	if len(s) > len("2006-01-02") && s[len("2006-01-02")] == ' ' {
		s = s[:len("2006-01-02")] + "T" + s[len("2006-01-02 "):]
	}

	s = strings.ToUpper(s)
	var cause error
	for _, layout := range offsetLayouts {
		t, err := time.Parse(layout, s)
		if err == nil {
			if err := sane(t, text); err != nil {
				return time.Time{}, err
			}
			if zone != nil {
				t = t.In(zone)
			}
			return t, nil
		}
		cause = closer(cause, err)
	}

	for _, layout := range localLayouts {
		t, err := time.Parse(layout, s)
		if err == nil {
			if err := sane(t, text); err != nil {
				return time.Time{}, err
			}
			if zone == nil {
				return time.Time{}, fmt.Errorf("time %q has no offset and no timezone is set; write %sZ, or set timezone: Europe/Berlin", text, s)
			}
			return Local(t, zone).Add(time.Duration(t.Nanosecond())), nil
		}
		cause = closer(cause, err)
	}

	if errors.Is(cause, errRange) {
		return time.Time{}, fmt.Errorf("time %q: no such date or time of day; expected something like %s", text, atForms)
	}

	return time.Time{}, fmt.Errorf("time %q: expected something like %s", text, atForms)
}

var errRange = errors.New("out of range")

// closer keeps the more useful of two parse errors: the one for a text that has the
// right form but a number out of range.
func closer(have, err error) error {
	var p *time.ParseError
	if errors.As(err, &p) && strings.Contains(p.Message, "out of range") {
		return errRange
	}
	if have != nil {
		return have
	}
	return err
}

func sane(t time.Time, text string) error {
	if y := t.Year(); y < minYear || y > maxYear {
		return fmt.Errorf("time %q: year %d; expected one from %d to %d", text, y, minYear, maxYear)
	}
	return nil
}

// Local returns the moment at which the clocks in zone show what t shows in UTC:
// the first one if there are two, and if there is none the first moment at which
// they show something later.
func Local(t time.Time, zone *time.Location) time.Time {
	wall := t.Unix() // what the clocks must show, as if it were UTC
	// No zone is more than a day from UTC, so the moment lies in these two days.
	for at := time.Unix(wall-24*3600, 0).In(zone); ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		moment := wall - int64(offset)
		if moment < at.Unix() {
			return at // the clocks went forward over it
		}
		if end.IsZero() || moment < end.Unix() {
			return time.Unix(moment, 0).In(zone)
		}
		at = end.In(zone)
	}
}

// InZones writes a time in the two zones, the second one only if its clocks show
// something else: "2026-10-01 09:00 CEST (2026-10-01 03:00 EDT)".
func InZones(t time.Time, first, second *time.Location) string {
	layout := "2006-01-02 15:04 MST"
	if t.Second() != 0 {
		layout = "2006-01-02 15:04:05 MST"
	}

	a := t.In(first).Format(layout)
	b := t.In(second).Format(layout)
	if a == b {
		return a
	}

	return a + " (" + b + ")"
}
