package sender

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"broadside/throttle"
)

const (
	// earlyBody is how much sooner than a body is likely to be ready its slot is
	// reserved: it may leave late, and a body that waits for its slot holds a connection.
	earlyBody = 10 * time.Millisecond
	// spare is what is left of a slot's time when a body that is ready takes it.
	spare = 2 * time.Millisecond
	// slotSpan is the time for which slots are reserved in one call.
	slotSpan = 250 * time.Millisecond
	// maxSlots is how many are reserved in one call; where most of them are lost when
	// they are not used at once, firstSlots.
	maxSlots   = 512
	firstSlots = 64
)

// limitsLast is how long limits are used before they are looked up again: a quota
// may be another on the next day.
const limitsLast = 10 * time.Second

// limits are those of a pace.
type limits struct {
	all      []throttle.Limit
	laneRate float64
	made     time.Time
}

// A pace holds the slots that this process has reserved on one account, or on one lane
// of it: for all runs, or for one that has a rate.
type pace struct {
	pacer  *throttle.Pacer
	key    paceKey
	limits atomic.Pointer[limits]
	from   atomic.Pointer[time.Time] // there is no slot for another message before; nil: that is not known

	mu     sync.Mutex
	rate   float64     // of the lane, when slots were last asked for
	slots  []moment    // ascending
	booked []*slot     // by messages on their way
	filled int         // how many slots came last, where that was all that were asked for; else 0
	supply supply      // of slots that last for a while
	asking bool        // more are being reserved while there are some
	unused []time.Time // their time is over; they go back before more are reserved
	again  time.Time
	last   time.Time     // the latest slot that was reserved
	lead   time.Duration // smoothed time from a slot taken to a body in hand
	spread time.Duration // its smoothed deviation
	each   time.Duration // smoothed time that one message takes a connection
}

// A moment is when the body of one message may leave.
type moment struct{ at, until time.Time }

// lasts reports whether it is not lost soon.
func (m moment) lasts() bool { return m.until.Sub(m.at) >= slotSpan }

// A slot is the moment of a message.
type slot struct {
	moment      // changes until the body is ready, as its pace's mu guards
	ready  bool // the body waits for it
}

// A supply is how many slots were taken of those that last for slotSpan or longer, and
// since when they are there. The zero value is none.
type supply struct {
	taken int
	since time.Time
}

// wish returns how many slots will be taken within slotSpan; 0: that is not known.
func (s supply) wish(now time.Time) int {
	if s.since.IsZero() {
		return 0
	}
	took := max(now.Sub(s.since), time.Millisecond)
	return int(float64(s.taken) * float64(slotSpan) / float64(took))
}

func (p *pace) unlimited() bool {
	return !slices.ContainsFunc(p.limits.Load().all, throttle.Limit.Counts)
}

// next takes the next slot, reserving more when there is none. Without one it
// returns when to ask again. conns is how many connections could use slots, waiting how
// many messages, and how many of high priority. A quota that is spent comes with the moment
// at which it frees.
//
// A body that is inHand needs no time to become ready.
//
// Where span is not 0 no slot is reserved while the latest is further ahead than that:
// others want slots of the same account.
func (p *pace) next(ctx context.Context, inHand bool, conns int, span time.Duration, waiting func() (all, urgent int)) (s *slot, again time.Time, spent *throttle.Spent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rate := p.limits.Load().laneRate
	if rate < p.rate {
		p.drop() // the lane was slowed
	}
	p.rate = rate

	for range 2 {
		now := time.Now()
		if m, ok := p.take(now, inHand); ok {
			s = &slot{moment: m, ready: inHand}
			p.booked = append(p.booked, s)
			if span == 0 && len(p.slots) < p.filled/4 && !p.asking {
				p.refill(ctx, conns, waiting)
			}
			return s, time.Time{}, nil, nil
		}
		if p.isTight() {
			p.returnUnused(ctx)
		}
		if p.again.After(now) {
			return nil, p.again, nil, nil
		}
		if span > 0 && p.last.Sub(now) > span {
			return nil, p.last.Add(-span), nil, nil
		}
		grant, err := p.reserve(ctx, inHand, conns, waiting)
		if err != nil {
			return nil, time.Time{}, nil, err
		}
		p.add(now, grant)
		if grant.Spent != nil && len(p.slots) == 0 {
			return nil, grant.Again, grant.Spent, nil
		}
	}
	return nil, later(time.Now().Add(time.Millisecond), p.again), nil, nil
}

// refill reserves more slots before the last ones are taken, so that only this caller
// waits for Redis. That is for limits that gave all they were asked for: the slots of
// others are not to be had sooner than they are needed. The caller holds mu; it is free
// in that time. What fails is met by the next who finds no slot.
func (p *pace) refill(ctx context.Context, conns int, waiting func() (all, urgent int)) {
	p.asking = true
	req := p.wish(conns, waiting)
	grant, err := func() (throttle.Grant, error) {
		p.mu.Unlock()
		defer p.mu.Lock()
		return p.pacer.Reserve(ctx, req)
	}()
	p.asking = false
	p.noteFill(grant, req.N)
	if err == nil && len(grant.Slots) > 0 {
		p.add(time.Now(), grant)
	}
}

// noteFill notes whether all slots that were asked for were granted. The caller holds mu.
func (p *pace) noteFill(grant throttle.Grant, asked int) {
	p.filled = 0
	if len(grant.Slots) == asked {
		p.filled = asked
	}
}

