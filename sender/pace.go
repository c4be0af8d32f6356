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
	// lateSlot is how late a body may leave; after that its slot is lost.
	lateSlot = 20 * time.Millisecond
	// slotSpan is the time for which slots are reserved in one call.
	slotSpan = 250 * time.Millisecond
	maxSlots = 64
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

// A pace holds the slots that this process has reserved for one run on one
// account, or on one lane of it.
type pace struct {
	pacer  *throttle.Pacer
	key    paceKey
	limits atomic.Pointer[limits]

	mu     sync.Mutex
	slots  []time.Time
	unused []time.Time // their time is over; they go back before more are reserved
	again  time.Time
	last   time.Time     // the latest slot that was reserved
	lead   time.Duration // smoothed time from a slot taken to a body in hand
	spread time.Duration // its smoothed deviation
	each   time.Duration // smoothed time that one message takes a connection
}

func (p *pace) unlimited() bool {
	return !slices.ContainsFunc(p.limits.Load().all, throttle.Limit.Counts)
}

// next takes the next slot, reserving more when there is none. Without one it
// returns when to ask again. conns is how many connections could use slots,
// waiting how many messages. A quota that is spent comes with the moment at which
// it frees.
//
// Where span is not 0 no slot is reserved while the latest is further ahead than that:
// others want slots of the same account.
func (p *pace) next(ctx context.Context, conns int, span time.Duration, waiting func() int) (slot, again time.Time, spent *throttle.Spent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 2 {
		now := time.Now()
		if slot, ok := p.take(now); ok {
			return slot, time.Time{}, nil, nil
		}
		p.returnUnused(ctx)
		if p.again.After(now) {
			return time.Time{}, p.again, nil, nil
		}
		if span > 0 && p.last.Sub(now) > span {
			return time.Time{}, p.last.Add(-span), nil, nil
		}
		n := conns
		if p.each > 0 {
			n = int(float64(conns) * float64(slotSpan) / float64(p.each))
		}
		grant, err := p.pacer.Reserve(ctx, p.limits.Load().all, p.lead+2*p.spread, max(1, min(maxSlots, n, waiting())))
		if err != nil {
			return time.Time{}, time.Time{}, nil, err
		}
		p.slots = grant.Slots
		p.again = grant.Again
		if n := len(p.slots); n > 0 {
			p.again = time.Time{}
			p.last = p.slots[n-1]
		}
		if grant.Spent != nil && len(p.slots) == 0 {
			return time.Time{}, grant.Again, grant.Spent, nil
		}
	}
	return time.Time{}, later(time.Now().Add(time.Millisecond), p.again), nil, nil
}

// take takes the next slot that can still be reached. The caller holds mu.
func (p *pace) take(now time.Time) (slot time.Time, ok bool) {
	for len(p.slots) > 0 {
		slot, p.slots = p.slots[0], p.slots[1:]
		if slot.Sub(now) > -lateSlot+p.lead {
			return slot, true
		}
		p.keep(slot)
	}
	return time.Time{}, false
}

// missed notes that a body which is ready was too late for its slot. A slot
// that was used up otherwise is not free: a refusal has cost the server something.
func (p *pace) missed(slot time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(slot)
}

// keep remembers a slot that was not used, if it is worth giving back. The caller
// holds mu.
func (p *pace) keep(slot time.Time) {
	if slices.ContainsFunc(p.limits.Load().all, throttle.Limit.Scarce) {
		p.unused = append(p.unused, slot)
	}
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
	for len(p.slots) > 0 && now.Sub(p.slots[0]) > lateSlot {
		p.keep(p.slots[0])
		p.slots = p.slots[1:]
	}
	p.returnUnused(ctx)
}

// returnAll gives back all slots: nothing more will be sent.
func (p *pace) returnAll(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, slot := range p.slots {
		p.keep(slot)
	}
	p.slots = nil
	p.returnUnused(ctx)
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

// giveBack returns a slot that was not used, if it can still be.
func (p *pace) giveBack(now, slot time.Time) {
	if slot.IsZero() || slot.Before(now) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := 0
	for i < len(p.slots) && p.slots[i].Before(slot) {
		i++
	}
	p.slots = slices.Insert(p.slots, i, slot)
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
