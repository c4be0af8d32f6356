package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
	"broadside/internal/store"
)

// samples is how often Redis is asked for the time.
const samples = 15

// What is too slow, and too far off.
const (
	slow, crawling = 10 * time.Millisecond, 250 * time.Millisecond // median round trip
	hiccup         = 100 * time.Millisecond                        // worst round trip
	off, farOff    = 2 * time.Second, 20 * time.Second             // clock; asynq gives a task 30 s
)

// A sample is one question for the time.
type sample struct {
	trip   time.Duration
	offset time.Duration // how far this machine's clock is ahead of Redis'
}

// times measures round trips and the difference of the clocks.
func times(ctx context.Context, rdb redis.UniversalClient) []Finding {
	if err := rdb.Ping(ctx).Err(); err != nil { // else the first one connects
		return []Finding{unknown(subjectRedis, codes.RedisLatency, err)}
	}

	all := make([]sample, 0, samples)
	for range samples {
		sent := time.Now()
		theirs, err := rdb.Time(ctx).Result()
		trip := time.Since(sent)
		if err != nil {
			return []Finding{unknown(subjectRedis, codes.RedisLatency, err)}
		}
		all = append(all, sample{trip, sent.Add(trip / 2).Sub(theirs)})
	}

	slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(a.trip, b.trip) })
	return []Finding{latency(all[len(all)/2].trip, all[len(all)-1].trip), clock(all[0])}
}

func latency(median, worst time.Duration) Finding {
	const code = codes.RedisLatency
	text := fmt.Sprintf("round trip: %s, at worst %s", round(median), round(worst))
	fix := "run the processes near Redis; `redis-cli --latency` and SLOWLOG tell the network from the server"
	switch {
	case median > crawling:
		return bad(subjectRedis, code, store.Failed, text, "each message needs one, and waits time out", fix)
	case median > slow:
		return bad(subjectRedis, code, store.Warning, text, "each message needs one: every connection to a mail server waits so long", fix)
	case worst > hiccup:
		return bad(subjectRedis, code, store.Warning, text, "something holds Redis up now and then", fix)
	}

	return good(subjectRedis, code, text)
}

// clock judges the clock by the fastest round trip, which says most.
func clock(fastest sample) Finding {
	const code = codes.Clock
	ahead, way := fastest.offset, "ahead of"
	if ahead < 0 {
		ahead, way = -ahead, "behind"
	}

	text := fmt.Sprintf("%s %s that of Redis, give or take %s", round(ahead), way, round(fastest.trip/2))
	fix := "let NTP keep the clocks of this machine and of Redis (timedatectl, chrony)"
	switch {
	case ahead > farOff:
		return bad("clock", code, store.Failed, text, "Date headers are wrong, certificates may not be valid, and the queue takes tasks from workers that are at them", fix)
	case ahead > off:
		return bad("clock", code, store.Warning, text, "Date headers are wrong, and it usually gets worse", fix)
	}

	return good("clock", code, text)
}

// round keeps what a person reads of a duration.
func round(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < time.Second:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(100 * time.Millisecond)
}
