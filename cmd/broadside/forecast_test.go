package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/internal/forecast"
	"broadside/internal/launch"
	"broadside/throttle"
)

// A forecast in words: what stands under the plan of a launch.
func TestShowForecast(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 12, 1, 13, 17, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	const day = 24 * time.Hour
	f := forecast.Forecast{
		Now: now, Finish: in(5*day + 2*time.Hour), Expires: in(2 * day), Expired: 4210,
		Lanes: []forecast.Flow{
			{Account: "ses-main", Lane: "gmail", Recipients: 12400, Ceiling: 20, Finish: in(15 * time.Minute)},
			{Account: "ses-main", Lane: "other", Recipients: 1, Finish: in(day)},
			{Account: "spare", Lane: "slow.example", Recipients: 310, Ceiling: 1. / 60, Finish: in(5*day + 2*time.Hour)},
			{Account: "spare", Lane: "yahoo", Recipients: 2},
		},
		Waits: []forecast.Wait{
			{Account: "ses-main", Quota: throttle.Quota{Name: "day", Messages: 50000}, At: in(5 * time.Hour), Until: in(day), Waiting: 12000},
			{Account: "spare", Quota: throttle.Quota{Name: "hour", Messages: 900}, At: now, Until: in(time.Hour), Others: 3},
			{Account: "ses-main", Quota: throttle.Quota{Name: "warmup", Messages: 800}, At: now, Until: in(time.Hour), Waiting: 3},
		},
		Warmups: []forecast.Warmup{
			{Account: "ses-main", Day: 3, Allowance: 800, Left: 800, Days: 6},
			{Account: "spare", Day: 4, Allowance: 1500, Left: 200, Days: 1},
			{Account: "late", Days: 9},
		},
	}
	want := `forecast    ses-main  gmail         12,400 people  20/s        done about 14:32 CET
            ses-main  other              1 person  no ceiling  done about tomorrow 14:17 CET
            spare     slow.example     310 people  1/min       done about 2026-12-06 16:17 CET
            spare     yahoo              2 people  no ceiling  never done
            all done about 2026-12-06 16:17 CET, which takes 5.1 days
            50,000 a day by ses-main are used up at about 19:17 CET; 12,000 people wait until about tomorrow 14:17 CET
            900 an hour by spare are used up until about 15:17 CET; the other accounts take over
            warm-up day 3 of ses-main allows 800 messages; this audience takes 6 days
            warm-up day 4 of spare allows 1,500 messages, of which 200 are left: enough for this audience
            the warm-up of late has not begun, and nothing leaves before; this audience takes 9 days
warning     4,210 people wait for longer than the run lasts (delivery.expires_after: 2d): raise it, or send in parts (--limit)
`
	var b strings.Builder
	showForecast(&b, launch.Plan{Forecast: f, Zone: berlin}, ink{}, now)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLasting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "1 second"},
		{89 * time.Second, "89 seconds"},
		{18*time.Minute + 12*time.Second, "18 minutes"},
		{100 * time.Minute, "1.7 hours"},
		{2 * time.Hour, "2 hours"},
		{36 * time.Hour, "1.5 days"},
	} {
		if got := lasting(tt.d); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.d, got, tt.want)
		}
	}
}
