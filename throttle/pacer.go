package throttle

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pace is the share of a limit that slots are handed out at.
	pace = 0.98
	// window is how far beyond now + lead one call may reserve.
	window = 250 * time.Millisecond
	// maxLead bounds how far ahead of its body a slot may be taken. A lane that
	// needs longer is late and reserves again, message in hand.
	maxLead = 5 * time.Second
	// maxDelay is the longest that a body waits from the point of its first limit to
	// that of the last. It costs the other limits 2 % of their pace.
	maxDelay = 20 * time.Millisecond
	// maxSlots bounds one call.
	maxSlots = 1000
	// tries is how often one call looks for a moment that suits both hash slots.
	tries = 3
)

//go:embed lua/line.lua
var lineSource string

//go:embed lua/reserve.lua
var reserveSource string

//go:embed lua/match.lua
var matchSource string

// A Pacer hands out slots. It is safe for concurrent use; all Pacers on one Redis
// and prefix share the limits.
type Pacer struct {
	rdb                      redis.UniversalClient
	prefix                   string
	reserve, match, giveBack *redis.Script
	clocks                   *clocks
	log                      *slog.Logger
}

// New returns a Pacer on rdb. lua makes a script of a source; for a store that
// does not know script flags it strips them. Without a log nothing is logged.
func New(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script, log *slog.Logger) *Pacer {
	_, cluster := rdb.(*redis.ClusterClient)
	return &Pacer{
		rdb: rdb, prefix: prefix,
		reserve:  lua(lineSource + reserveSource),
		match:    lua(lineSource + matchSource),
		giveBack: lua(lineSource + giveBackSource),
		clocks:   &clocks{base: time.Now(), perTag: cluster, byTag: map[string]*clock{}},
		log:      cmp.Or(log, slog.New(slog.DiscardHandler)),
	}
}

// Reserve asks for up to n slots that keep all of the limits: those of at most one
// campaign and one account. It returns the local times, ascending, at which one
// body each may leave: all of them between now + lead and 250 ms after that (270 ms
// with several limits), where lead is what the caller needs until it has a body to
// send. again is when it is worth asking for more; without slots that is the only
// answer. A body that cannot leave within 20 ms of its slot must not use it.
//
// Limits of the account, its providers and its domains are taken together or not
// at all. The campaign's is taken before them and given back where they refuse.
//
// Slots that are not used are lost: at most 1/rate of the time until the next. Of
// a limit slower than one a second they can be given back with GiveBack, so that
// 3/min sends three in a minute although a body was late for its slot. What stays
// lost are slots of a worker that died, and those given back after another worker
// has reserved the next one of the same limit.
//
// Without any limit the slots are now, and Redis is not asked.
func (p *Pacer) Reserve(ctx context.Context, limits []Limit, lead time.Duration, n int) (slots []time.Time, again time.Time, err error) {
	lead = min(max(lead, 0), maxLead)
	n = min(n, maxSlots)
	if n <= 0 {
		return nil, time.Now(), nil
	}
	r, err := newRoute(p.prefix, limits)
	if err != nil {
		return nil, time.Time{}, err
	}
	switch {
	case len(r.camp) == 0 && len(r.acct) == 0:
		return unlimited(n)
	case len(r.camp) == 0:
		return p.one(ctx, r.acct, r.delay, lead, n)
	case len(r.acct) == 0:
		return p.one(ctx, r.camp, r.delay, lead, n)
	}
	points, again, err := p.both(ctx, r, lead, n)
	if err != nil {
		return nil, time.Time{}, err
	}
	return locals(p.clocks.of(r.acct.tag()), points), again, nil
}

func unlimited(n int) ([]time.Time, time.Time, error) {
	now := time.Now()
	slots := make([]time.Time, n)
	for i := range slots {
		slots[i] = now
	}
	return slots, now, nil
}

// interval returns the microseconds between two points at a rate per second.
func interval(rate float64) float64 { return 1e6 / (rate * pace) }

