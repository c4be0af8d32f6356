package scheduler

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/window"
)

// livingIn is an audience with a row for each zone.
func livingIn(t testing.TB, names ...string) *audience.Reader {
	t.Helper()
	n := 0
	return audience.FromRows("test", []string{"email", "tz"}, func(row *audience.Row) error {
		if n == len(names) {
			return io.EOF
		}
		a, err := address.Parse(fmt.Sprintf("reader%d@example.org", n))
		if err != nil {
			return err
		}
		row.Line = n + 2
		row.Address = a
		row.Values = append(row.Values[:0], a.String(), names[n])
		n++
		return nil
	})
}

// noSuppressions is a suppression list of its own, and empty.
func noSuppressions(t testing.TB) *suppression.Store {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { rdb.Close() })
	return suppression.New(rdb, "bs", redis.NewScript)
}

// morning is nine o'clock by each recipient's clock, with the zone in the second column.
func morning() *campaign.LocalTime {
	return &campaign.LocalTime{
		Hours: campaign.Hours{Field: 1, Fallback: "Europe/Berlin"},
		At:    time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC), WhenPassed: campaign.PassedNow,
	}
}

// utc is a moment on the days around that morning.
func utc(day, hour, minute int) time.Time {
	return time.Date(2026, 9, 30+day, hour, minute, 0, 0, time.UTC)
}

// momentsOf returns when recipients in these zones get the message; the zero time for one
// that does not.
func momentsOf(t *testing.T, sel Selection, names ...string) ([]time.Time, Plan) {
	t.Helper()
	c, err := newClock(sel)
	if err != nil {
		t.Fatal(err)
	}
	var got []time.Time
	for i, name := range names {
		row := audience.Row{Address: address.Address{Local: fmt.Sprint("reader", i), Domain: "example.org"}, Values: []string{"", name}}
		if c.of(row.Values).skipped {
			got = append(got, time.Time{})
			continue
		}
		m := c.take(row)
		m.wave.Recipients++
		got = append(got, sel.Made.Add(m.due))
	}
	return got, Plan{Local: c.plan()}
}

func TestWhenARecipientGetsTheMessage(t *testing.T) {
	t.Parallel()
	office, err := window.New("Mon-Fri 10:00-18:00", time.UTC, []string{"2026-10-02"})
	if err != nil {
		t.Fatal(err)
	}
	// 2026-10-01 is a Thursday.
	first := utc(0, 19, 0)
	for _, tc := range []struct {
		name   string
		made   time.Time
		change func(*campaign.LocalTime)
		zone   string
		want   time.Time // zero: never
	}{
		{"the first zone, when the run is made", first, nil, "Pacific/Kiritimati", first},
		{"a later one", first, nil, "Asia/Kolkata", utc(1, 3, 30)},
		{"the last one", first, nil, "Etc/GMT+12", utc(1, 21, 0)},
		{"no zone", first, nil, "", utc(1, 7, 0)},
		{"a zone that is not known", first, nil, "Atlantis", utc(1, 7, 0)},

		{"made some seconds late, it is not too late", first.Add(30 * time.Second), func(l *campaign.LocalTime) { l.WhenPassed = campaign.PassedSkip }, "Pacific/Kiritimati", first.Add(30 * time.Second)},
		{"passed, and at once", utc(1, 8, 0), nil, "Europe/Berlin", utc(1, 8, 0)},
		{"passed, and the next day", utc(1, 8, 0), func(l *campaign.LocalTime) { l.WhenPassed = campaign.PassedNextDay }, "Europe/Berlin", utc(2, 7, 0)},
		{"passed by more than a day", utc(3, 8, 0), func(l *campaign.LocalTime) { l.WhenPassed = campaign.PassedNextDay }, "Europe/Berlin", utc(4, 7, 0)},
		{"passed, and never", utc(1, 8, 0), func(l *campaign.LocalTime) { l.WhenPassed = campaign.PassedSkip }, "Europe/Berlin", time.Time{}},
		{"not passed yet in another zone", utc(1, 8, 0), func(l *campaign.LocalTime) { l.WhenPassed = campaign.PassedSkip }, "America/New_York", utc(1, 13, 0)},
		{
			"the next day is the one on which summer time ends", time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC), func(l *campaign.LocalTime) {
				l.At = time.Date(2026, 10, 24, 9, 0, 0, 0, time.UTC)
				l.WhenPassed = campaign.PassedNextDay
			}, "Europe/Berlin", time.Date(2026, 10, 25, 8, 0, 0, 0, time.UTC),
		},

		{"a window that opens later on the day", first, func(l *campaign.LocalTime) { l.Window = office }, "Asia/Tokyo", utc(1, 1, 0)},
		{"passed, and the window is closed by then", utc(1, 16, 30), func(l *campaign.LocalTime) { l.Window = office }, "Europe/Berlin", utc(5, 8, 0)}, // not on the holiday
		{"passed, and the window is open", utc(1, 15, 30), func(l *campaign.LocalTime) { l.Window = office }, "Europe/Berlin", utc(1, 15, 30)},
		{"at once, in the hours of each", utc(1, 0, 30), func(l *campaign.LocalTime) { l.At = time.Time{}; l.Window = office }, "Asia/Tokyo", utc(1, 1, 0)},
		{"at once", utc(1, 0, 30), func(l *campaign.LocalTime) { l.At = time.Time{} }, "Asia/Tokyo", utc(1, 0, 30)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			local := morning()
			if tc.change != nil {
				tc.change(local)
			}
			got, _ := momentsOf(t, Selection{Local: local, Made: tc.made, Lasts: time.Hour}, tc.zone)
			if !got[0].Equal(tc.want) {
				t.Errorf("%s: got %s, want %s", tc.zone, got[0], tc.want)
			}
		})
	}
}

