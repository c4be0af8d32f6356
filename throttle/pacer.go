package throttle

import (
	"cmp"
	"context"
	"crypto/rand"
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
	// maxDelay is the longest that a body waits after its run's slot for the
	// account's, and so what that costs the run's pace: 2 %.
	maxDelay = 20 * time.Millisecond
	// maxSlots bounds one call.
	maxSlots = 1000
	// tries is how often one call looks for a moment that suits both limits.
	tries = 3
)

//go:embed lua/line.lua
var lineSource string

//go:embed lua/reserve.lua
var reserveSource string

//go:embed lua/match.lua
var matchSource string

//go:embed lua/giveback.lua
var giveBackSource string

// Options has a Pacer's optional parts; the zero value works.
type Options struct {
	Log *slog.Logger // nil: nothing is logged
}

// A Pacer hands out slots. It is safe for concurrent use; all Pacers on one Redis
// and prefix share the limits.
type Pacer struct {
	rdb                      redis.UniversalClient
	prefix                   string
	reserve, match, giveBack *redis.Script
	clocks                   *clocks
	log                      *slog.Logger
}

// New returns a Pacer on rdb. lua makes a script of a source; it is where a store
// that does not know script flags strips them.
func New(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script, o Options) *Pacer {
	_, cluster := rdb.(*redis.ClusterClient)
	return &Pacer{
		rdb: rdb, prefix: prefix,
		reserve:  lua(lineSource + reserveSource),
		match:    lua(lineSource + matchSource),
		giveBack: lua(lineSource + giveBackSource),
		clocks:   &clocks{base: time.Now(), perTag: cluster, byTag: map[string]*clock{}},
		log:      cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
	}
}

