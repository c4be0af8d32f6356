package account_test

import (
	"testing"
	"time"

	"broadside/configs"
	"broadside/internal/account"
	"broadside/throttle"
)

// Each day with too many deferrals or complaints costs one step; today, days before
// the warm-up and days with hardly any message cost none.
func TestHeld(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 2*60*60)
	w := configs.Warmup{Start: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Days: []int{100, 200, 300, 400}}
	now := time.Date(2026, 12, 3, 23, 0, 0, 0, time.UTC) // the 4th in the zone
	for name, tt := range map[string]struct {
		date string
		day  throttle.Day
		want int
	}{
		"nothing":            {"2026-12-01", throttle.Day{}, 0},
		"2 % deferred":       {"2026-12-01", throttle.Day{Sent: 100, Deferred: 2}, 0},
		"more than 2 %":      {"2026-12-01", throttle.Day{Sent: 100, Deferred: 3}, 1},
		"0.1 % complained":   {"2026-12-02", throttle.Day{Sent: 1000, Complained: 1}, 0},
		"more than 0.1 %":    {"2026-12-02", throttle.Day{Sent: 1000, Complained: 2}, 1},
		"too few to count":   {"2026-12-02", throttle.Day{Sent: 49, Deferred: 49}, 0},
		"before the warm-up": {"2026-11-30", throttle.Day{Sent: 100, Deferred: 50}, 0},
		"yesterday":          {"2026-12-03", throttle.Day{Sent: 100, Deferred: 50}, 1},
		"today":              {"2026-12-04", throttle.Day{Sent: 100, Deferred: 50}, 0},
	} {
		if got := account.Held(w, map[string]throttle.Day{tt.date: tt.day}, now, zone); got != tt.want {
			t.Errorf("%s: %d steps are held, want %d", name, got, tt.want)
		}
	}

	if day, allowance, _, _, _ := w.Later(1).Day(now, zone); day != 3 || allowance != 300 {
		t.Errorf("with one step held it is day %d with %d messages, want 3 and 300", day, allowance)
	}
	if day, _, _, _, _ := w.Later(2).Day(now.AddDate(0, 0, 10), zone); day != 12 {
		t.Errorf("day %d long after, want 12", day)
	}
}