// A plan says which zones get the message when, and how many rows named none that is known.
func TestAPlanHasTheWaves(t *testing.T) {
	t.Parallel()
	local := morning()
	local.WhenPassed = campaign.PassedSkip
	sel := Selection{Local: local, Made: utc(1, 6, 0), Lasts: 48 * time.Hour}
	names := []string{"Europe/Berlin", "", "Europe/Paris", "Asia/Tokyo", "Mars/Phobos", "Europe/London", "America/New_York", "Europe/Berlin", "Mars/Deimos"}
	plan, err := Expand(t.Context(), livingIn(t, names...), sel, noSuppressions(t), nil, nil)
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, w := range plan.Local.Waves {
		got = append(got, fmt.Sprint(w.At.Format("15:04"), " ", w.Recipients, " ", w.Zones))
	}
	want := []string{"07:00 6 [Europe/Berlin Europe/Paris]", "08:00 1 [Europe/London]", "13:00 1 [America/New_York]"}
	if !slices.Equal(got, want) {
		t.Errorf("waves: got %q, want %q", got, want)
	}
	l := plan.Local
	if plan.Skipped != (campaign.Skipped{Passed: 1}) || plan.Total != 8 || plan.Rows() != 9 {
		t.Errorf("of %d rows %d are recipients, skipped %+v; want that Tokyo's time has passed", plan.Rows(), plan.Total, plan.Skipped)
	}
	if l.Empty != 1 || l.Unknown != 2 || !slices.Equal(l.Names, []string{`"Mars/Phobos"`, `"Mars/Deimos"`}) || l.Fallback != "Europe/Berlin" {
		t.Errorf("without a zone %d, unknown %d %q, by the clock of %s", l.Empty, l.Unknown, l.Names, l.Fallback)
	}
	if want := 7*time.Hour + 48*time.Hour; l.Expires != want {
		t.Errorf("it expires after %s, want %s: 48 hours after the last wave", l.Expires, want)
	}
}

