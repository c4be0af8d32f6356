package throttle

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestDaysAddUp(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, _ func(string) *redis.Script) {
		one, two := NewDays(rdb, "bs"), NewDays(rdb, "bs")
		for _, c := range []struct {
			days *Days
			date string
			n    Day
		}{
			{one, "2026-12-01", Day{Sent: 10, Deferred: 1}},
			{two, "2026-12-01", Day{Sent: 5, Complained: 1}},
			{two, "2026-12-02", Day{Sent: 7}},
		} {
			if err := c.days.Count(t.Context(), "ses", c.date, c.n); err != nil {
				t.Fatal(err)
			}
		}

		got, err := one.Read(t.Context(), "ses")
		want := map[string]Day{"2026-12-01": {Sent: 15, Deferred: 1, Complained: 1}, "2026-12-02": {Sent: 7}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if got, err := one.Read(t.Context(), "other"); err != nil || len(got) > 0 {
			t.Errorf("another account: %v, %v", got, err)
		}
	})
}
