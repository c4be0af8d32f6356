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
	// slow is the interval from which on an unused slot is worth giving back.
	slow = time.Second
	// clockError is how far a local time, made a time of Redis again, may lie from
	// the point that it was. It is far less than slow, so the point is known.
	clockError = 100 * time.Millisecond
)

// A margin says how exactly points are known: each lies between its moment - early
// and its moment + late.
type margin struct{ early, late time.Duration }

var exactly = margin{}

// GiveBack gives slots back that Reserve returned for the same limits and that no
// body has left at, also when their time is over. Each slot may be given back
// once. It matters only to limits slower than one a second, and does nothing for
// the others: Redis is not asked. A slot that cannot be given back is lost.
func (p *Pacer) GiveBack(ctx context.Context, limits []Limit, slots []time.Time) {
	r, err := newRoute(p.prefix, limits)
	if err != nil || len(slots) == 0 {
		return // Reserve has refused these limits
	}
	for _, ch := range []chain{r.camp, r.acct} {
		for _, l := range ch {
			if interval(l.rate) < float64(slow.Microseconds()) {
				continue
			}
			var points []int64
			for _, slot := range slots {
				points = append(points, p.clocks.of(l.tag).remote(slot))
			}
			p.hand(ctx, l, points, margin{early: maxDelay + clockError, late: clockError})
		}
	}
}

// hand gives points of a line back. When that fails they are lost, which exceeds
// nothing.
func (p *Pacer) hand(ctx context.Context, l line, points []int64, m margin) {
	args := []any{interval(l.rate), m.early.Microseconds(), m.late.Microseconds()}
	for _, t := range points {
		args = append(args, t)
	}
	keys := []string{l.slot, l.holes, l.guard(rand.Text())}
	if err := p.giveBack.Run(ctx, p.rdb, keys, args...).Err(); err != nil {
		p.log.Debug("slots not given back", "line", l.slot, "slots", len(points), "err", err)
	}
}
