package reply

import "time"

// An Escalate says that after Count matches of a rule within Window another
// verdict applies. The zero value never does.
type Escalate struct {
	Count   int
	Window  time.Duration
	Verdict Verdict
	Pause   time.Duration // 0: as long as the decision itself says
}

// forgives is how many accepted messages make up for one match: where four of five
// messages are accepted, the others are about their recipients, or a pace that is a
// little too fast.
const forgives = 4

// An Escalator counts the matches of rules in one lane, and says when a rule's other
// verdict applies. The zero value is ready. It is not safe for concurrent use.
type Escalator struct {
	counted  map[string]*matches // by rule
	accepted int                 // since a match was forgiven
}

// matches are the latest of a rule, the oldest first.
type matches struct {
	at     []time.Time
	window time.Duration
}

// Add counts a decision, and returns the decision that applies: the same, or
// escalated the one with the rule's other verdict and pause. After an escalation
// counting begins again.
func (e *Escalator) Add(now time.Time, d Decision) (_ Decision, escalated bool) {
	if d.Escalate.Count < 1 || d.Escalate.Verdict == "" {
		return d, false
	}

	m := e.counted[d.Rule]
	if m == nil {
		if e.counted == nil {
			e.counted = map[string]*matches{}
		}
		m = &matches{}
		e.counted[d.Rule] = m
	}
	m.window = d.Escalate.Window
	m.drop(now)
	m.at = append(m.at, now)
	if len(m.at) < d.Escalate.Count {
		return d, false
	}
	delete(e.counted, d.Rule)
	return d.escalated(), true
}

// Accepted counts a message that was accepted in the lane.
func (e *Escalator) Accepted() {
	if len(e.counted) == 0 {
		return
	}
	e.accepted++
	if e.accepted < forgives {
		return
	}

	e.accepted = 0
	for rule, m := range e.counted {
		m.at = m.at[1:]
		if len(m.at) == 0 {
			delete(e.counted, rule)
		}
	}
}

// drop forgets the matches that have left the window.
func (m *matches) drop(now time.Time) {
	for len(m.at) > 0 && m.window > 0 && now.Sub(m.at[0]) >= m.window {
		m.at = m.at[1:]
	}
}

// escalated returns the decision with the other verdict of its rule.
func (d Decision) escalated() Decision {
	d.Verdict = d.Escalate.Verdict
	d.Confirm = 0
	if d.Escalate.Pause > 0 {
		d.Backoff = d.Escalate.Pause
		d.Factor = 0
		d.MaxBackoff = 0
		d.AtOnce = false
		d.Manual = false
	}
	return d
}
