package sender

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// A paceKey names the slots on an account that are reserved together: for all lanes
// without a rate of their own, for one that has one, or for the long tail where that has
// one as a whole. A slot is for whichever run is next; only a run that has a rate has
// slots of its own.
type paceKey struct {
	run  *run // nil: all those without a rate
	lane string
}

func paceOf(now time.Time, r *run, l *lane) (key paceKey) {
	if r.rate > 0 {
		key.run = r
	}
	switch {
	case l.rate(now) > 0:
		key.lane = l.name
	case l.tail > 0:
		key.lane = string(l.group.provider)
	}
	return key
}

// pace returns the slots that a recipient's message may use.
func (a *account) pace(now time.Time, rcpt *recipient) *pace {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := paceOf(now, rcpt.run, rcpt.lane)
	p := a.paces[key]
	if p == nil {
		p = &pace{pacer: a.pacer, key: key, lead: 5 * time.Millisecond}
		a.paces[key] = p
	}

	rate := rcpt.lane.rate(now)
	if known := p.limits.Load(); known == nil || known.laneRate != rate || now.Sub(known.made) > limitsLast {
		p.limits.Store(&limits{all: a.limitsOf(now, rcpt, rate), laneRate: rate, made: now})
	}
	return p
}

// slotFrom is [lanes.slotFrom]. The caller holds mu.
func (a *account) slotFrom(key paceKey) time.Time {
	p := a.paces[key]
	if p == nil {
		return time.Time{}
	}
	if from := p.from.Load(); from != nil {
		return *from
	}
	return time.Time{}
}

// limitsOf lists the limits of a recipient's message.
func (a *account) limitsOf(now time.Time, rcpt *recipient, laneRate float64) []throttle.Limit {
	whole := throttle.Limit{Account: a.cfg.Name, Rate: a.cfg.Rate}
	if a.cfg.Quotas != nil {
		whole.Quotas = a.cfg.Quotas(now, a.warming.held)
	}

	list := []throttle.Limit{{Campaign: rcpt.run.handle.ID, Rate: rcpt.run.rate}, whole}
	if laneRate > 0 {
		narrow := throttle.Limit{Account: a.cfg.Name, Rate: laneRate}
		if rcpt.lane.name == string(rcpt.lane.group.provider) {
			narrow.Provider = rcpt.lane.name
		} else {
			narrow.Domain = rcpt.lane.name
		}
		list = append(list, narrow)
	}
	if tail := rcpt.lane.tail; tail > 0 {
		list = append(list, throttle.Limit{Account: a.cfg.Name, Provider: string(campaign.Other), Rate: tail})
	}
	return list
}

// slot takes the next slot for a message, nil where nothing limits it; without one it
// returns when to ask again. It reserves for the recipients that wait here and for as many as the
// connections can send in that time: a slot that is not used is lost. For a body that
// is inHand it reserves one alone. high says that the recipient who asks is of high priority.
func (a *account) slot(ctx context.Context, p *pace, high, inHand bool) (s *slot, again time.Time, err error) {
	if p.unlimited() {
		return nil, time.Time{}, nil
	}

	a.mu.Lock()
	n, span := a.fairShare(p.key)
	a.mu.Unlock()
	waiting := func() (all, urgent int) {
		a.mu.Lock()
		defer a.mu.Unlock()
		urgent, normal := a.lanes.waiting(time.Now(), p.key)
		if high {
			urgent++
		} else {
			normal++
		}
		return min(urgent+normal, n), urgent
	}
	s, again, spent, err := p.next(ctx, inHand, a.cfg.Connections, span, waiting)
	if spent != nil {
		a.spend(time.Now(), spent, again)
	}
	if !again.IsZero() && !inHand {
		p.from.Store(&again)
	}
	return s, again, err
}

// fairShare is how many slots the lanes without a rate of their own reserve at a time,
// and how far ahead: where others have one, no more than an even part of what the
// account's rate has within slotSpan. They would take all of it before the others can
// ask. The caller holds mu.
func (a *account) fairShare(key paceKey) (slots int, span time.Duration) {
	if a.cfg.Rate <= 0 || key.lane != "" {
		return maxSlots, 0
	}

	competing := 1
	for other := range a.paces {
		if l := a.lanes.byName[other.lane]; other != key && l != nil && l.size > 0 {
			competing++
		}
	}
	if competing == 1 {
		return maxSlots, 0
	}
	span = slotSpan / time.Duration(competing)
	return max(1, int(a.cfg.Rate*span.Seconds())), span
}

// returnTime is how long after a quota is spent slots may still come back that were
// reserved and not used.
const returnTime = 30 * time.Second

// askAgain is how often a quota that is spent is asked afterwards.
const askAgain = time.Minute

// A spentQuota is a quota of an account that has nothing left; the zero value is none.
type spentQuota struct {
	throttle.Spent
	since time.Time // when that was found out
	asked time.Time // the last time
	again time.Time // when to ask once more, as long as slots may come back
}

// until returns until when nothing leaves.
func (s spentQuota) until(now time.Time) time.Time {
	if now.Sub(s.since) < returnTime {
		return s.again
	}
	if look := s.asked.Add(askAgain); look.Before(s.Until) {
		return look
	}
	return s.Until
}

// spend notes that a quota is spent, and when to ask again.
func (a *account) spend(now time.Time, s *throttle.Spent, again time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.lanes.spent
	fresh := known.Quota != s.Quota || !known.Until.After(now)
	since := known.since
	if fresh {
		since = now
	}
	a.lanes.spent = spentQuota{Spent: *s, since: since, asked: now, again: again}
	if fresh {
		a.log.Info("quota of the account is spent: its recipients wait", "quota", s.Quota, "until", s.Until.UTC().Format(time.RFC3339))
	}
}

// returnSlots gives back what was reserved and not used in time, so that it does
// not count against a quota.
func (a *account) returnSlots(ctx context.Context, now time.Time) {
	a.mu.Lock()
	var paces []*pace
	for _, p := range a.paces {
		paces = append(paces, p)
	}
	retired := a.retired
	a.retired = nil
	a.mu.Unlock()

	for _, p := range paces {
		p.returnLate(ctx, now)
	}
	for _, p := range retired {
		p.returnAll(ctx)
	}
}

// retire gives up the slots of a key. The caller holds mu.
func (a *account) retire(key paceKey) {
	if p := a.paces[key]; p != nil {
		delete(a.paces, key)
		a.retired = append(a.retired, p)
	}
}

// retireAll gives up all slots: the worker ends.
func (a *account) retireAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.paces {
		a.retire(key)
	}
}
