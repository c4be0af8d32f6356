package configs_test

import (
	"testing"
	"time"

	"broadside/configs"
)

func TestWarmupDays(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w := configs.Warmup{Start: time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), Days: []int{200, 400, 800}}
	for _, tt := range []struct {
		name       string
		warmup     configs.Warmup
		now        string
		day, may   int
		begin, end string
		on         bool
	}{
		{"none", configs.Warmup{}, "2026-10-24T12:00:00Z", 0, 0, "", "", false},
		{"the evening before", w, "2026-10-23T21:59:59Z", 0, 0, "2026-10-23T00:00:00+02:00", "2026-10-24T00:00:00+02:00", true},
		{"days before", w, "2026-10-01T12:00:00Z", 0, 0, "2026-10-01T00:00:00+02:00", "2026-10-24T00:00:00+02:00", true},
		{"the first moment", w, "2026-10-23T22:00:00Z", 1, 200, "2026-10-24T00:00:00+02:00", "2026-10-25T00:00:00+02:00", true},
		{"a day of 25 hours", w, "2026-10-25T22:59:59Z", 2, 400, "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", true},
		{"the last day", w, "2026-10-26T12:00:00Z", 3, 800, "2026-10-26T00:00:00+01:00", "2026-10-27T00:00:00+01:00", true},
		{"the day after", w, "2026-10-26T23:00:00Z", 4, 0, "2026-10-27T00:00:00+01:00", "2026-10-28T00:00:00+01:00", false},
		{"years after", w, "2036-10-27T12:00:00Z", 3657, 0, "2036-10-27T00:00:00+01:00", "2036-10-28T00:00:00+01:00", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			day, may, begin, end, on := tt.warmup.Day(now, berlin)
			if day != tt.day || may != tt.may || on != tt.on {
				t.Errorf("got day %d, %d messages, on %v; want %d, %d, %v", day, may, on, tt.day, tt.may, tt.on)
			}
			for _, at := range []struct {
				got  time.Time
				want string
			}{{begin, tt.begin}, {end, tt.end}} {
				if got := at.got.Format(time.RFC3339); got != at.want && (at.want != "" || !at.got.IsZero()) {
					t.Errorf("got %s, want %s", got, at.want)
				}
			}
		})
	}
}

func TestWarmupAllowance(t *testing.T) {
	t.Parallel()
	w := configs.Warmup{Days: []int{200, 400}}
	for day, want := range map[int]int{-1: 200, 0: 200, 1: 200, 2: 400} {
		if got, on := w.Allowance(day); got != want || !on {
			t.Errorf("day %d: got %d, %v, want %d", day, got, on, want)
		}
	}
	if got, on := w.Allowance(3); on {
		t.Errorf("day 3 of 2: got %d", got)
	}
	if got, on := (configs.Warmup{}).Allowance(0); on {
		t.Errorf("without a warm-up: got %d", got)
	}
}

func TestThirtyDays(t *testing.T) {
	t.Parallel()
	days := configs.ThirtyDays()
	if len(days) != 30 || days[0] != 200 || days[29] != 400_000 {
		t.Fatalf("got %d days: %v", len(days), days)
	}
	for i := 1; i < len(days); i++ {
		if growth := float64(days[i]) / float64(days[i-1]); growth < 1.2 || growth > 1.4 {
			t.Errorf("day %d: %d after %d", i+1, days[i], days[i-1])
		}
	}
}
