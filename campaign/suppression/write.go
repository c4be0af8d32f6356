package suppression

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// What add.lua does with entries.
const (
	asNew    = "add"
	asReplay = "replay" // not where a later removal stands
	asCount  = "count"  // changes nothing
)

// A write is a batch of entries as add.lua and topics.lua take them.
type write struct {
	topics []any
	args   [shards][]any // nil: nothing for that shard
}

// newWrite arranges complete entries.
func newWrite(how string, now time.Time, entries []Entry) *write {
	w := &write{}
	seen := map[string]bool{}
	for _, e := range entries {
		if t := e.topic(); t != "" && !seen[t] {
			seen[t] = true
			w.topics = append(w.topics, t)
		}
		a := &w.args[shardOf(e.key())]
		if *a == nil {
			*a = []any{now.UnixMilli(), how}
		}
		*a = append(*a, field(e.key(), e.topic()), strconv.FormatInt(e.expiresMilli(), 10), e.At.UnixMilli(), e.encode())
	}

	return w
}

// shards returns those that are written to.
func (w *write) shards() []int {
	var all []int
	for shard, a := range w.args {
		if a != nil {
			all = append(all, shard)
		}
	}
	return all
}

// queueWrite puts the shards of a write on a pipeline. It is EVAL with the source:
// in a pipeline there is no falling back from EVALSHA when the server has
// forgotten the script.
func (s *Store) queueWrite(ctx context.Context, pipe redis.Pipeliner, w *write, shards ...int) []*redis.Cmd {
	counts := make([]*redis.Cmd, len(shards))
	for i, shard := range shards {
		counts[i] = s.add.Eval(ctx, pipe, []string{s.shardKey(shard)}, w.args[shard]...)
	}
	return counts
}

// sum adds up what scripts returned; the error is the first of theirs.
func sum(counts []*redis.Cmd) (total int, err error) {
	for _, c := range counts {
		n, failed := c.Int()
		total += n
		if err == nil {
			err = failed
		}
	}
	return total, err
}