// Reserve asks for up to n slots of the account, and of the run (any key that its
// processes agree on). Rates are ceilings per second; 0 is none. It returns the
// local times, ascending, at which one body each may leave: all of them between
// now + lead and 250 ms after that, where lead is what the caller needs until it
// has a body to send. again is when it is worth asking for more; without slots
// that is the only answer. A body that cannot leave within 20 ms of its slot must
// not use it. Slots that are not used are lost.
//
// Without any limit the slots are now, and Redis is not asked.
func (p *Pacer) Reserve(ctx context.Context, account string, accountRate float64, run string, runRate float64, lead time.Duration, n int) (slots []time.Time, again time.Time, err error) {
	lead = min(max(lead, 0), maxLead)
	n = min(n, maxSlots)
	if n <= 0 {
		return nil, time.Now(), nil
	}
	acct, camp := p.line("acct", account), p.line("camp", run)
	switch {
	case accountRate <= 0 && runRate <= 0:
		return unlimited(n)
	case runRate <= 0:
		return p.one(ctx, acct, accountRate, lead, n)
	case accountRate <= 0:
		return p.one(ctx, camp, runRate, lead, n)
	}
	points, again, err := p.both(ctx, acct, accountRate, camp, runRate, lead, n)
	if err != nil {
		return nil, time.Time{}, err
	}
	return locals(p.clocks.of(acct.tag), points), again, nil
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

// delay returns the longest wait, in microseconds, from a slot of a run to one of
// an account: long enough that each free point of the account can be the partner
// of some point of the run, even between those that other runs have taken.
func delay(accountRate, runRate float64) int64 {
	return int64(min(interval(accountRate)+interval(runRate), float64(maxDelay.Microseconds())))
}

// one reserves where a single limit counts.
func (p *Pacer) one(ctx context.Context, l line, rate float64, lead time.Duration, n int) ([]time.Time, time.Time, error) {
	points, next, err := p.ask(ctx, l, rate, 0, lead, n, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	c := p.clocks.of(l.tag)
	return locals(c, points), p.again(c, next, lead), nil
}

// both reserves where a run's and an account's limit count; see the package
// comment for the way. The points are in the time of the account's node.
func (p *Pacer) both(ctx context.Context, acct line, acctRate float64, camp line, campRate float64, lead time.Duration, n int) (points []int64, again time.Time, err error) {
	ac, cc := p.clocks.of(acct.tag), p.clocks.of(camp.tag)
	slack := delay(acctRate, campRate)
	var notBefore int64 // in the time of the run's node
	for range tries {
		wishes, next, err := p.ask(ctx, camp, campRate, slack, lead, n, notBefore)
		if err != nil {
			return nil, time.Time{}, err
		}
		again = p.again(cc, next, lead)
		if len(wishes) == 0 {
			break
		}
		partners, free, err := p.pair(ctx, acct, acctRate, slack, wishes, cc)
		if err != nil {
			return nil, time.Time{}, err
		}
		points, refused := sift(wishes, partners)
		if len(refused) > 0 {
			p.hand(ctx, camp, refused)
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

// sift parts what the account gave from the wishes that it refused.
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
func (p *Pacer) ask(ctx context.Context, l line, rate float64, slack int64, lead time.Duration, n int, notBefore int64) (points []int64, next int64, err error) {
	if err := p.sync(ctx, l); err != nil {
		return nil, 0, err
	}
	reply, err := p.run(ctx, p.reserve, l, interval(rate), slack, lead.Microseconds(), window.Microseconds(), n, notBefore)
	if err != nil {
		return nil, 0, fmt.Errorf("reserve %d slots of %s: %w", n, l.tag, err)
	}
	return reply[2:], reply[1], nil
}

// pair runs match.lua with wishes in the time of the node that c is the clock of.
// The points are in the account's.
func (p *Pacer) pair(ctx context.Context, acct line, rate float64, slack int64, wishes []int64, c *clock) (points []int64, next int64, err error) {
	if err := p.sync(ctx, acct); err != nil {
		return nil, 0, err
	}
	args := []any{interval(rate), slack}
	shift := c.shift(p.clocks.of(acct.tag))
	for _, w := range wishes {
		args = append(args, w+shift)
	}
	reply, err := p.run(ctx, p.match, acct, args...)
	if err == nil && len(reply) != len(wishes)+2 {
		err = fmt.Errorf("%d points for %d wishes", len(reply)-2, len(wishes))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("match %d slots of %s: %w", len(wishes), acct.tag, err)
	}
	return reply[2:], reply[1], nil
}

// hand gives points back. When that fails they are lost, which exceeds nothing.
func (p *Pacer) hand(ctx context.Context, l line, points []int64) {
	args := make([]any, len(points))
	for i, t := range points {
		args[i] = t
	}
	keys := []string{l.slot, l.holes, l.guard(rand.Text())}
	if err := p.giveBack.Run(ctx, p.rdb, keys, args...).Err(); err != nil {
		p.log.Debug("slots not given back", "line", l.tag, "slots", len(points), "err", err)
	}
}

// sync reads Redis's clock until it is known well: one slow reply, as the first
// over a new connection is, would move all slots that are counted from it.
func (p *Pacer) sync(ctx context.Context, l line) error {
	c := p.clocks.of(l.tag)
	for range enough {
		if c.sure(time.Now()) {
			return nil
		}
		if _, err := p.run(ctx, p.match, l, 1, 0); err != nil {
			return fmt.Errorf("read the clock of %s: %w", l.tag, err)
		}
	}
	return nil
}

// run calls a slot script and learns the time from its reply: {now, next, ...}.
func (p *Pacer) run(ctx context.Context, s *redis.Script, l line, args ...any) ([]int64, error) {
	sent := time.Now()
	reply, err := s.Run(ctx, p.rdb, []string{l.slot, l.holes}, args...).Int64Slice()
	received := time.Now()
	if err != nil {
		return nil, err
	}
	if len(reply) < 2 {
		return nil, fmt.Errorf("reply of %d numbers, expected at least 2", len(reply))
	}
	if p.clocks.of(l.tag).observe(reply[0], sent, received) {
		p.log.Info("redis clock was set", "line", l.tag)
	}
	return reply, nil
}
