package outgoing

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/configs"
)

const (
	// remembered is how long Redis remembers a receiver to which nothing is sent any more.
	remembered = 90 * 24 * time.Hour
	// within is how long one question to Redis may take.
	within = 5 * time.Second
	// hours is how many hours of deliveries are counted.
	hours = 24
	// maxFailure is how much of an error is kept for people, in bytes.
	maxFailure = 300
	// hourField begins the fields that count the deliveries of an hour.
	hourField = "hour:"
)

// A Register remembers how receivers fare, for people. It owns the keys
// PREFIX:webhook:ID, a hash each. It is safe for concurrent use.
type Register struct {
	rdb    redis.UniversalClient
	prefix string
}

// NewRegister returns the register whose keys begin with prefix.
func NewRegister(rdb redis.UniversalClient, prefix string) *Register {
	return &Register{rdb: rdb, prefix: prefix}
}

// A Record is how a receiver fares. A zero time has not come.
type Record struct {
	LastDay   int64     // events that were delivered in the last 24 hours
	Delivered time.Time // when the last one was
	Failed    time.Time // when a try failed last
	Failure   string    // of that try
	Dropped   int64     // events for which there was no room
}

// Failing reports whether the last try failed.
func (r Record) Failing() bool { return r.Failed.After(r.Delivered) }

func (r *Register) key(w configs.Webhook) string { return r.keyOf(w.ID()) }
func (r *Register) keyOf(id string) string       { return r.prefix + ":webhook:" + id }

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// Record returns how a receiver fares.
func (r *Register) Record(ctx context.Context, w configs.Webhook, now time.Time) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	f, err := r.rdb.HGetAll(ctx, r.key(w)).Result()
	if err != nil {
		return Record{}, campaign.ReadError(err, "what is known of a webhook", r.key(w))
	}

	rec := Record{Delivered: moment(f["delivered"]), Failed: moment(f["failed"]), Failure: f["failure"]}
	rec.Dropped, _ = strconv.ParseInt(f["dropped"], 10, 64)
	for name, value := range f {
		text, ok := strings.CutPrefix(name, hourField)
		hour, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || hour <= hourOf(now)-hours {
			continue
		}
		n, _ := strconv.ParseInt(value, 10, 64)
		rec.LastDay += n
	}
	return rec, nil
}

func moment(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// delivered notes that an event was delivered.
func (r *Register) delivered(ctx context.Context, w configs.Webhook, now time.Time) error {
	return r.write(ctx, w, func(ctx context.Context, p redis.Pipeliner, key string) {
		hour := hourOf(now)
		p.HIncrBy(ctx, key, hourField+strconv.FormatInt(hour, 10), 1)
		p.HDel(ctx, key, hourField+strconv.FormatInt(hour-hours, 10), hourField+strconv.FormatInt(hour-hours-1, 10))
		p.HSet(ctx, key, "delivered", now.UnixMilli())
	})
}

// failed notes that a try failed.
func (r *Register) failed(ctx context.Context, w configs.Webhook, why string, now time.Time) error {
	if len(why) > maxFailure {
		why = strings.ToValidUTF8(why[:maxFailure], "")
	}
	return r.write(ctx, w, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HSet(ctx, key, "failed", now.UnixMilli(), "failure", why)
	})
}

// dropped notes that there was no room for some events.
func (r *Register) dropped(ctx context.Context, w configs.Webhook, n int) error {
	return r.write(ctx, w, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HIncrBy(ctx, key, "dropped", int64(n))
	})
}

// forgetDropped sets the number of those for which there was no room to 0.
func (r *Register) forgetDropped(ctx context.Context, w configs.Webhook) error {
	return r.write(ctx, w, func(ctx context.Context, p redis.Pipeliner, key string) { p.HDel(ctx, key, "dropped") })
}

func (r *Register) write(ctx context.Context, w configs.Webhook, do func(ctx context.Context, p redis.Pipeliner, key string)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	pipe := r.rdb.Pipeline()
	do(ctx, pipe, r.key(w))
	pipe.Expire(ctx, r.key(w), remembered)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("note how the webhook %s fares: %w", w, err)
	}
	return nil
}