// add notes what was granted. The caller holds mu.
func (p *pace) add(now time.Time, grant throttle.Grant) {
	p.again = grant.Again
	p.supply = supply{}
	n := len(grant.Slots)
	if n == 0 {
		return
	}

	p.again = time.Time{}
	p.last = later(p.last, grant.Slots[n-1])
	for _, at := range grant.Slots {
		p.slots = append(p.slots, moment{at, at.Add(grant.Late)})
	}
	slices.SortFunc(p.slots, func(a, b moment) int { return a.at.Compare(b.at) })
	if grant.Late >= slotSpan {
		p.supply = supply{since: now}
	}
}

// reserve asks for the slots of as many messages as will need one soon. The caller
// holds mu.
func (p *pace) reserve(ctx context.Context, inHand bool, conns int, waiting func() (all, urgent int)) (throttle.Grant, error) {
	if inHand {
		return p.pacer.Reserve(ctx, throttle.Request{Limits: p.limits.Load().all, N: 1, InHand: true})
	}
	req := p.wish(conns, waiting)
	grant, err := p.pacer.Reserve(ctx, req)
	p.noteFill(grant, req.N)
	return grant, err
}

// wish returns which slots should be reserved. The caller holds mu.
func (p *pace) wish(conns int, waiting func() (all, urgent int)) throttle.Request {
	all, urgent := waiting()

	n := conns
	if p.each > 0 {
		n = int(float64(conns) * float64(slotSpan) / float64(p.each))
	}
	n = max(1, min(n, firstSlots, all))
	n = max(n, min(p.supply.wish(time.Now()), maxSlots))
	return throttle.Request{Limits: p.limits.Load().all, Lead: p.lead + 2*p.spread - earlyBody, N: n, Urgent: urgent}
}

// take takes the next slot that can still be reached. The caller holds mu.
func (p *pace) take(now time.Time, inHand bool) (m moment, ok bool) {
	needs := p.lead + min(p.spread, earlyBody)
	if inHand {
		needs = 0
	}
	for len(p.slots) > 0 {
		m, p.slots = p.slots[0], p.slots[1:]
		if !m.until.Before(now.Add(needs)) {
			p.supply.taken++
			return m, true
		}
		p.keep(m.at)
	}
	return moment{}, false
}

// ready notes that the body of a message is ready, and returns when it may leave: at
// the earliest slot that is still good and that no other body waits for. Messages do
// not become ready in the order in which they were begun.
func (p *pace) ready(now time.Time, s *slot) moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.ready = true
	good := func(m moment) bool { return now.Add(spare).Before(m.until) }
	if s.lasts() && good(s.moment) && !s.at.After(now) {
		return s.moment // none is better
	}

	for _, other := range p.booked {
		if !other.ready && good(other.moment) && (other.at.Before(s.at) || !good(s.moment)) {
			s.moment, other.moment = other.moment, s.moment
		}
	}
	return s.moment
}

// at returns the moment of a slot, as it is now.
func (p *pace) at(s *slot) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.at
}

// left notes that a body leaves at its slot, or costs it for another reason.
func (p *pace) left(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unbook(s)
}

// unbook removes a slot from those of messages on their way. The caller holds mu.
func (p *pace) unbook(s *slot) {
	if i := slices.Index(p.booked, s); i >= 0 {
		p.booked = slices.Delete(p.booked, i, i+1)
	}
}

// giveBack returns a slot that was not used. One whose time is over is free too, if it
// is worth giving back.
func (p *pace) giveBack(now time.Time, s *slot) {
	p.from.Store(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unbook(s)
	if s.until.Before(now) {
		p.keep(s.at)
		return
	}

	i := 0
	for i < len(p.slots) && p.slots[i].at.Before(s.at) {
		i++
	}
	p.slots = slices.Insert(p.slots, i, s.moment)
}

// keep remembers a slot that was not used, if it is worth giving back. The caller
// holds mu.
func (p *pace) keep(slot time.Time) {
	if slices.ContainsFunc(p.limits.Load().all, throttle.Limit.Scarce) {
		p.unused = append(p.unused, slot)
	}
}

// isTight reports whether a slot that comes back now is missed: the limits gave fewer than
// were asked for, or one of them is slow. The slots of others go back together, later.
// The caller holds mu.
func (p *pace) isTight() bool {
	return p.filled == 0 || slices.ContainsFunc(p.limits.Load().all, throttle.Limit.Slow)
}

// returnUnused gives unused slots back, so that the next is not an interval of a
// slow limit later. The caller holds mu.
func (p *pace) returnUnused(ctx context.Context) {
	if len(p.unused) == 0 {
		return
	}
	p.pacer.GiveBack(ctx, p.limits.Load().all, p.unused)
	p.unused = nil
	p.again = time.Time{}
}

// returnLate gives back the slots whose time is over.
func (p *pace) returnLate(ctx context.Context, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.slots) > 0 && now.After(p.slots[0].until) {
		p.keep(p.slots[0].at)
		p.slots = p.slots[1:]
	}
	p.returnUnused(ctx)
}

// returnAll gives back all slots: nothing more will be sent.
func (p *pace) returnAll(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
	p.returnUnused(ctx)
}

// drop keeps no slot for messages to come. The caller holds mu.
func (p *pace) drop() {
	for _, m := range p.slots {
		p.keep(m.at)
	}
	p.slots = nil
}

// ahead is how long before its slot a message should be begun. The caller
// need not hold mu.
func (p *pace) ahead() time.Duration {
	if p.unlimited() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lead + 2*p.spread
}

// observe smooths how long the way to a body took, and the whole message.
func (p *pace) observe(lead, each time.Duration) {
	if p.unlimited() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	off := min(lead, time.Second) - p.lead
	p.lead += off / 8
	p.spread += (off.Abs() - p.spread) / 8
	p.each += (each - p.each) / 8
}
