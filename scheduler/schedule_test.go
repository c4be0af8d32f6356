package scheduler

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has

	"github.com/google/go-cmp/cmp"
)

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func texts(all []time.Time) []string {
	out := []string{}
	for _, t := range all {
		out = append(out, t.Format(time.RFC3339))
	}
	return out
}

func TestUpcoming(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		timing Timing
		after  string
		want   []string
	}{
		{
			"cron over the end of summer time",
			Timing{Cron: "30 2 * * *", Zone: "Europe/Berlin"},
			"2026-10-23T12:00:00Z",
			[]string{"2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{
			"cron over the beginning of summer time",
			Timing{Cron: "30 2 * * *", Zone: "Europe/Berlin"},
			"2026-03-27T12:00:00Z",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		},
		{
			"a pause",
			Timing{Cron: "@every 1s", Zone: "UTC"},
			"2026-10-01T09:00:00.25Z",
			[]string{"2026-10-01T09:00:01Z", "2026-10-01T09:00:02Z", "2026-10-01T09:00:03Z"},
		},
		{"once", Timing{At: moment(t, "2026-10-01T07:00:00Z"), Zone: "Europe/Berlin"}, "2026-10-01T06:59:59Z", []string{"2026-10-01T09:00:00+02:00"}},
		{"once, at that moment", Timing{At: moment(t, "2026-10-01T07:00:00Z"), Zone: "UTC"}, "2026-10-01T07:00:00Z", []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.timing.Upcoming(moment(t, tc.after), 3)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, texts(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}

	if _, err := (Timing{Cron: "@daily", Zone: "Europe/Nowhere"}).Next(time.Now()); err == nil {
		t.Error("an unknown zone: no error")
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	daily := Timing{Cron: "0 9 * * *", Zone: "Europe/Berlin", MaxLateness: time.Hour}
	for _, tc := range []struct {
		name       string
		timing     Timing
		first, now string
		want       Occurrence // without Recorded
		next       string
	}{
		{
			"one", daily, "2026-10-01T07:00:00Z", "2026-10-01T08:00:01Z",
			Occurrence{Outcome: Missed, Count: 1, Reason: "BS-MISSED: 1h0m1s late, max_lateness is 1h0m0s"},
			"2026-10-02T09:00:00+02:00",
		},
		{
			"a row, the last one is not too late", daily, "2026-10-01T07:00:00Z", "2026-10-04T08:00:00Z",
			Occurrence{Outcome: Missed, Count: 3, Until: moment(t, "2026-10-03T07:00:00Z"), Reason: "BS-MISSED: 25h0m0s late, max_lateness is 1h0m0s"},
			"2026-10-04T09:00:00+02:00",
		},
		{
			"once",
			Timing{At: moment(t, "2026-10-01T07:00:00Z"), Zone: "UTC", MaxLateness: time.Minute},
			"2026-10-01T07:00:00Z", "2026-10-01T08:00:00Z",
			Occurrence{Outcome: Missed, Count: 1, Reason: "BS-MISSED: 1h0m0s late, max_lateness is 1m0s"},
			"",
		},
		{
			"more than are counted",
			Timing{Cron: "@every 1s", Zone: "UTC", MaxLateness: time.Minute},
			"2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z",
			Occurrence{
				Outcome: Missed, Count: countMissed, Until: moment(t, "2026-01-01T00:00:00Z").Add((countMissed - 1) * time.Second),
				Reason: "BS-MISSED: 466h13m21s late, max_lateness is 1m0s; and more times after that",
			},
			"2026-01-31T23:59:00Z",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.want.At, tc.want.Recorded = moment(t, tc.first), moment(t, tc.now)
			got, next, err := missed(tc.timing, tc.want.At, tc.want.Recorded, "")
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			text := ""
			if !next.IsZero() {
				text = next.Format(time.RFC3339)
			}
			if text != tc.next {
				t.Errorf("next: got %q, want %q", text, tc.next)
			}
		})
	}
}
