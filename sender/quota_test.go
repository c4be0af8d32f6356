package sender

import (
	"context"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// A recipient that a quota has nothing left for waits, at no charge, and has the
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

// A quota that has just been spent is asked again soon, since slots may come back that
// were reserved and not used; later once a minute.
func TestASpentQuotaIsAskedAgain(t *testing.T) {
	t.Parallel()
	end := noon.Add(time.Hour)
	s := spentQuota{Spent: throttle.Spent{Until: end}, since: noon, asked: noon, again: noon.Add(time.Second)}
	if got := s.until(noon); !got.Equal(noon.Add(time.Second)) {
		t.Errorf("at once: until %s", got)
	}
	s.asked = noon.Add(returnTime)
	if got := s.until(s.asked); !got.Equal(s.asked.Add(askAgain)) {
		t.Errorf("later: until %s", got)
	}
	s.asked = end.Add(-time.Second)
	if got := s.until(s.asked); !got.Equal(end) {
		t.Errorf("just before it frees: until %s", got)
	}
}
