package throttle

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// To ask when the next slot is free takes no slot, and needs to know nothing of those who
// reserve.
func TestNextTellsWhenTheNextSlotIsFree(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		limit := Limit{Campaign: "news-1", Rate: 0.1}
		p, other := New(rdb, "bs", lua, nil), New(rdb, "bs", lua, nil)
		next := func() time.Duration {
			t.Helper()
			at, err := other.Next(t.Context(), limit)
			if err != nil {
				t.Fatal(err)
			}
			if at.IsZero() {
				return 0
			}
			return time.Until(at)
		}
		if d := next(); d > 0 {
			t.Errorf("before anything is reserved: in %s, want now", d)
		}
		if g, err := p.Reserve(t.Context(), Request{Limits: []Limit{limit}, N: 1}); err != nil || len(g.Slots) != 1 {
			t.Fatal(g, err)
		}
		for range 2 {
			if d := next(); d < 8*time.Second || d > 11*time.Second {
				t.Errorf("after one: in %s, want 10 s", d)
			}
		}
	})
}
