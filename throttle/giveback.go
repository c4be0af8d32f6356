package throttle

import (
	"context"
	"crypto/rand"
	_ "embed"
	"time"
)

//go:embed lua/giveback.lua
var giveBackSource string

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
// once. It matters only to limits slower than one a second, and does nothing for
// the others: Redis is not asked. A slot that cannot be given back is lost.
func (p *Pacer) GiveBack(ctx context.Context, limits []Limit, slots []time.Time) {
	for _, limit := range limits {
		if !limit.Slow() {
			continue
		}
		l := limit.line(p.prefix)
		c := p.clocks.of(l.tag)
		var points []int64
		for _, slot := range slots {
			points = append(points, c.remote(slot))
		}
		p.returnPoints(ctx, l, points, maxDelay+clockError, clockError)
	}
}

// returnPoints gives points back to their line. Each lies between its moment -
// early and its moment + late. When that fails they are lost, which exceeds no
// limit.
func (p *Pacer) returnPoints(ctx context.Context, l line, points []int64, early, late time.Duration) {
	args := []any{interval(l.rate), early.Microseconds(), late.Microseconds()}
	for _, t := range points {
		args = append(args, t)
	}
	keys := []string{l.slot, l.holes, l.guard(rand.Text())}
	if err := p.giveBack.Run(ctx, p.rdb, keys, args...).Err(); err != nil {
		p.log.Debug("slots not given back", "line", l.slot, "slots", len(points), "err", err)
	}
}