// Who has no time any more takes no place of a limit or of a sample.
func TestWhoseTimeHasPassedTakesNoPlace(t *testing.T) {
	t.Parallel()
	local := morning()
	local.WhenPassed = campaign.PassedSkip
	var names []string
	for range 50 {
		names = append(names, "Asia/Tokyo", "America/New_York")
	}
	for _, sel := range []Selection{{Limit: 30}, {Sample: campaign.SampleSize{Number: 30}}} {
		sel.Local = local
		sel.Made = utc(1, 6, 0)
		sel.Lasts = time.Hour
		plan, err := Expand(t.Context(), livingIn(t, names...), sel, noSuppressions(t), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := plan.Skipped
		if plan.Total != 30 || s.Passed != 50 || s.Limited+s.Sampled != 20 {
			t.Errorf("%d recipients, skipped %+v; want 30, and 50 whose time has passed", plan.Total, s)
		}
	}
}

// A spread gives each recipient a moment of their own after their time: always the same one
// in a run, evenly divided also among those who were drawn for a sample, and in the hours.
func TestASpreadByEachClock(t *testing.T) {
	t.Parallel()
	evening, err := window.New("08:00-10:00", time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	local := morning()
	local.Spread = 3 * time.Hour
	sel := Selection{Local: local, Made: utc(0, 19, 0), Lasts: 48 * time.Hour, Seed: "run-1"}
	names := slices.Repeat([]string{"Asia/Tokyo"}, 2000)
	begins := utc(1, 0, 0)

	got, plan := momentsOf(t, sel, names...)
	again, _ := momentsOf(t, sel, names...)
	sel.Seed = "run-2"
	other, _ := momentsOf(t, sel, names...)
	if !slices.Equal(got, again) || slices.Equal(got, other) {
		t.Errorf("the same moments for one run: %v; for another: %v", slices.Equal(got, again), slices.Equal(got, other))
	}
	if want := begins.Add(3*time.Hour + 48*time.Hour).Sub(sel.Made); plan.Local.Expires != want {
		t.Errorf("it expires after %s, want %s", plan.Local.Expires, want)
	}
	thirds := make([]int, 3)
	for i, at := range got {
		after := at.Sub(begins)
		if after < 0 || after >= 3*time.Hour {
			t.Fatalf("reader %d gets it %s after their time", i, after)
		}
		// A sample of a tenth, as Expand draws it.
		row := address.Address{Local: fmt.Sprint("reader", i), Domain: "example.org"}
		if float64(chance("run-1", row.Hash())) < 0.1*(1<<64) {
			thirds[int(after/time.Hour)]++
		}
	}
	if slices.Min(thirds) < 30 {
		t.Errorf("of a tenth of 2,000 these get it in the three hours: %d", thirds)
	}

	local.Window = evening
	got, _ = momentsOf(t, sel, names...)
	for i, at := range got {
		if hour := at.In(mustZone(t, "Asia/Tokyo")).Hour(); hour < 8 || hour >= 10 {
			t.Fatalf("reader %d gets it at %s, outside of their hours", i, at)
		}
	}
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// What cannot be meant, or cannot be kept, is an error before anything is written.
func TestClocksThatCannotBe(t *testing.T) {
	t.Parallel()
	sel := Selection{Local: morning(), Made: utc(0, 19, 0), Lasts: 48 * time.Hour}
	for _, tc := range []struct {
		name   string
		change func(*Selection)
		zones  []string
		want   error
	}{
		{"no row has a zone", func(*Selection) {}, []string{"", "", ""}, ErrNoZone},
		{"no row has a zone that is known", func(*Selection) {}, []string{"Berlin", "CET/Berlin", ""}, ErrNoZone},
		{"one has", func(*Selection) {}, []string{"Berlin", "Asia/Tokyo", ""}, nil},
		{"one that is not sent to has", func(s *Selection) { s.Limit = 1 }, []string{"", "Asia/Tokyo"}, nil},
		{"all are excluded", func(s *Selection) { s.Excluded = func([32]byte) bool { return true } }, []string{"Asia/Tokyo"}, ErrNoRecipients},
		{"more than the 194 days that a cell counts", func(s *Selection) { s.Made = s.Made.Add(-200 * 24 * time.Hour) }, []string{"Asia/Tokyo"}, ErrTooLong},
		{"just as many", func(s *Selection) { s.Made = s.Made.Add(-190 * 24 * time.Hour) }, []string{"Asia/Tokyo"}, nil},
		{"a window that never opens", func(s *Selection) {
			local := *s.Local
			local.Window = window.Closed
			s.Local = &local
		}, []string{"Asia/Tokyo"}, ErrTooLong},
	} {
		sel := sel
		tc.change(&sel)
		if _, err := Expand(t.Context(), livingIn(t, tc.zones...), sel, noSuppressions(t), nil, nil); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	if days := ledger.MaxDue / (24 * time.Hour); days != 194 {
		t.Errorf("a cell counts %d days", days)
	}
}
