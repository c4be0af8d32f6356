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
	if a.pausedFor(now, rcpt.lane, d.Rule) { // it was under way when the lane paused
		d.Verdict = d.Escalate.Verdict
		return d, true
	}
	if a.repeats(rcpt) {
		return d, false
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	d, escalated = rcpt.lane.escalator.Add(now, d)
	if escalated {
		rcpt.lane.escalated = d.Rule
	}
	return d, escalated
}

// pausedFor reports whether the lane has paused after replies by the same rule.
func (a *account) pausedFor(now time.Time, l *lane, rule string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.escalated == rule && l.throttled.State(now) == throttle.LanePaused
}

// repeats reports whether the last reply of the lane that was counted was to the
// same recipient: one alone must not pause a lane.
func (a *account) repeats(rcpt *recipient) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	again := rcpt.lane.judged == rcpt.key()
	rcpt.lane.judged = rcpt.key()
	return again
}
