package calendar

import (
	"strings"
	"testing"
	"time"
)

func TestParseAt(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, zone, want string }{
		{"summer", "2026-10-01T09:00", "Europe/Berlin", "2026-10-01T09:00:00+02:00"},
		{"space, seconds", "2026-10-01 09:00:30", "Europe/Berlin", "2026-10-01T09:00:30+02:00"},
		{"offset wins", "2026-10-01T09:00+05:45", "Europe/Berlin", "2026-10-01T05:15:00+02:00"},
		{"offset without zone", "2026-10-01T09:00:00-04:00", "", "2026-10-01T09:00:00-04:00"},
		{"small letters", " 2026-10-01t09:00z ", "", "2026-10-01T09:00:00Z"},
		{"milliseconds as reports print them", "2026-10-01T09:00:00.000Z", "", "2026-10-01T09:00:00Z"},
		{"Kathmandu", "2026-10-01T09:00", "Asia/Kathmandu", "2026-10-01T09:00:00+05:45"},
		{"leap day", "2028-02-29T12:00", "UTC", "2028-02-29T12:00:00Z"},

		{"before the gap", "2026-03-29T01:59", "Europe/Berlin", "2026-03-29T01:59:00+01:00"},
		{"in the gap", "2026-03-29T02:30", "Europe/Berlin", "2026-03-29T03:00:00+02:00"},
		{"after the gap", "2026-03-29T03:00", "Europe/Berlin", "2026-03-29T03:00:00+02:00"},
		{"in the fold", "2026-10-25T02:30", "Europe/Berlin", "2026-10-25T02:30:00+02:00"},
		{"after the fold", "2026-10-25T03:00", "Europe/Berlin", "2026-10-25T03:00:00+01:00"},
		{"New York, gap", "2026-03-08T02:00", "America/New_York", "2026-03-08T03:00:00-04:00"},
		{"New York, fold", "2026-11-01T01:00", "America/New_York", "2026-11-01T01:00:00-04:00"},
		{"no midnight in Sao Paulo", "2018-11-04T00:00", "America/Sao_Paulo", "2018-11-04T01:00:00-02:00"},
		{"Lord Howe, half an hour forward", "2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-04T02:30:00+11:00"},
		{"Lord Howe, half an hour back", "2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00"},
		{"Apia, the day that never was", "2011-12-30T12:00", "Pacific/Apia", "2011-12-31T00:00:00+14:00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAt(test.text, zone(t, test.zone))
			if err != nil {
				t.Fatal(err)
			}
			if got := got.Format(time.RFC3339Nano); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestParseAtErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, zone, want string }{
		{"no zone", "2026-10-01 09:00", "", `time "2026-10-01 09:00" has no offset and no timezone is set; write 2026-10-01T09:00Z, or set timezone: Europe/Berlin`},
		{"empty", "", "UTC", `expected something like 2026-10-01T09:00`},
		{"words", "tomorrow", "UTC", `time "tomorrow": expected something like 2026-10-01T09:00`},
		{"date alone", "2026-10-01", "UTC", `expected something like`},
		{"other order", "01.10.2026 09:00", "UTC", `expected something like`},
		{"30 February", "2026-02-30T09:00", "UTC", `no such date or time of day`},
		{"no leap year", "2027-02-29T09:00", "UTC", `no such date or time of day`},
		{"hour 24", "2026-10-01T24:00", "UTC", `no such date or time of day`},
		{"with offset", "2026-13-01T09:00Z", "UTC", `no such date or time of day`},
		{"year 1", "0001-01-01T00:00", "UTC", `year 1; expected one from 1970 to 2200`},
		{"year 0 with offset", "0000-01-01T00:00Z", "UTC", `year 0; expected`},
		{"slip of the keyboard", "9026-10-01T09:00", "UTC", `year 9026; expected`},
		{"long", strings.Repeat("2026", 1000), "UTC", `time of 4000 bytes; expected something like`},
		{"control characters", "2026-10-01T09:00\x1b[2J", "UTC", `\x1b[2J`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAt(test.text, zone(t, test.zone))
			if err == nil {
				t.Fatalf("got %v, want an error", got)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %q, want %q in it", err, test.want)
			}
		})
	}
}

func TestInZones(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, at, first, second, want string }{
		{"two", "2026-10-01T07:00:00Z", "Europe/Berlin", "America/New_York", "2026-10-01 09:00 CEST (2026-10-01 03:00 EDT)"},
		{"seconds", "2026-10-01T07:00:05Z", "UTC", "Asia/Kathmandu", "2026-10-01 07:00:05 UTC (2026-10-01 12:45:05 +0545)"},
		{"same", "2026-10-01T07:00:00Z", "UTC", "UTC", "2026-10-01 07:00 UTC"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := InZones(at(t, test.at), zone(t, test.first), zone(t, test.second))
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Whatever the text, a time that is accepted reads back as itself, and an error
// says what was expected.
func FuzzParseAt(f *testing.F) {
	for _, s := range []string{
		"2026-10-01T09:00", "2026-10-01 09:00:01", "2026-03-29T02:30", "2011-12-30T12:00Z", "2026-10-25T02:30+01:00", "0000-00-00T00:00", "2026-02-30T09:00", "2026-10-01T09:00:00.5",
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(3))
	}

	names := []string{"Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		z := zone(t, names[int(n)%len(names)])
		got, err := ParseAt(text, z)
		if err != nil {
			if m := err.Error(); !strings.Contains(m, "expected") || len(m) > 1200 {
				t.Fatalf("got error %q, want what was expected, and short", err)
			}
			return
		}

		again, err := ParseAt(got.Format("2006-01-02T15:04:05.999999999Z07:00"), z)
		if err != nil || !again.Equal(got) {
			t.Fatalf("%q: got %v, reads back as %v, error %v", text, got, again, err)
		}
	})
}
