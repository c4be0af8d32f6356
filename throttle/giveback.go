package throttle

import (
	"context"
	"crypto/rand"
	_ "embed"
	"time"
)

//go:embed lua/giveback.lua
var giveBackSource string

//go:embed lua/refund.lua
var refundSource string

const (
	// slow is the interval, in microseconds, from which on a slot that was not used
	// is worth giving back.
	slow = 1e6
	// clockError is how far a local time, made a time of Redis again, may lie from
	// the point that it was. It is far less than the interval, so the point is known.
	clockError = 100 * time.Millisecond
)

// GiveBack gives slots back that Reserve returned for the same limits and that no
// body has left at, also when their time is over. Each slot may be given back
// once. It matters only to limits slower than one a second and to quotas, and does
// nothing for the others: Redis is not asked. A slot that cannot be given back is
// lost.
func (p *Pacer) GiveBack(ctx context.Context, limits []Limit, slots []time.Time) {
	for _, limit := range limits {
		if limit.Slow() {
			l := limit.line(p.prefix)
			c := p.clocks.of(l.tag)
			var points []int64
			for _, slot := range slots {
				points = append(points, c.remote(slot))
			}
			p.returnPoints(ctx, l, points, maxDelay+clockError, clockError)
		}
		if len(limit.Quotas) > 0 {
			c := p.clocks.of(limit.tag())
			var points []int64
			for _, slot := range slots {
				points = append(points, c.remote(slot)-clockError.Microseconds())
			}
			p.returnCounts(ctx, limit, points)
		}
	}
}

// returnPoints gives points back to their line. Each lies between its moment -
// early and its moment + late. When that fails they are lost, which exceeds no
// limit.
func (p *Pacer) returnPoints(ctx context.Context, l line, points []int64, early, late time.Duration) {
	p.memory.takeBack(l, points, early)
	args := []any{interval(l.rate), early.Microseconds(), late.Microseconds()}
	for _, t := range points {
		args = append(args, t)
	}
	keys := []string{l.slot, l.free, l.guard(rand.Text())}
	if err := p.giveBack.Run(ctx, p.rdb, keys, args...).Err(); err != nil {
		p.log.Debug("slots not given back", "line", l.slot, "slots", len(points), "err", err)
	}
}

// returnCounts takes points off the quotas of a limit. When that fails they stay
// counted.
func (p *Pacer) returnCounts(ctx context.Context, limit Limit, points []int64) {
	ch := chain{tag: limit.tag()}
	args := []any{0, len(limit.Quotas), p.id}
	var backs []any
	for _, q := range limit.Quotas {
		c := newCounter(p.prefix, limit.Account, q)
		newest, counted, back := p.memory.untake(c, c.bucketsOf(points))
		ch.counters = append(ch.counters, c)
		args = append(append(args, c.args()...), newest, counted[0], counted[1])
		backs = append(backs, newest, back[0], back[1])
	}

	keys := append(ch.keys(), accountKey(p.prefix, limit.Account, "refund:"+rand.Text()))
	if err := p.refund.Run(ctx, p.rdb, keys, append(args, backs...)...).Err(); err != nil {
		p.log.Debug("slots not taken off the quotas", "account", limit.Account, "slots", len(points), "err", err)
	}
}

// bucketsOf returns the earliest buckets that points can have been counted in.
func (c counter) bucketsOf(points []int64) []int64 {
	buckets := make([]int64, len(points))
	if c.Window <= 0 {
		return buckets
	}
	for i, point := range points {
		buckets[i] = (point - reach.Microseconds()) / c.bucket().Microseconds()
	}
	return buckets
}
