package sender

import (
	"time"

	"broadside/sender/reply"
	"broadside/throttle"
)

// judge returns what a reply means for a recipient. Where a rule says so, many of
// its kind within a while mean more than one: the lane pauses.
func (a *account) judge(now time.Time, rcpt *recipient, r reply.Reply) (d reply.Decision, escalated bool) {
	r.Provider = providerOf(rcpt)
	r.Relay = a.cfg.Relay
	d = a.rules.Classify(r)
	if d.Escalate.Count == 0 || d.Verdict == reply.FailNoSuppress && d.Escalate.Count >= sameFailures {
		return d, false // so many failures pause the run
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	return rcpt.lane.judge(now, rcpt.key(), d)
}

// judge counts a reply to a recipient whose rule counts its replies, and returns what
// it means. Several from the same recipient count once: one alone must not pause a lane.
func (l *lane) judge(now time.Time, key recipientKey, d reply.Decision) (_ reply.Decision, escalated bool) {
	if l.escalated == d.Rule && l.throttled.State(now) == throttle.LanePaused { // it was under way when the lane paused
		d.Verdict = d.Escalate.Verdict
		return d, true
	}

	repeated := l.judged == key
	l.judged = key
	if repeated {
		return d, false
	}

	d, escalated = l.escalator.Add(now, d)
	if escalated {
		l.escalated = d.Rule
	}
	return d, escalated
}
