package throttle

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

//go:embed lua/quota.lua
var quotaSource string

//go:embed lua/used.lua
var usedSource string

// A Quota is how many messages may leave by an account in any stretch of time of a
// length, or in one that is fixed, such as a day of a warm-up. It may be raised
// and lowered between calls.
type Quota struct {
	Name       string        // "hour", "day", "warmup": part of the key and of what is reported
	Messages   int           // may leave within the window; 0: none may
	Window     time.Duration // rolling; 0: the fixed stretch from Begin to End
	Begin, End time.Time     // of a fixed stretch; no slot of the call lies outside it
}

// Spent is a quota that has nothing left.
type Spent struct {
	Account, Quota string
	Until          time.Time // when the next message may leave, unless slots are given back before
}

// A Usage is how much of a quota has been taken.
type Usage struct {
	Quota Quota
	Used  int       // messages that count now
	Until time.Time // when the next message may leave; zero: now
	// Releases say when the messages stop counting, in the order of time; of a rolling
	// quota alone.
	Releases []Release
}

// A Release is messages that stop counting at a moment.
type Release struct {
	At       time.Time
	Messages int
}

const (
	// maxBucket is the longest time that is counted as one. A message counts for up to
	// as much longer than the window.
	maxBucket = 5 * time.Minute
	// bucketShare is the least number of buckets in a window.
	bucketShare = 60
	// minBucket is the shortest bucket.
	minBucket = time.Second
)

// A counter is where the messages of one quota of one account are counted.
type counter struct {
	Quota
	account, key string
}

func newCounter(prefix, account string, q Quota) counter {
	key := accountKey(prefix, account, "quota:"+q.Name)
	if q.Window <= 0 {
		key += ":" + strconv.FormatInt(q.Begin.Unix(), 10)
	}
	return counter{Quota: q, account: account, key: key}
}

// check reports what is wrong with a quota.
func (q Quota) check() error {
	switch {
	case q.Name == "":
		return fmt.Errorf("a quota of %d messages has no name", q.Messages)
	case q.Window < 0:
		return fmt.Errorf("quota %s: found the window %v, expected a length of time, or 0 for one from a begin to an end", q.Name, q.Window)
	case q.Window == 0 && !q.End.After(q.Begin):
		return fmt.Errorf("quota %s: it ends at %v, expected a time after its begin, %v", q.Name, q.End, q.Begin)
	}
	return nil
}

// bucket is the length of the buckets of a rolling quota.
func (q Quota) bucket() time.Duration {
	return max(min(q.Window/bucketShare, maxBucket), minBucket)
}

// args are those of quota.lua without what is remembered.
func (c counter) args() []any {
	if c.Window > 0 {
		return []any{c.Messages, c.Window.Microseconds(), c.bucket().Microseconds(), 0, 0}
	}
	return []any{c.Messages, 0, 0, c.Begin.UnixMicro(), c.End.UnixMicro()}
}

// Used returns how much is taken of quotas of the account, in one round trip.
func (p *Pacer) Used(ctx context.Context, account string, quotas []Quota) ([]Usage, error) {
	if len(quotas) == 0 {
		return nil, nil
	}

	ch := chain{tag: accountTag(account)}
	for _, q := range quotas {
		err := ch.addQuota(newCounter(p.prefix, account, q))
		if err != nil {
			return nil, err
		}
	}

	sent := time.Now()
	reply, err := p.used.Run(ctx, p.rdb, ch.keys(), p.args(ch)...).Int64Slice()
	received := time.Now()
	if err == nil && len(reply) == 0 {
		err = errors.New("found no numbers, expected the time")
	}
	if err != nil {
		return nil, fmt.Errorf("read the quotas of account %s: %w", account, err)
	}

	c := p.clocks.of(ch.tag)
	c.observe(reply[0], sent, received)
	usages, err := readUsages(quotas, reply[1:], c.local)
	if err != nil {
		return nil, fmt.Errorf("read the quotas of account %s: %w", account, err)
	}
	return usages, nil
}

// readUsages reads what used.lua returns behind the time.
func readUsages(quotas []Quota, reply []int64, local func(int64) time.Time) ([]Usage, error) {
	var usages []Usage
	for _, q := range quotas {
		if len(reply) < 3 || reply[2] < 0 || int64(len(reply)-3)/2 < reply[2] {
			return nil, fmt.Errorf("quota %s: found %d numbers, expected three and two for each bucket", q.Name, len(reply))
		}
		u := Usage{Quota: q, Used: int(reply[0])}
		if free := reply[1]; free > 0 {
			u.Until = local(free)
		}
		buckets := int(reply[2])
		reply = reply[3:]
		for range buckets {
			u.Releases = append(u.Releases, Release{At: local(reply[0]), Messages: int(reply[1])})
			reply = reply[2:]
		}
		slices.SortFunc(u.Releases, func(a, b Release) int { return a.At.Compare(b.At) })
		usages = append(usages, u)
	}
	if len(reply) > 0 {
		return nil, fmt.Errorf("found %d numbers too many", len(reply))
	}
	return usages, nil
}
