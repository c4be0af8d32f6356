package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/throttle"
)

// What a reply means that is not about its recipient: a lane slows down or pauses,
// or the account closes.

const (
	// firstClosed and maxClosed bound how long an account stays closed when the rule
	// that closed it has no pause of its own.
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
	// unmeasuredRate is what a lane without a ceiling is taken to have sent whose first
	// messages are asked to be slower, in messages a second.
	unmeasuredRate = 10
	// othersSend is how recent an acceptance has to be for a connection that is
	// refused to be one too many, and not one of an account that is closed.
	othersSend = 30 * time.Second
)

// A closing is an account that has just closed.
type closing struct {
	until    time.Time
	pause    time.Duration
	again    bool // it has failed before, with no success since
	decision reply.Decision
	reason   string
}

// code is what an operator looks up: the rule's, or that of every other closing.
func (c *closing) code() codes.Code {
	if c.decision.Code != "" {
		return c.decision.Code
	}
	return codes.AccountBusy
}

// A slowdown is what a server says about a lane, to be told to all workers.
type slowdown struct {
	lane   *lane
	signal throttle.Signal
	rule   string
}

// A setback is what becomes of a recipient whose reply is about the lane or the
// account, and what the reply does to these: nothing, or one of the two.
type setback struct {
	outcome   ledger.Outcome
	closing   *closing
	slow      *slowdown
	escalated bool // it took several such replies: they are not about their recipients either
}

// aboutAccount reports whether a reply that is not about the recipient is about
// the whole account, and not about one mailbox provider.
func aboutAccount(d reply.Decision) bool {
	return d.Verdict == reply.PauseAccount || d.Scope == "account"
}

// setBack decides about a recipient whose transaction got a reply that is about
// the lane or the account: they are pending again after a while, at no charge. The
// reply counts when it confirms another recipient's, or when there were so many that
// the verdict escalated. Without that it may be this
// address alone that the server answers so: after some rounds the recipient is
// deferred.
func (ls *lanes) setBack(now time.Time, rcpt *recipient, d reply.Decision, escalated bool, r reply.Reply) setback {
	s := setback{outcome: ledger.Outcome{State: campaign.Pending}}
	if aboutAccount(d) {
		return ls.setBackByAccount(now, rcpt, d, r, s)
	}

	l := ls.of(rcpt)
	if wait := l.shutFor(now); wait > 0 {
		s.outcome.Delay = wait
		return s
	}

	if !escalated && !l.suspicion.confirm(now, rcpt.key()) {
		s.outcome = uncharged(rcpt)
		return s
	}

	s.escalated = escalated
	s.slow = ls.slowdown(now, l, d, escalated, r.String())
	s.outcome.Delay = backOfQueue
	return s
}

func (ls *lanes) setBackByAccount(now time.Time, rcpt *recipient, d reply.Decision, r reply.Reply, s setback) setback {
	if ls.breaker.closed(now) {
		s.outcome.Delay = ls.breaker.closedUntil.Sub(now)
		return s
	}
	if !ls.breaker.suspicion.confirm(now, rcpt.key()) {
		s.outcome = uncharged(rcpt)
		return s
	}
	s.closing = ls.close(now, d, r.String())
	s.outcome.Delay = s.closing.pause
	return s
}

// uncharged is the outcome of a recipient whose reply no other confirms.
func uncharged(rcpt *recipient) ledger.Outcome {
	n := rcpt.run.setBacks.count(rcpt.key())
	if n > maxUncharged {
		return ledger.Outcome{State: campaign.Deferred}
	}
	return ledger.Outcome{State: campaign.Pending, Delay: time.Duration(n) * backOfQueue}
}

// slowdown is what the lane tells all workers; nil when it has done so just now.
func (ls *lanes) slowdown(now time.Time, l *lane, d reply.Decision, escalated bool, reason string) *slowdown {
	if now.Sub(l.signalled) < signalEvery && !escalated {
		return nil
	}
	l.signalled = now
	code := d.Code
	if code == "" {
		code = codes.LaneSlowed
		if d.Verdict == reply.PauseLane {
			code = codes.LanePaused
		}
	}
	rate := l.speed.perSecond
	if rate == 0 && l.limit.Rate == 0 {
		rate = unmeasuredRate
	}
	return &slowdown{lane: l, rule: d.Rule, signal: throttle.Signal{
		Rate: rate, Ceiling: l.limit.Rate, Block: d.Verdict == reply.PauseLane,
		Backoff: d.Backoff, Factor: d.Factor, MaxBackoff: d.MaxBackoff,
		Code: string(code), Reason: code.Reason("%s", address.Redact(reason)),
	}}
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
	c = ls.close(now, d, reason)
	return c.pause, false, c
}

// close closes the account.
func (ls *lanes) close(now time.Time, d reply.Decision, reason string) *closing {
	first := firstClosed
	if d.Verdict == reply.PauseAccount {
		first = refusedClosed
	}
	c := &closing{again: ls.breaker.troubled(), decision: d, reason: address.Redact(reason)}
	c.pause = ls.breaker.close(now, d, first)
	c.until = ls.breaker.closedUntil
	return c
}
