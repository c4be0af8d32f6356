package sender

import (
	"time"

	"broadside/sender/reply"
)

// judge returns what a reply means for a recipient. Where a rule says so, many of
// its kind within a while mean more than one: the lane pauses.
func (a *account) judge(now time.Time, rcpt *recipient, r reply.Reply) reply.Decision {
	r.Provider = providerOf(rcpt)
	r.Relay = a.cfg.Relay
	d := a.rules.Classify(r)
	if d.Escalate.Count == 0 {
		return d
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.escalator.Add(now, d.Rule, rcpt.lane.name, d.Escalate) {
		d.Verdict = d.Escalate.Verdict
		d.Backoff = d.Escalate.Pause
		d.Confirm = 0
		d.Escalated = true
	}
	return d
}
