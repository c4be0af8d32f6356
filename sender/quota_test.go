package sender

import (
	"context"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// The recipient for whom a quota has nothing left waits, at no charge, and has the
// message when it frees.
func TestWhoWaitsForAQuotaHasTheMessageAfterwards(t *testing.T) {
	t.Parallel()
	const window = 3 * time.Second
	b := newFixture(t, "a@example.org", "b@example.org", "c@example.org")
	b.alter = func(cfg *Config) {
		cfg.Ways[0].Quotas = func(time.Time, int) []throttle.Quota {
			return []throttle.Quota{{Name: "day", Messages: 2, Window: window}}
		}
		cfg.Tasks = func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
			for {
				for i := range b.to {
					handle(ctx, campaign.Task{Run: "news-1", Index: i})
				}
				if !sleep(ctx, 300*time.Millisecond) {
					return nil
				}
			}
		}
	}
	begun := time.Now()
	counts := b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == 3 })
	if waited := time.Since(begun); waited < window {
		t.Errorf("the third had the message after %s, the window is %s", waited, window)
	}
	if counts[campaign.Deferred] > 0 {
		t.Errorf("counts %v: a recipient was charged", counts)
	}
}
