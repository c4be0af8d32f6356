package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

const (
	// firstClosed and maxClosed bound how long an account or lane stays closed
	// when the rule that closed it has no pause of its own.
	firstClosed = 2 * time.Second
	maxClosed   = 5 * time.Minute
	// refusedClosed is the first pause after a refused login or certificate:
	// repeated bad logins lock accounts.
	refusedClosed = 30 * time.Second
	// backOfQueue is how long a recipient waits whose reply is about the lane or
	// the account when no other recipient got one: the second time twice as long.
	backOfQueue = 10 * time.Second
	// maxUncharged is how often a recipient goes to the back of the queue. The
	// next such reply is charged as a deferral.
	maxUncharged = 2
	// othersSend is how recent an acceptance has to be for a connection that is
	// refused to be one too many, and not one of an account that is closed.
	othersSend = 30 * time.Second
)

// lanes are what waits for an account: a lane for each mailbox provider, which
// take turns, and the circuit breaker of the whole account. They take the time and
// what the server has answered, and return which recipient may go next, and when.
// They have no clock, and do nothing else.
type lanes struct {
	all     []*lane
	turn    int
	breaker breaker
	latest  time.Time // when the server accepted the latest message
}

// of returns the lane of a provider.
func (ls *lanes) of(p campaign.Provider) *lane {
	for _, l := range ls.all {
		if l.provider == p {
			return l
		}
	}
	l := &lane{provider: p}
	ls.all = append(ls.all, l)
	return l
}

// offer takes a recipient when the lane is open and has room; otherwise it returns
// when it may be worth trying again. The account's route is closed until a moment
// of its own.
func (ls *lanes) offer(now time.Time, rcpt *recipient, routeClosed time.Time) (bool, time.Duration) {
	l := ls.of(providerOf(rcpt))
	closed := later(routeClosed, later(ls.breaker.closedUntil, l.breaker.closedUntil))
	if closed.After(now) {
		return false, max(time.Second, closed.Sub(now))
	}
	if l.size >= l.room() {
		return false, time.Second
	}
	rcpt.since = now
	l.push(rcpt, false)
	return true, 0
}

// putBack returns a recipient to the front of its lane. The lane does not look at
// the run before notBefore.
func (ls *lanes) putBack(rcpt *recipient, notBefore time.Time) {
	l := ls.of(providerOf(rcpt))
	l.push(rcpt, true)
	for _, q := range l.runs {
		if q.run == rcpt.run {
			q.notBefore = notBefore
		}
	}
}

// next takes the next recipient; without one it returns when to look again (zero:
// not before another is offered). When the envelope is to go ahead, with the body
// of another recipient, it takes none that would be a probe.
func (ls *lanes) next(now time.Time, ahead bool) (*recipient, time.Time) {
	again, blocked := ls.breaker.blocked(now)
	if blocked || ahead && ls.breaker.troubled() {
		return nil, again
	}

	for k := range ls.all {
		i := (ls.turn + k) % len(ls.all)
		l := ls.all[i]
		if ahead && l.breaker.troubled() {
			continue
		}
		rcpt, at := l.pop(now)
		if rcpt != nil {
			ls.turn = i + 1
			rcpt.probe = probe{account: ls.breaker.begin(), lane: l.breaker.begin()}
			return rcpt, time.Time{}
		}
		again = earliest(again, at)
	}
	return nil, again
}

// probed ends the probes of the account and of a lane that a message was.
func (ls *lanes) probed(p probe, provider campaign.Provider) {
	ls.breaker.probed(p.account)
	ls.of(provider).breaker.probed(p.lane)
}

// empty reports whether no recipient waits.
func (ls *lanes) empty() bool {
	for _, l := range ls.all {
		if l.size > 0 {
			return false
		}
	}
	return true
}

// waiting returns how many recipients of a run wait.
func (ls *lanes) waiting(r *run) (n int) {
	for _, l := range ls.all {
		for _, q := range l.runs {
			if q.run == r {
				n += len(q.recipients)
			}
		}
	}
	return n
}

