package sender

import (
	"math"
	"slices"
	"time"

	"broadside/sender/reply"
	"broadside/throttle"
)

const (
	// staleAfter is how long a recipient may wait in a lane. It is then given
	// back, so that another worker can take it, and so that the feeder knows
	// of it before it issues again (20 s).
	staleAfter = 15 * time.Second
	// slowTransaction is how long a transaction may take before its lane may use no
	// more than its share of the connections: what is quicker frees them soon.
	slowTransaction = time.Second
	// stuckTimes the usual time of a transaction, and stuckMore, is how long one may be
	// under way before its lane is taken for slow.
	stuckTimes = 4
	stuckMore  = 100 * time.Millisecond
	// verySlow is how long a transaction may take before its lane leaves half of the
	// connections to others, also when there are none now.
	verySlow = 5 * time.Second
	// signalEvery is how often a lane tells the others that its server slows it down.
	signalEvery = 2 * time.Second
	// laneRoom is for how long a lane with a rate has recipients waiting.
	laneRoom = 10 * time.Second
	// maxReturn is the longest that a recipient without room in their lane stays away.
	maxReturn = 2 * time.Minute
	// shutReturn is how long a recipient stays away from a lane that is paused or closed
	// at most: an operator who resets it wants to see that it goes on. From a paused domain of
	// the long tail they stay away longer, since the feeder goes on handing them out.
	shutReturn = 10 * time.Second
)

// A lane is the recipients that wait for an account at one mailbox provider, or in
// the long tail at one domain: what is paced, slowed down and closed by itself.
// Runs take turns in it, and those of high priority go first.
type lane struct {
	name  string // of the provider, or of the domain
	limit LaneLimit
	tail  float64 // messages a second that the whole long tail takes, if the lane is of it; 0: no limit
	group *group

	high, normal turns
	size         int // of both

	using int           // connections that carry its messages now
	begun []time.Time   // when the transactions under way began, the first first
	each  time.Duration // smoothed time that a transaction takes; 0: none has ended
	late  time.Time     // since when each is more than slowTransaction; zero: it is not

	leases  int       // connections that this process may use for it; counted only under a limit
	ceded   int       // of them, those that other processes get as soon as they are free
	noLease time.Time // other processes have all of them; it is not asked for more before
	starved time.Time // since when a lease is refused and this process has none; zero: that is not so

	throttled throttle.Lane // as all workers see it
	changed   time.Time     // when this worker changed that
	suspicion suspicion
	judged    recipientKey // got the last reply of a rule that counts its replies
	escalator reply.Escalator
	escalated string // the rule of which there were so many that the lane paused
	signalled time.Time
	storm     throttle.Storm
	speed     meter

	probes probes
}

// turns returns those of the runs of high priority, or of the others.
func (l *lane) turns(high bool) *turns {
	if high {
		return &l.high
	}
	return &l.normal
}

func (l *lane) push(rcpt *recipient, front bool) {
	rcpt.lane = l
	l.turns(rcpt.run.high).push(rcpt, front)
	l.count(rcpt.run, 1)
}

// count notes that more recipients of a run wait, or fewer.
func (l *lane) count(r *run, more int) {
	l.size += more
	l.group.count(r, more)
}

// blocked returns when to look again, if no message may go out now; zero: when it
// is opened.
func (l *lane) blocked(now time.Time) (again time.Time, blocked bool) {
	switch l.throttled.State(now) {
	case throttle.LaneClosed:
		return time.Time{}, true
	case throttle.LanePaused:
		if l.throttled.Until.After(now) {
			return l.throttled.Until, true
		}
		if l.probes.underWay() {
			return now.Add(time.Second), true
		}
	}
	return time.Time{}, false
}

// shutFor returns for how long a recipient stays away from a lane that is paused or
// closed; 0 when it is neither.
func (l *lane) shutFor(now time.Time) time.Duration {
	again, blocked := l.blocked(now)
	if !blocked || l.probes.underWay() {
		return 0
	}

	most := shutReturn
	if again.IsZero() {
		return most
	}
	if l.name != string(l.group.provider) {
		most = maxReturn
	}
	return min(most, max(time.Second, again.Sub(now)))
}

// begin notes that a message goes out, and returns the number of the probe that
// it is; 0 when it is none.
func (l *lane) begin(now time.Time) uint64 {
	if l.throttled.State(now) != throttle.LanePaused {
		return 0
	}
	return l.probes.begin()
}

// pop takes the next recipient of the runs of high priority, or of the others; when
// there is none now, the moment at which it is worth looking again (zero: not before a
// push). When the envelope is to go ahead, with the body of another recipient, it takes
// none that would be a probe.
func (l *lane) pop(now time.Time, ahead, high bool) (*recipient, time.Time) {
	t := l.turns(high)
	if t.size == 0 {
		return nil, time.Time{}
	}

	again, blocked := l.blocked(now)
	if blocked || ahead && l.throttled.State(now) == throttle.LanePaused {
		return nil, again
	}

	rcpt, again := t.pop(now, func(r *run) time.Time { return l.slotFrom(now, r) })
	if rcpt != nil {
		l.count(rcpt.run, -1)
	}
	return rcpt, again
}

// slotFrom returns before when there is no slot for the messages of a run; zero: that is not
// known.
func (l *lane) slotFrom(now time.Time, r *run) time.Time {
	if l.group.slotFrom == nil {
		return time.Time{}
	}
	return l.group.slotFrom(paceOf(now, r, l))
}

