package sender

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// A run whose content or recipients cannot be read used to stay `running` for
// ever, with nothing sent and nothing said.
func TestARunThatCannotBeReadIsHeld(t *testing.T) {
	t.Parallel()
	overwritten := func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Del(ctx, key)
		p.SAdd(ctx, key, "a set")
	}
	for _, tt := range []struct {
		name, key, says string
		damage          func(ctx context.Context, p redis.Pipeliner, key string)
	}{
		{"content of another type", "content", "content of run news-1", overwritten},
		{"content that is no content", "content", "content of run news-1", func(ctx context.Context, p redis.Pipeliner, key string) { p.Set(ctx, key, "odd", 0) }},
		{"no content", "content", "content of news-1", func(ctx context.Context, p redis.Pipeliner, key string) { p.Del(ctx, key) }},
		{"recipients of another type", "chunks", "recipients of run news-1", overwritten},
		{"recipients that are none", "chunks", "recipients of run news-1", func(ctx context.Context, p redis.Pipeliner, key string) { p.HSet(ctx, key, "0:0", "odd") }},
		{"no recipients", "chunks", "addresses of news-1", func(ctx context.Context, p redis.Pipeliner, key string) { p.Del(ctx, key) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, "ada@example.org")
			_, err := b.rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
				tt.damage(t.Context(), p, "bs:{run:news-1}:"+b.run.Attempt+":"+tt.key)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var reason string
			b.work(b.supp, func(campaign.Counts) bool {
				rec, err := b.ledger.Record(context.Background(), "news-1")
				if err != nil || rec.State != campaign.Held {
					return false
				}
				reason = rec.Reason
				return true
			})
			if codes.Of(reason) != codes.HeldLedger || !strings.Contains(reason, tt.says) {
				t.Errorf("held for %q, want %s and %q", reason, codes.HeldLedger, tt.says)
			}
			if got := b.sink.Counts(); got.Accepted != 0 {
				t.Errorf("sink %+v", got)
			}
		})
	}
}