// drain takes out the recipients for which gone reports true.
func (ls *lanes) drain(gone func(*recipient) bool) (out []*recipient) {
	for _, l := range ls.all {
		out = append(out, l.drain(gone)...)
	}
	return out
}

// answered notes a message that was answered, for the pace of its lane. An
// acceptance opens the lane; it reports whether the lane was in trouble before.
func (ls *lanes) answered(now time.Time, p campaign.Provider, accepted bool) (opened bool) {
	l := ls.of(p)
	l.count(now)
	if !accepted {
		return false
	}
	ls.latest = now
	ls.breaker.accepted()
	l.breaker.accepted()
	return l.breaker.open(now)
}

// A closing is what has just closed: a lane of the account, or all of it.
type closing struct {
	provider campaign.Provider // of the lane; empty: the whole account
	until    time.Time
	pause    time.Duration
	again    bool // it has failed before, with no success since
	decision reply.Decision
	reason   string
}

// code is what an operator looks up: the rule's, or that of every other closing.
func (c *closing) code() codes.Code {
	switch {
	case c.decision.Code != "":
		return c.decision.Code
	case c.provider != "":
		return codes.LaneClosed
	}
	return codes.AccountBusy
}

// covers reports whether the recipient cannot be sent to while it lasts.
func (c *closing) covers(rcpt *recipient) bool {
	return c.provider == "" || providerOf(rcpt) == c.provider
}

// aboutAccount reports whether a reply that is not about the recipient is about
// the whole account, and not about one mailbox provider.
func aboutAccount(d reply.Decision) bool {
	return d.Verdict == reply.PauseAccount || d.Scope == "account"
}

// setBack decides about a recipient whose transaction got a reply that is about
// the lane or the account: they are pending again after a while, at no charge. A
// closing comes with it when the reply confirms another recipient's. Without
// that it may be this address alone that the server answers so: after some rounds
// the recipient is deferred.
func (ls *lanes) setBack(now time.Time, rcpt *recipient, d reply.Decision, r reply.Reply) (ledger.Outcome, *closing) {
	o := ledger.Outcome{State: campaign.Pending}
	provider := campaign.Provider("")
	if !aboutAccount(d) {
		provider = providerOf(rcpt)
	}

	b := ls.breakerOf(provider)
	if b.closed(now) {
		o.Delay = b.closedUntil.Sub(now)
		return o, nil
	}

	if !b.confirm(rcpt.key()) {
		n := rcpt.run.setBacks.count(rcpt.key())
		if n > maxUncharged {
			o.State = campaign.Deferred
			return o, nil
		}
		o.Delay = time.Duration(n) * backOfQueue
		return o, nil
	}

	c := ls.close(now, provider, d, r.String())
	o.Delay = c.pause
	return o, c
}

// refusedConnection decides what a connection that could not be had means: nothing
// was sent, and no recipient is charged. Mostly the account closes. Where the
// server takes the connections that are open and only no more of them, this one
// alone has to rest.
func (ls *lanes) refusedConnection(now time.Time, d reply.Decision, reason string) (rest time.Duration, alone bool, c *closing) {
	switch {
	case ls.breaker.closed(now): // another connection was faster
		return ls.breaker.closedUntil.Sub(now), false, nil
	case d.Action == "lower_conns" && now.Sub(ls.latest) < othersSend:
		return closeFor(d, firstClosed, 1), true, nil
	}
	c = ls.close(now, "", d, reason)
	return c.pause, false, c
}

// breakerOf returns that of a lane, or with no provider of the account.
func (ls *lanes) breakerOf(provider campaign.Provider) *breaker {
	if provider == "" {
		return &ls.breaker
	}
	return &ls.of(provider).breaker
}

// close closes a lane, or with no provider the account.
func (ls *lanes) close(now time.Time, provider campaign.Provider, d reply.Decision, reason string) *closing {
	b := ls.breakerOf(provider)
	first := firstClosed
	if d.Verdict == reply.PauseAccount {
		first = refusedClosed
	}
	c := &closing{provider: provider, again: b.troubled(), decision: d, reason: address.Redact(reason)}
	c.pause = b.close(now, d, first)
	c.until = b.closedUntil
	return c
}

// later returns the later of two moments, of which zero is none.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
