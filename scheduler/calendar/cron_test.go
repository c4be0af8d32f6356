package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCronNext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, zone, after string
		want                    []string
	}{
		{
			"mondays", "0 9 * * MON", "Europe/Berlin", "2026-10-01T00:00:00Z",
			[]string{"2026-10-05T09:00:00+02:00", "2026-10-12T09:00:00+02:00", "2026-10-19T09:00:00+02:00", "2026-10-26T09:00:00+01:00"},
		},
		{"strictly after", "0 9 * * *", "UTC", "2026-10-01T09:00:00Z", []string{"2026-10-02T09:00:00Z"}},
		{"a moment before", "0 9 * * *", "UTC", "2026-10-01T08:59:59Z", []string{"2026-10-01T09:00:00Z"}},
		{
			"lists, ranges, steps", "*/30 8-18/5 1,15 jan-MAR *", "UTC", "2026-01-01T13:10:00Z",
			[]string{"2026-01-01T13:30:00Z", "2026-01-01T18:00:00Z", "2026-01-01T18:30:00Z", "2026-01-15T08:00:00Z"},
		},
		{"open step", "50/5 23 * * *", "UTC", "2026-01-01T00:00:00Z", []string{"2026-01-01T23:50:00Z", "2026-01-01T23:55:00Z", "2026-01-02T23:50:00Z"}},
		{"either day field", "0 0 13 * FRI", "UTC", "2026-11-07T00:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"sunday is 0 and 7", "0 0 * * 7", "UTC", "2026-10-01T00:00:00Z", []string{"2026-10-04T00:00:00Z"}},
		{"to sunday", "0 0 * * SAT-SUN", "UTC", "2026-10-01T00:00:00Z", []string{"2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", "2026-10-10T00:00:00Z"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"no leap year in 2100", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"31st", "0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", []string{"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}},
		{"@daily", "@daily", "Asia/Kathmandu", "2026-10-01T00:00:00Z", []string{"2026-10-02T00:00:00+05:45"}},
		{"@Weekly", "@Weekly", "UTC", "2026-10-01T00:00:00Z", []string{"2026-10-04T00:00:00Z"}},
		{"@monthly", "@monthly", "UTC", "2026-10-01T00:00:00Z", []string{"2026-11-01T00:00:00Z"}},
		{"@yearly", "@yearly", "UTC", "2026-10-01T00:00:00Z", []string{"2027-01-01T00:00:00Z"}},
		{"@hourly", "@hourly", "UTC", "2026-10-01T00:00:00Z", []string{"2026-10-01T01:00:00Z"}},

		{
			"gap: once, after it", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		},
		{
			"gap: several are one", "*/20 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:20:00+02:00"},
		},
		{
			"fold: once, the first", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{"fold: asked in the second hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:15:00Z", []string{"2026-10-26T02:30:00+01:00"}},
		{
			"fold: hourly is silent", "@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"},
		},
		{
			"no midnight in Sao Paulo", "@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		},
		{"Lord Howe, forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"Lord Howe, back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T10:00:00Z", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{
			"Apia had no Friday", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			[]string{"2011-12-29T09:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"},
		},

		{"@every is anchored", "@every 90m", "UTC", "1970-01-01T00:00:00Z", []string{"1970-01-01T01:30:00Z", "1970-01-01T03:00:00Z"}},
		{"@every, any start", "@every 7s", "", "2026-10-01T00:00:01Z", []string{"2026-10-01T00:00:07Z", "2026-10-01T00:00:14Z"}},
		{
			"@every through the fold", "@every 1h", "Europe/Berlin", "2026-10-24T23:30:00Z",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		},
		{"before all time", "@yearly", "UTC", "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
		{"@every before all time", "@every 1h", "UTC", "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
		{"never again", "@yearly", "UTC", "2200-01-01T00:00:00Z", []string{"0001-01-01T00:00:00Z"}},
		{"@every never again", "@every 1h", "UTC", "2201-01-01T00:00:00Z", []string{"0001-01-01T00:00:00Z"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := ParseCron(test.text, zone(t, test.zone))
			if err != nil {
				t.Fatal(err)
			}

			var got []string
			after := at(t, test.after)
			for range test.want {
				after = c.Next(after)
				got = append(got, after.Format(time.RFC3339))
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("occurrences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseCronErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, zone, want string }{
		{"", "UTC", `cron text is empty; expected five fields`},
		{"0 9 * *", "UTC", `cron "0 9 * *": found 4 fields; expected five fields (minute hour day month weekday) like "0 9 * * MON"`},
		{"0 0 9 * * MON", "UTC", `found 6 fields`},
		{"60 9 * * *", "UTC", `minute: found "60"; expected 0 to 59, as in 0, */15`},
		{"0 24 * * *", "UTC", `hour: found "24"; expected 0 to 23`},
		{"0 9 0 * *", "UTC", `day of month: found "0"; expected 1 to 31`},
		{"0 9 * 13 *", "UTC", `month: found "13"; expected 1 to 12`},
		{"0 9 * * MONDAY", "UTC", `day of week: found "MONDAY"; expected 0 to 7, as in *, MON or MON-FRI`},
		{"0 9 * * FRI-MON", "UTC", `found "FRI-MON", which ends before it begins`},
		{"30-10 9 * * *", "UTC", `found "30-10", which ends before it begins`},
		{"*/0 9 * * *", "UTC", `found the step "0"`},
		{"*/60 9 * * *", "UTC", `found the step "60"; expected a number from 1 to 59, as in */2`},
		{"*/ 9 * * *", "UTC", `found the step ""`},
		{"0,, 9 * * *", "UTC", `minute: found ""`},
		{"-1 9 * * *", "UTC", `minute: found ""`},
		{"+1 9 * * *", "UTC", `minute: found "+1"`},
		{"0 9 30 2 *", "UTC", `cron "0 9 30 2 *": its day never comes; the longest of its months has 29 days`},
		{"0 9 31 4,6 *", "UTC", `the longest of its months has 30 days`},
		{"x 99 * * *", "UTC", `hour: found "99"`}, // all errors at once
		{"@noon", "UTC", `cron "@noon": no such word; expected @hourly, @daily`},
		{"@daily 9", "UTC", `no such word`},
		{"@every", "UTC", `found ""; expected a pause like 90m`},
		{"@every soon", "UTC", `found "soon"; expected a pause like 90m`},
		{"@every 500ms", "UTC", `found a pause of 500ms; expected whole seconds`},
		{"@every 1500ms", "UTC", `found a pause of 1.5s; expected whole seconds`},
		{"@every -1h", "UTC", `found a pause of -1h0m0s`},
		{"@every 999999h", "UTC", `expected whole seconds, from 1s to 87600h0m0s`},
		{"0 9 * * *", "", `cron "0 9 * * *": no timezone is set`},
		{"CRON_TZ=UTC 0 9 * * *", "UTC", `found 6 fields`},
		{strings.Repeat("0,", 5000) + "0 9 * * *", "UTC", `cron text of 10009 bytes`},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.20s", test.text), func(t *testing.T) {
			t.Parallel()
			c, err := ParseCron(test.text, zone(t, test.zone))
			if err == nil {
				t.Fatalf("got %v, want an error", c)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %q, want %q in it", err, test.want)
			}
		})
	}

	if got := (Cron{}).Next(time.Now()); !got.IsZero() {
		t.Errorf("the zero Cron: got %v, want never", got)
	}
}

// walk lists the occurrences between two moments by looking at every minute: the
// clock's hand moves, and every local minute that it reaches or jumps over for the
// first time happens then.
func walk(c Cron, from, to time.Time) []time.Time {
	const minute = 60
	var found []time.Time
	highest := int64(-1 << 62)
	for m := from.Add(-26 * time.Hour).Truncate(time.Minute); m.Before(to); m = m.Add(time.Minute) {
		_, offset := m.In(c.zone).Zone()
		shown := m.Unix() + int64(offset)
		happens := false
		for w := max(highest+minute, shown-25*3600); w <= shown; w += minute {
			l := time.Unix(w, 0).UTC()
			happens = happens || c.minute.has(l.Minute()) && c.hour.has(l.Hour()) && c.month.has(int(l.Month())) && c.onDay(l)
		}
		highest = max(highest, shown)
		if happens && m.After(from) {
			found = append(found, m)
		}
	}

	return found
}

// Next against a walk through every minute, around every kind of change.
func TestModelCron(t *testing.T) {
	t.Parallel()
	changes := []struct{ zone, at string }{
		{"Europe/Berlin", "2026-03-29T01:00:00Z"},
		{"Europe/Berlin", "2026-10-25T01:00:00Z"},
		{"America/New_York", "2026-03-08T07:00:00Z"},
		{"America/New_York", "2026-11-01T06:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		{"America/Sao_Paulo", "2018-02-18T02:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
		{"Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"Asia/Kathmandu", "1985-12-31T18:30:00Z"},
		{"Asia/Pyongyang", "2018-05-04T15:00:00Z"},
		{"UTC", "2028-02-29T00:00:00Z"},
	}
	rapid.Check(t, func(rt *rapid.T) {
		change := rapid.SampledFrom(changes).Draw(rt, "change")
		pick := func(name string, texts ...string) string { return rapid.SampledFrom(texts).Draw(rt, name) }
		text := strings.Join([]string{
			pick("minute", "0", "30", "*/15", "7,45", "59", "*"),
			pick("hour", "*", "0", "1", "2", "3", "1-3", "0,23", "*/6"),
			pick("day", "*", "*", "29", "*/2", "4,25,30"),
			pick("month", "*", "2,3,4", "10-12"),
			pick("weekday", "*", "*", "SUN", "FRI-SUN"),
		}, " ")
		c, err := ParseCron(text, zone(t, change.zone))
		if err != nil {
			rt.Fatal(err)
		}

		from := at(t, change.at).Add(-time.Duration(rapid.IntRange(0, 30*60).Draw(rt, "minutes before")) * time.Minute)
		to := from.Add(55 * time.Hour)
		var got []string
		for next := c.Next(from); next.Before(to) && !next.IsZero(); next = c.Next(next) {
			got = append(got, next.UTC().Format(time.RFC3339))
		}

		var want []string
		for _, m := range walk(c, from, to) {
			want = append(want, m.UTC().Format(time.RFC3339))
		}

		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%q in %s from %v (-want +got):\n%s", text, change.zone, from, diff)
		}
	})
}

// Whatever the text, occurrences are strictly after the time asked for and in
// order, and an error says what was expected.
func FuzzParseCron(f *testing.F) {
	for _, s := range []string{
		"0 9 * * MON", "*/15 8-18 * * MON-FRI", "30 2 29 2 *", "@daily", "@every 1h", "@every 1h 30m", "0 0 31 2 *", "5/10 * * JAN,JUL SUN", "* * * * 7", "0-0/59 0 1-31/30 12 0-6",
	} {
		f.Add(s, int64(1_774_746_000), uint8(0))
		f.Add(s, int64(1_792_890_000), uint8(1))
	}

	names := []string{"Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"}
	f.Fuzz(func(t *testing.T, text string, unix int64, n uint8) {
		c, err := ParseCron(text, zone(t, names[int(n)%len(names)]))
		if err != nil {
			if m := err.Error(); !strings.Contains(m, "expected") && !strings.Contains(m, "never comes") {
				t.Fatalf("got error %q, want what was expected", err)
			}
			return
		}

		after := time.Unix(unix%(1<<40), unix&0xffff).UTC()
		for range 4 {
			next := c.Next(after)
			if next.IsZero() {
				if after.Year() < 2190 {
					t.Fatalf("%q: no occurrence after %v", text, after)
				}
				return
			}
			if !next.After(after) {
				t.Fatalf("%q: got %v, want it after %v", text, next, after)
			}
			after = next
		}

		if again, err := ParseCron(c.String(), c.zone); err != nil || again != c {
			t.Fatalf("%q: reads back as %v, error %v", text, again, err)
		}
	})
}