// drain takes out the recipients for which gone reports true.
func (l *lane) drain(gone func(*recipient) bool) []*recipient {
	out := append(l.high.drain(gone), l.normal.drain(gone)...)
	for _, rcpt := range out {
		l.count(rcpt.run, -1)
	}
	return out
}

// rate returns the ceiling of the lane now, in messages a second; 0: none.
func (l *lane) rate(now time.Time) float64 {
	rate := l.throttled.Rate(now)
	if rate <= 0 || l.limit.Rate > 0 && l.limit.Rate < rate {
		return l.limit.Rate
	}
	return rate
}

// flow returns how many messages a second the lane can be expected to send at most: its
// rate, or less when its transactions take long, and it shares the recipients that may
// wait with other lanes of the group; 0: not known, and not little.
func (l *lane) flow(now time.Time) float64 {
	rate := l.rate(now)
	long := l.each
	if len(l.begun) > 0 {
		long = max(long, now.Sub(l.begun[0]))
	}
	if long <= slowTransaction || len(l.group.lanes) < 2 {
		return rate
	}

	flow := float64(max(1, l.using)) / long.Seconds()
	if rate > 0 {
		return min(rate, flow)
	}
	return flow
}

// room returns how many recipients a lane that sends so many a second has use for soon.
func room(flow float64) int { return max(2, int(math.Ceil(flow*laneRoom.Seconds()))) }

// full reports whether a lane whose flow is known has as many recipients as it can use
// soon, and then when another one of the run may come: the one after the latest that was
// sent away. Those of normal priority take no room from the others, and no run takes the
// part of another. A recipient stays away from a lane that is only slow for no longer than it
// has been: a server that hesitates once goes on at its usual pace.
func (l *lane) full(now time.Time, r *run) (time.Duration, bool) {
	t := l.turns(r.high)
	size := t.size
	if !r.high {
		size = l.size
	}
	flow := l.flow(now)
	if flow <= 0 || size < room(flow) {
		t.back = time.Time{}
		return 0, false
	}
	if !t.hasPart(r, room(flow)) {
		return 0, false
	}

	most := maxReturn
	if flow != l.rate(now) {
		most = min(most, max(time.Second, l.lateFor(now)))
	}
	soonest := now.Add(laneRoom / 2)
	step := time.Duration(float64(time.Second) / flow)
	t.back = earliest(later(soonest, t.back.Add(step)), now.Add(most))
	return t.back.Sub(now), true
}

// lateFor returns for how long transactions of the lane have been slow.
func (l *lane) lateFor(now time.Time) time.Duration {
	since := l.late
	if since.IsZero() && len(l.begun) > 0 {
		since = l.begun[0]
	}
	return now.Sub(since)
}

// crowd takes out the recipients that a lane has no use for soon, since its server has
// become slow: those of normal priority first. They would keep others of the provider from
// coming. What stays is shared evenly by the runs of a priority.
func (l *lane) crowd(now time.Time) (out []*recipient) {
	flow := l.flow(now)
	if flow <= 0 || flow >= l.rate(now) && l.rate(now) > 0 || l.size <= room(flow) {
		return nil
	}

	most := room(flow)
	out = l.normal.shed(l.size-most, max(0, most-l.high.size))
	out = append(out, l.high.shed(l.high.size-most, most)...)
	for _, rcpt := range out {
		l.count(rcpt.run, -1)
	}
	return out
}

// slow reports whether a transaction of the lane keeps its connection for long, or may
// do so.
func (l *lane) slow(now time.Time) bool { return l.each > slowTransaction || l.doubtful(now) }

// doubtful reports whether it is not known how long a transaction of the lane takes: none
// has ended yet, or one is under way for longer than is usual.
func (l *lane) doubtful(now time.Time) bool {
	return l.each == 0 || len(l.begun) > 0 && now.Sub(l.begun[0]) > stuckTimes*l.each+stuckMore
}

// most is how many of so many connections a slow lane may use when it is alone. Work
// for others may come while they are kept.
func (l *lane) most(now time.Time, connections int) int {
	switch {
	case l.doubtful(now):
		return max(1, connections/4)
	case l.each > verySlow:
		return max(1, connections/2)
	}
	return connections
}

// enter notes a connection that carries the lane's messages.
func (l *lane) enter(now time.Time) {
	l.using++
	l.group.enter(now)
}

// transact notes that a transaction with the server begins.
func (l *lane) transact(now time.Time) { l.begun = append(l.begun, now) }

// leave notes that a connection works no longer for the lane, and its transaction, which
// began then; the zero time: there was none.
func (l *lane) leave(began, now time.Time) {
	l.using--
	l.group.using--
	i := slices.IndexFunc(l.begun, began.Equal)
	if l.using == 0 {
		defer func() { l.begun = nil }() // also what a panic has left
	}
	if began.IsZero() || i < 0 {
		return
	}

	l.begun = slices.Delete(l.begun, i, i+1)
	took := now.Sub(began)
	if l.each > 0 {
		took = l.each + (took-l.each)/4
	}
	l.each = max(took, 1)
	switch {
	case l.each <= slowTransaction:
		l.late = time.Time{}
	case l.late.IsZero():
		l.late = began
	}
}

// idle reports whether there is nothing to remember of the lane.
func (l *lane) idle(now time.Time) bool {
	return l.size == 0 && l.using == 0 && !l.probes.underWay() && l.throttled.State(now) == throttle.LaneOpen
}

// earliest returns the earlier of two moments, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
