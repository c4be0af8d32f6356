package throttle

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// daysLife is how long the days of an account are kept after the last message.
const daysLife = 60 * 24 * time.Hour

// A Day is what became of the messages that an account sent on one day.
type Day struct {
	Sent       int // tried: accepted or not
	Deferred   int // of these: the server wanted them later, or fewer
	Complained int // readers who called one spam
}

// Days counts what became of messages by account and day, for all processes. A day
// is a date in a zone that the caller agrees on with others, such as "2026-12-01".
type Days struct {
	rdb    redis.UniversalClient
	prefix string
}

// NewDays returns the days on rdb.
func NewDays(rdb redis.UniversalClient, prefix string) *Days { return &Days{rdb, prefix} }

// Count adds to a day of an account.
func (d *Days) Count(ctx context.Context, account, date string, n Day) error {
	key := accountKey(d.prefix, account, "days")
	pipe := d.rdb.Pipeline()
	for name, more := range map[string]int{"sent": n.Sent, "deferred": n.Deferred, "complained": n.Complained} {
		if more > 0 {
			pipe.HIncrBy(ctx, key, date+" "+name, int64(more))
		}
	}
	pipe.PExpire(ctx, key, daysLife)
	_, err := pipe.Exec(ctx)
	if err != nil {
		return fmt.Errorf("count messages of account %s: %w", account, err)
	}
	return nil
}

// Read returns the days of an account by date.
func (d *Days) Read(ctx context.Context, account string) (map[string]Day, error) {
	key := accountKey(d.prefix, account, "days")
	fields, err := d.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the days of account "+account, key)
	}

	days := map[string]Day{}
	for field, text := range fields {
		date, name, _ := strings.Cut(field, " ")
		n, err := strconv.Atoi(text)
		if err != nil {
			continue // counts of one day that nothing depends on
		}
		day := days[date]
		switch name {
		case "sent":
			day.Sent = n
		case "deferred":
			day.Deferred = n
		case "complained":
			day.Complained = n
		}
		days[date] = day
	}
	return days, nil
}