// one reserves where the limits have one hash slot.
func (p *Pacer) one(ctx context.Context, ch chain, delay int64, lead time.Duration, n int) ([]time.Time, time.Time, error) {
	points, next, err := p.ask(ctx, ch, delay, lead, n, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	c := p.clocks.of(ch.tag())
	return locals(c, points), p.again(c, next, lead), nil
}

// both reserves where a run's and an account's limits count; see the package
// comment for the way. The points are in the time of the account's node.
func (p *Pacer) both(ctx context.Context, r route, lead time.Duration, n int) (points []int64, again time.Time, err error) {
	ac, cc := p.clocks.of(r.acct.tag()), p.clocks.of(r.camp.tag())
	var notBefore int64 // in the time of the run's node
	for range tries {
		wishes, next, err := p.ask(ctx, r.camp, r.delay, lead, n, notBefore)
		if err != nil {
			return nil, time.Time{}, err
		}
		again = p.again(cc, next, lead)
		if len(wishes) == 0 {
			break
		}
		partners, free, err := p.pair(ctx, r.acct, r.delay, wishes, cc)
		if err != nil {
			return nil, time.Time{}, err
		}
		points, refused := sift(wishes, partners)
		if len(refused) > 0 {
			p.returnPoints(ctx, r.camp[0], refused, 0, 0)
		}
		if len(points) > 0 {
			return points, again, nil
		}
		if t := p.again(ac, free, lead); t.After(again) {
			again = t
		}
		notBefore = free + ac.shift(cc)
	}
	return nil, again, nil
}

// sift separates the points that the account gave from the wishes that it refused.
func sift(wishes, partners []int64) (points, refused []int64) {
	for i, point := range partners {
		if point == 0 {
			refused = append(refused, wishes[i])
		} else {
			points = append(points, point)
		}
	}
	return points, refused
}

func locals(c *clock, points []int64) []time.Time {
	var slots []time.Time
	for _, point := range points {
		slots = append(slots, c.local(point))
	}
	return slots
}

// again returns when it is worth asking for the point next: when it lies in the
// middle of what can be reserved, so that one call brings many slots and a late
// one loses none.
func (p *Pacer) again(c *clock, next int64, lead time.Duration) time.Time {
	t := c.local(next).Add(-lead - window/2)
	if soon := time.Now().Add(5 * time.Millisecond); t.Before(soon) {
		return soon
	}
	return t
}

// ask runs reserve.lua.
func (p *Pacer) ask(ctx context.Context, ch chain, delay int64, lead time.Duration, n int, notBefore int64) (points []int64, next int64, err error) {
	if err := p.sync(ctx, ch); err != nil {
		return nil, 0, err
	}
	args := []any{lead.Microseconds(), window.Microseconds(), n, notBefore, delay}
	reply, err := p.run(ctx, p.reserve, ch, append(args, ch.args()...)...)
	if err != nil {
		return nil, 0, fmt.Errorf("reserve %d slots of %s: %w", n, ch.tag(), err)
	}
	return reply[2:], reply[1], nil
}

// pair runs match.lua with wishes in the time of the node that c is the clock of.
// The points are in the account's.
func (p *Pacer) pair(ctx context.Context, acct chain, delay int64, wishes []int64, c *clock) (points []int64, next int64, err error) {
	if err := p.sync(ctx, acct); err != nil {
		return nil, 0, err
	}
	args := append([]any{delay}, acct.args()...)
	shift := c.shift(p.clocks.of(acct.tag()))
	for _, w := range wishes {
		args = append(args, w+shift)
	}
	reply, err := p.run(ctx, p.match, acct, args...)
	if err == nil && len(reply) != len(wishes)+2 {
		err = fmt.Errorf("%d points for %d wishes", len(reply)-2, len(wishes))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("match %d slots of %s: %w", len(wishes), acct.tag(), err)
	}
	return reply[2:], reply[1], nil
}

// sync reads Redis's clock until it is known well: one slow reply, as the first
// over a new connection is, would move all slots that are counted from it.
func (p *Pacer) sync(ctx context.Context, ch chain) error {
	c := p.clocks.of(ch.tag())
	for range enough {
		if c.sure(time.Now()) {
			return nil
		}
		if _, err := p.run(ctx, p.match, ch, append([]any{0}, ch.args()...)...); err != nil {
			return fmt.Errorf("read the clock of %s: %w", ch.tag(), err)
		}
	}
	return nil
}

// run calls a slot script and learns the time from its reply: {now, next, ...}.
func (p *Pacer) run(ctx context.Context, s *redis.Script, ch chain, args ...any) ([]int64, error) {
	sent := time.Now()
	reply, err := s.Run(ctx, p.rdb, ch.keys(), args...).Int64Slice()
	received := time.Now()
	if err != nil {
		return nil, err
	}
	if len(reply) < 2 {
		return nil, fmt.Errorf("reply of %d numbers, expected at least 2", len(reply))
	}
	if p.clocks.of(ch.tag()).observe(reply[0], sent, received) {
		p.log.Info("redis clock was set", "line", ch.tag())
	}
	return reply, nil
}
