package sender

import (
	"slices"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// lanes are what waits for an account: the lanes of each mailbox provider, which
// take turns, and the circuit breaker of the whole account. They take the time and
// what the server has answered, and return which recipient may go next, and when.
// They have no clock, and do nothing else.
type lanes struct {
	limits      map[string]LaneLimit // by the name of the lane
	storm       StormLimit
	connections int // that this process may have
	// slotFrom returns when the next slot of a key is there at the earliest, where that is
	// known; nil: it never is. Lanes and runs that share slots wait for them together, so that those which
	// look first do not get more of them than the others.
	slotFrom func(paceKey) time.Time

	groups  []*group
	byName  map[string]*lane
	turn    int
	breaker breaker
	spent   spentQuota
	latest  time.Time // when the server accepted the latest message

	shared map[string]throttle.Lane // by name, of those that are not simply open
}

// group returns the lanes of a provider.
func (ls *lanes) group(p campaign.Provider) *group {
	for _, g := range ls.groups {
		if g.provider == p {
			return g
		}
	}
	g := &group{provider: p, slotFrom: ls.slotFrom}
	ls.groups = append(ls.groups, g)
	return g
}

// nameOf returns the name of the lane of a recipient: the domain where it has
// limits of its own or is of the long tail, else the provider.
func (ls *lanes) nameOf(rcpt *recipient) string {
	provider := providerOf(rcpt)
	domain := rcpt.row.Address.Domain
	if _, limited := ls.limits[domain]; limited || provider == campaign.Other && domain != "" {
		return domain
	}
	return string(provider)
}

// of returns the lane of a recipient.
func (ls *lanes) of(rcpt *recipient) *lane {
	name := ls.nameOf(rcpt)
	if l := ls.byName[name]; l != nil {
		return l
	}

	g := ls.group(providerOf(rcpt))
	l := &lane{
		name: name, group: g, limit: ls.limits[name], throttled: ls.known(name, g.provider),
		storm: throttle.Storm{Share: ls.storm.Share, Of: ls.storm.Of, AtLeast: ls.storm.AtLeast},
	}
	if g.provider == campaign.Other && name != string(campaign.Other) {
		l.tail = ls.limits[string(campaign.Other)].Rate
	}
	g.lanes = append(g.lanes, l)
	if ls.byName == nil {
		ls.byName = map[string]*lane{}
	}
	ls.byName[name] = l
	return l
}

// known returns how all workers see a lane. The domains of the long tail have a lane
// each, and the one named other stands for them all when it is closed.
func (ls *lanes) known(name string, p campaign.Provider) throttle.Lane {
	l := ls.shared[name]
	all := ls.shared[string(campaign.Other)]
	at := time.Time{} // a lane is closed at any time
	if p == campaign.Other && all.State(at) == throttle.LaneClosed && l.State(at) != throttle.LaneClosed {
		return all
	}
	return l
}

// tidy forgets the lanes of domains that have no work and no trouble, except those
// with limits of their own, and returns their names.
func (ls *lanes) tidy(now time.Time) (names []string) {
	for _, g := range ls.groups {
		if g.provider != campaign.Other {
			continue
		}
		g.lanes = slices.DeleteFunc(g.lanes, func(l *lane) bool {
			_, limited := ls.limits[l.name]
			gone := !limited && l.idle(now) && now.Sub(l.speed.measured) > suspicionTime
			if gone {
				delete(ls.byName, l.name)
				names = append(names, l.name)
			}
			return gone
		})
	}
	return names
}

// An answer says what became of a recipient that was offered.
type answer struct {
	taken bool
	shut  bool // the account, or its lane, takes nothing for a while: another account may
	wait  time.Duration
}

// offer takes a recipient when the lane is open and has room; otherwise it returns
// when it may be worth trying again. The account's route is closed until a moment
// of its own.
func (ls *lanes) offer(now time.Time, rcpt *recipient, routeClosed time.Time) answer {
	if wait := ls.shutForRecipient(now, rcpt, routeClosed); wait > 0 {
		return answer{shut: true, wait: wait}
	}
	l := ls.of(rcpt)
	if l.group.full(rcpt.run) {
		return answer{wait: time.Second}
	}
	if wait, full := l.full(now, rcpt.run); full {
		return answer{wait: wait}
	}
	if l.isStarved(now) && l.noLease.After(now) {
		return answer{wait: time.Second}
	}

	rcpt.since = now
	l.push(rcpt, false)
	return answer{taken: true}
}

// shutForRecipient returns for how long the account, or the lane of the recipient there,
// takes nothing, at most maxReturn; 0 when it may.
func (ls *lanes) shutForRecipient(now time.Time, rcpt *recipient, routeClosed time.Time) time.Duration {
	if closed := later(routeClosed, ls.closedUntil(now)); closed.After(now) {
		return min(maxReturn, max(time.Second, closed.Sub(now)))
	}
	return ls.of(rcpt).shutFor(now)
}

// closedUntil returns until when nothing leaves by the account: it is closed, or
// has spent a quota.
func (ls *lanes) closedUntil(now time.Time) time.Time {
	until := later(ls.breaker.closedUntil, ls.spent.until(now))
	if until.After(now) {
		return until
	}
	return time.Time{}
}

// shutUntil returns until when nothing leaves for the recipients of a provider;
// zero when something may.
func (ls *lanes) shutUntil(now time.Time, p campaign.Provider) time.Time {
	if until := ls.closedUntil(now); !until.IsZero() {
		return until
	}
	if p == campaign.Other {
		if ls.shared[string(p)].State(now) == throttle.LaneClosed {
			return now.Add(shutReturn)
		}
		return time.Time{}
	}
	l := ls.byName[string(p)]
	if l == nil || len(l.group.lanes) > 1 {
		return time.Time{}
	}
	if wait := l.shutFor(now); wait > 0 {
		return now.Add(wait)
	}
	return time.Time{}
}

// putBack returns a recipient to the front of its lane. The lane does not look at
// the run before notBefore.
func (ls *lanes) putBack(rcpt *recipient, notBefore time.Time) {
	l := ls.of(rcpt)
	l.push(rcpt, true)
	l.turns(rcpt.run.high).queue(rcpt.run).notBefore = notBefore
}

// next takes the next recipient, of high priority if one of these may go; without one it
// returns when to look again (zero: not before another is offered). When the envelope is
// to go ahead, with the body of a recipient of lane ahead, it takes none that would be a
// probe.
func (ls *lanes) next(now time.Time, ahead *lane) (*recipient, time.Time) {
	again, blocked := ls.breaker.blocked(now)
	if blocked || ahead != nil && ls.breaker.troubled() {
		return nil, again
	}
	if until := ls.spent.until(now); until.After(now) {
		return nil, until
	}

	allowed := func(l *lane) bool {
		if ahead != nil && l != ahead && l.limit.Connections > 0 {
			return false // its connections are counted
		}
		if l == ahead && l.cedes() {
			return false
		}
		if l != ahead && !l.leasable(now) {
			if l.noLease.After(now) {
				again = earliest(again, l.noLease)
			}
			return false
		}
		using := l.using
		if l == ahead {
			using-- // the connection stays in the lane
		}
		return !l.slow(now) || using < ls.share(now, l)
	}
	rcpt, high := ls.inTurn(now, ahead != nil, true, allowed)
	if rcpt != nil {
		return rcpt, time.Time{}
	}
	rcpt, normal := ls.inTurn(now, ahead != nil, false, allowed)
	if rcpt != nil {
		return rcpt, time.Time{}
	}
	return nil, earliest(again, earliest(high, normal))
}

// inTurn takes the next recipient, of high priority or of another, from the group whose
// turn it is; without one it returns when to look again.
func (ls *lanes) inTurn(now time.Time, ahead, high bool, allowed func(*lane) bool) (*recipient, time.Time) {
	var again time.Time
	for k := range ls.groups {
		i := (ls.turn + k) % len(ls.groups)
		g := ls.groups[i]
		if g.size == 0 {
			continue
		}
		rcpt, at := g.next(now, ahead, high, allowed)
		if rcpt != nil {
			ls.turn = i + 1
			rcpt.probe = probe{account: ls.breaker.begin(), lane: rcpt.lane.begin(now)}
			return rcpt, time.Time{}
		}
		again = earliest(again, at)
	}
	return nil, again
}

// share returns how many connections a slow lane may use: an even part of them, or
// what the others do not need, but not all of them where it may keep them for long.
func (ls *lanes) share(now time.Time, l *lane) int {
	groups := 0
	for _, g := range ls.groups {
		if g.size > 0 || g.using > 0 {
			groups++
		}
	}

	even := max(1, ls.connections/max(1, groups))
	left := ls.connections
	for _, g := range ls.groups {
		if g != l.group && (g.size > 0 || g.using > 0) {
			left -= min(even, g.needs(now))
		}
	}

	share := max(1, max(even, left)/max(1, l.group.busy()))
	return min(share, l.most(now, ls.connections))
}

// needs is how many connections the group uses at most lately, and one more.
func (g *group) needs(now time.Time) int {
	if now.Sub(g.peakAt) > peakTime {
		return g.using + 1
	}
	return g.peak + 1
}

// probed ends the probes that a message was.
func (ls *lanes) probed(p probe, l *lane) {
	ls.breaker.probes.end(p.account)
	l.probes.end(p.lane)
}

// empty reports whether no recipient waits.
func (ls *lanes) empty() bool {
	return !slices.ContainsFunc(ls.groups, func(g *group) bool { return g.size > 0 })
}

// waiting returns how many recipients of high priority, and how many others, wait for the
// same slots.
func (ls *lanes) waiting(now time.Time, key paceKey) (high, normal int) {
	for _, g := range ls.groups {
		for _, l := range g.lanes {
			if l.size > 0 {
				high += l.high.waiting(now, l, key)
				normal += l.normal.waiting(now, l, key)
			}
		}
	}
	return high, normal
}

// drain takes out the recipients for which gone reports true.
func (ls *lanes) drain(gone func(*recipient) bool) (out []*recipient) {
	for _, g := range ls.groups {
		for _, l := range g.lanes {
			if l.size > 0 {
				out = append(out, l.drain(gone)...)
			}
		}
	}
	return out
}

// answered notes a message that was answered, for the pace of its lane. It reports
// whether a lane that was paused may be opened: its probe was accepted.
func (ls *lanes) answered(now time.Time, l *lane, accepted, bounced bool) (recovered bool) {
	l.group.speed.count(now)
	l.speed.count(now)
	l.suspicion.count()
	if accepted {
		l.escalator.Accepted()
		ls.latest = now
		ls.breaker.accepted()
	}
	return (accepted || bounced) && l.throttled.State(now) == throttle.LanePaused && !l.throttled.Until.After(now)
}

// later returns the later of two moments, of which zero is none.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
