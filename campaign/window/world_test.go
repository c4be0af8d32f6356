package window

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has
)

// TestWindowsAroundTheWorld has cases whose answers were written down from the rules of
// the zones, not computed. Each has the reason above it. Times carry their offset; Z is an
// offset of zero.
func TestWindowsAroundTheWorld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, zone, holidays string
		at, opens, closes    string // opens is at where it is open then; closes is empty where it never does
	}{
		// 02:30 does not exist on 29 March: the window begins when the clocks show 03:00.
		{"02:30-04:00", "Europe/Berlin", "", "2026-03-29T00:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		// All of it lies in the gap: there is none on that day.
		{"02:15-02:45", "Europe/Berlin", "", "2026-03-29T00:30:00+01:00", "2026-03-30T02:15:00+02:00", "2026-03-30T02:45:00+02:00"},
		// It begins in the gap and ends with it.
		{"02:30-03:00", "Europe/Berlin", "", "2026-03-29T00:30:00+01:00", "2026-03-30T02:30:00+02:00", "2026-03-30T03:00:00+02:00"},
		// 02:30 comes twice on 25 October: the first one opens, and it is open for 2.5 hours.
		{"02:30-04:00", "Europe/Berlin", "", "2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T04:00:00+01:00"},
		// The first 02:30 closes as well, so it is closed at the second 02:15.
		{"01:00-02:30", "Europe/Berlin", "", "2026-10-25T02:15:00+02:00", "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"01:00-02:30", "Europe/Berlin", "", "2026-10-25T02:15:00+01:00", "2026-10-26T01:00:00+01:00", "2026-10-26T02:30:00+01:00"},
		// The same west of Greenwich. At 01:45 the window that begins at 02:30 is closed.
		{"02:30-04:00", "America/New_York", "", "2026-03-08T01:45:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"},
		{"01:30-03:00", "America/New_York", "", "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T03:00:00-05:00"},
		// A night of seven hours, as the clocks go forward in it.
		{"22:00-06:00", "Europe/London", "", "2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T06:00:00+01:00"},
		// A night of nine, as they go back: 03:00 is after the hour that comes twice.
		{"Sat 20:00-03:00", "Australia/Sydney", "", "2026-04-04T21:00:00+11:00", "2026-04-04T21:00:00+11:00", "2026-04-05T03:00:00+10:00"},
		// Half an hour of summer time: from 02:00 to 02:30 there is nothing.
		{"02:00-03:00", "Australia/Lord_Howe", "", "2026-10-04T00:00:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"},
		// 45 minutes from everybody else: the gap lasts from 02:45 to 03:45.
		{"03:00-08:00", "Pacific/Chatham", "", "2026-09-27T00:00:00+12:45", "2026-09-27T03:45:00+13:45", "2026-09-27T08:00:00+13:45"},
		// The day on which there is no midnight begins at 01:00.
		{"00:00-06:00", "America/Santiago", "", "2026-09-05T23:00:00-04:00", "2026-09-06T01:00:00-03:00", "2026-09-06T06:00:00-03:00"},
		// Samoa had no 30 December 2011, a Friday.
		{"09:00-17:00", "Pacific/Apia", "", "2011-12-29T18:00:00-10:00", "2011-12-31T09:00:00+14:00", "2011-12-31T17:00:00+14:00"},
		{"Fri 09:00-17:00", "Pacific/Apia", "", "2011-12-29T18:00:00-10:00", "2012-01-06T09:00:00+14:00", "2012-01-06T17:00:00+14:00"},
		// A holiday on a Friday, and the weekend after it.
		{"Mon-Fri 08:00-20:00", "Asia/Kathmandu", "2027-01-01", "2026-12-31T20:30:00+05:45", "2027-01-04T08:00:00+05:45", "2027-01-04T20:00:00+05:45"},
		// A holiday that comes every four years.
		{"Mon-Fri 08:00-20:00", "UTC", "2028-02-29", "2028-02-28T21:00:00Z", "2028-03-01T08:00:00Z", "2028-03-01T20:00:00Z"},
		// The last day of a month, and of a year, is a day as any other.
		{"20:00-02:00", "Asia/Kolkata", "", "2026-12-31T23:00:00+05:30", "2026-12-31T23:00:00+05:30", "2027-01-01T02:00:00+05:30"},
		// Hours that follow each other without a pause close once.
		{"Mon-Fri 08:00-12:00, Mon-Fri 12:00-18:00", "Europe/Berlin", "", "2026-11-30T09:00:00+01:00", "2026-11-30T09:00:00+01:00", "2026-11-30T18:00:00+01:00"},
		{"Mon-Tue 00:00-24:00", "Europe/Berlin", "", "2026-11-30T09:00:00+01:00", "2026-11-30T09:00:00+01:00", "2026-12-02T00:00:00+01:00"},
		// And those that go on for ever never do.
		{"00:00-24:00", "Europe/Berlin", "", "2026-11-30T09:00:00+01:00", "2026-11-30T09:00:00+01:00", ""},
	} {
		t.Run(tt.text+" "+tt.zone+" "+tt.at, func(t *testing.T) {
			t.Parallel()
			z := zone(t, tt.zone)
			w, err := New(tt.text, z, strings.Fields(tt.holidays))
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}

			next := w.Next(at)
			closes := ""
			if c := w.Closes(next); !c.IsZero() {
				closes = c.In(z).Format(time.RFC3339)
			}
			if opens := next.In(z).Format(time.RFC3339); opens != tt.opens || closes != tt.closes {
				t.Errorf("it opens at %s and closes at %s, want %s and %s", opens, closes, tt.opens, tt.closes)
			}
			if open := w.Open(at); open != (tt.at == tt.opens) {
				t.Errorf("open at %s: %v", tt.at, open)
			}
			if !w.Open(at) && !w.Closes(at).IsZero() {
				t.Errorf("it is closed at %s, and closes at %s", tt.at, w.Closes(at))
			}
		})
	}
}
