package forecast

import (
	"math"
	"slices"
	"time"

	"broadside/throttle"
)

// An account is one way out at a moment.
type account struct {
	Account
	s        *simulation
	lanes    []*lane
	laneOf   []*lane // by people
	most     float64 // messages a second
	mostBy   Limit
	counters []*counter

	rate       float64  // at the moment
	spent      *counter // stands in the way; nil: none
	spentUntil time.Time
	noted      map[string]bool // quotas that were found spent
	last       float64         // when it sent last
}

// A lane is what leaves by an account for one provider or domain.
type lane struct {
	account *account
	name    string
	ceiling float64 // that is set; 0: none
	most    float64 // messages a second
	mostBy  Limit

	waiting float64
	rate    float64
	by      Limit // what bounds the rate
	served  []float64
	bounded map[Limit]float64 // seconds
	starts  float64
	resumed float64 // when it last began to send, at first or after a rest
	last    float64
	gap     float64 // from one message to the next when it sent last
}

func newAccount(s *simulation, i int) *account {
	a := &account{Account: s.in.Accounts[i], s: s, noted: map[string]bool{}, last: -1}
	if a.PerMessage <= 0 {
		a.PerMessage = PerMessage
	}
	a.most = float64(max(1, a.Connections)) / a.PerMessage.Seconds()
	a.mostBy = ByConnections
	if a.ConnectionRate > 0 && a.MessagesPerConnection > 0 {
		a.most = min(a.most, a.ConnectionRate*float64(a.MessagesPerConnection))
	}
	if paced := paced(a.Rate); paced > 0 && paced <= a.most {
		a.most = paced
		a.mostBy = ByRate
	}

	for _, p := range s.people {
		a.laneOf = append(a.laneOf, a.lane(p))
	}
	a.begin(s.in.Now)
	return a
}

// paced is the pace of a limit that stands alone or comes last.
func paced(rate float64) float64 {
	if rate <= 0 {
		return 0
	}
	return throttle.Effective(rate)[0]
}

// campaignRate is the pace of the campaign's rate together with the account's; 0: none.
func (a *account) campaignRate(rate float64) float64 {
	if rate <= 0 || a.Rate <= 0 {
		return paced(rate)
	}
	return throttle.Effective(rate, a.Rate)[0]
}

// lane returns the lane of people: that of their domain, if it has ceilings of its own.
func (a *account) lane(p People) *lane {
	name := string(p.Provider)
	if _, apart := a.Lanes[p.Domain]; apart && p.Domain != "" {
		name = p.Domain
	}
	for _, l := range a.lanes {
		if l.name == name {
			return l
		}
	}
	l := newLane(a, name)
	a.lanes = append(a.lanes, l)
	return l
}

func newLane(a *account, name string) *lane {
	l := &lane{account: a, name: name, most: math.Inf(1), bounded: map[Limit]float64{}, starts: -1, served: make([]float64, len(a.s.people))}
	limits := a.Lanes[name]
	for _, rate := range []float64{limits.Rate, a.Rate, a.s.in.Rate} {
		if rate > 0 && (l.ceiling == 0 || rate < l.ceiling) {
			l.ceiling = rate
		}
	}
	if limits.Connections > 0 {
		l.most = float64(limits.Connections) / a.PerMessage.Seconds()
		l.mostBy = ByConnections
	}
	if limits.Rate <= 0 {
		return l
	}
	pace := paced(limits.Rate)
	if a.Rate > 0 {
		pace = throttle.Effective(limits.Rate, a.Rate)[0]
	}
	if pace <= l.most {
		l.most = pace
		l.mostBy = ByLane
	}
	return l
}

// begin takes what is used of the quotas.
func (a *account) begin(now time.Time) {
	if a.Quotas == nil {
		return
	}
	for _, q := range a.Quotas(now) {
		c := newCounter(q)
		i := slices.IndexFunc(a.Used, func(u throttle.Usage) bool { return u.Quota.Name == q.Name && u.Quota.Begin.Equal(q.Begin) })
		if i >= 0 {
			c.take(a.Used[i], now)
		}
		a.counters = append(a.counters, c)
	}
}

// look finds out which quotas count at a moment, and whether one is spent.
func (a *account) look(now time.Time, t float64) {
	if slices.ContainsFunc(a.counters, func(c *counter) bool { return c.isOver(now) }) {
		a.turn(now)
	}

	a.spent = nil
	a.spentUntil = time.Time{}
	for _, c := range a.counters {
		c.age(now)
		if c.room() >= nothing {
			continue
		}
		if until := c.frees(now); a.spent == nil || until.After(a.spentUntil) {
			a.spent = c
			a.spentUntil = until
		}
	}
}

// turn begins another fixed stretch of time.
func (a *account) turn(now time.Time) {
	before := a.counters
	a.counters = nil
	for _, q := range a.Quotas(now.Add(endSlack)) {
		i := slices.IndexFunc(before, func(c *counter) bool { return c.quota.Name == q.Name && c.quota.Begin.Equal(q.Begin) })
		if i < 0 {
			a.counters = append(a.counters, newCounter(q))
			continue
		}
		before[i].quota = q
		a.counters = append(a.counters, before[i])
	}
}

// next returns when the quotas of the account change something.
func (a *account) next(t float64) float64 {
	next := math.Inf(1)
	if a.spent != nil {
		next = a.s.secondsOf(a.spentUntil)
	}
	for _, c := range a.counters {
		if a.rate > 0 {
			next = min(next, t+c.room()/a.rate)
		}
		if c.isFixed() {
			next = min(next, a.s.secondsOf(c.quota.End))
		}
	}
	return next
}

// count counts what was sent from one moment to another.
func (a *account) count(from, to float64) {
	a.last = to
	for _, c := range a.counters {
		c.count(a.s.timeOf(from), a.s.timeOf(to), a.rate*(to-from))
	}
}

// send notes that the lane sends until a moment.
func (l *lane) send(to float64) {
	now := l.account.s.t
	if l.starts < 0 {
		l.starts = now
	}
	if l.last < now {
		l.resumed = now
	}
	l.last = to
	switch l.by {
	case ByCampaign:
		l.gap = 1 / l.account.s.sum()
	case ByRate:
		l.gap = 1 / l.account.rate
	default:
		l.gap = 1 / l.rate
	}
}

// finish is when the last message leaves: at the beginning of the time that the pace
// keeps for it, and not before its recipient may be sent to.
func (l *lane) finish() float64 { return max(0, l.starts, l.resumed, l.last-l.gap) }
