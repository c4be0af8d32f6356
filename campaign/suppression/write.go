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
	args   [places][]any // nil: nothing for that place
}

// newWrite arranges complete entries.
func (s *Store) newWrite(how string, now time.Time, entries []Entry) *write {
	w := &write{}
	seen := map[string]bool{}
	for _, e := range entries {
		if t := e.topic(); t != "" && !seen[t] {
			seen[t] = true
			w.topics = append(w.topics, t)
		}
		a := &w.args[e.place()]
		if *a == nil {
			*a = []any{now.UnixMilli(), versionFor(e.place()), how}
		}
		*a = append(*a, field(e.key(), e.topic()), strconv.FormatInt(e.expiresMilli(), 10), e.At.UnixMilli(), s.encode(e))
	}

	return w
}

// versionFor returns the version that a place gets by a change; "" where no one asks for
// it.
func versionFor(place int) string {
	if place == domains {
		return newVersion()
	}
	return ""
}

// places returns those that are written to.
func (w *write) places() []int {
	var all []int
	for place, a := range w.args {
		if a != nil {
			all = append(all, place)
		}
	}
	return all
}

// queueWrite puts the places of a write on a pipeline. It is EVAL with the source:
// in a pipeline there is no falling back from EVALSHA when the server has
// forgotten the script.
func (s *Store) queueWrite(ctx context.Context, pipe redis.Pipeliner, w *write, places ...int) []*redis.Cmd {
	counts := make([]*redis.Cmd, len(places))
	for i, place := range places {
		counts[i] = s.add.Eval(ctx, pipe, []string{s.placeKey(place)}, w.args[place]...)
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
