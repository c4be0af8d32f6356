package doctor

import (
	"strings"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/store"
	"broadside/scheduler"
)

func TestMissedFinding(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 8, 7, 0, 0, 0, time.UTC)
	occurrence := func(outcome string, daysAgo int, reason string) scheduler.Occurrence {
		at := now.Add(-time.Duration(daysAgo) * 24 * time.Hour)
		return scheduler.Occurrence{At: at, Outcome: outcome, Reason: reason, Recorded: at.Add(time.Hour)}
	}
	row := occurrence(scheduler.Missed, 3, "BS-MISSED: a row")
	row.Until = row.At.Add(30 * time.Hour)
	row.Count = 5
	for _, tc := range []struct {
		name    string
		history []scheduler.Occurrence
		want    string // empty: no finding
	}{
		{"nothing", nil, ""},
		{"all is well", []scheduler.Occurrence{occurrence(scheduler.Fired, 1, ""), occurrence(scheduler.Skipped, 2, ""), occurrence(scheduler.Failed, 3, "BS-NOT-LAUNCHED: no list")}, ""},
		{"long ago", []scheduler.Occurrence{occurrence(scheduler.Missed, 9, "BS-MISSED: late")}, ""},
		{"one", []scheduler.Occurrence{occurrence(scheduler.Fired, 0, ""), occurrence(scheduler.Missed, 1, "BS-MISSED: late")}, "times missed in the last days: 1, the latest 2026-10-07T07:00:00Z: BS-MISSED: late"},
		{"several", []scheduler.Occurrence{row, occurrence(scheduler.Missed, 4, "BS-MISSED: late"), occurrence(scheduler.Missed, 9, "")}, "times missed in the last days: 6, the latest 2026-10-06T13:00:00Z: BS-MISSED: a row"},
	} {
		got, found := missedFinding("news", tc.history, now)
		if found != (tc.want != "") || got.Text != tc.want {
			t.Errorf("%s: got %v, %q; want %q", tc.name, found, got.Text, tc.want)
		}
		if found && (got.Subject != "campaign news" || got.Code != codes.Missed || got.Level != store.Warning || !strings.Contains(got.Fix, "launch news --now")) {
			t.Errorf("%s: got %+v", tc.name, got)
		}
	}
}
