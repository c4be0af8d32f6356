package reply

import (
	"sync"
	"time"
)

// An Escalate says that after Count matches of a rule within Window another
// verdict applies. The zero value never does.
type Escalate struct {
	Count   int
	Window  time.Duration
	Verdict Verdict
	Pause   time.Duration // 0: as long as the decision itself says
}

// maxCounted is how many pairs of rule and lane an Escalator keeps in mind; the
// one that matched longest ago is forgotten first.
const maxCounted = 1000

// An Escalator counts the matches of rules, for each lane by itself, and says
// when a rule's other verdict applies. The zero value is ready; it may be used by
// several goroutines.
type Escalator struct {
	mu      sync.Mutex
	counted map[counted]*matches
}

type counted struct{ rule, lane string }

// matches are the latest of a rule in a lane, the oldest first.
type matches struct {
	at     []time.Time
	window time.Duration
}

// Add counts a decision about a lane, and returns the decision that applies: the
// same, or escalated the one with the rule's other verdict and pause. After an
// escalation counting begins anew.
func (e *Escalator) Add(now time.Time, lane string, d Decision) (_ Decision, escalated bool) {
	if d.Escalate.Count < 1 || d.Escalate.Verdict == "" {
		return d, false
	}
	if e.count(now, counted{d.Rule, lane}, d.Escalate) < d.Escalate.Count {
		return d, false
	}
	return d.escalated(), true
}

// count adds a match and returns how many there were within the window. When they
// are as many as the rule wants they are forgotten.
func (e *Escalator) count(now time.Time, key counted, esc Escalate) int {
	e.mu.Lock()
	defer e.mu.Unlock()

	m := e.counted[key]
	if m == nil {
		e.makeRoom(now)
		m = &matches{}
		e.counted[key] = m
	}

	m.window = esc.Window
	m.at = append(m.at, now)
	m.drop(now)

	n := len(m.at)
	if n >= esc.Count {
		delete(e.counted, key)
	}
	return n
}

// drop forgets what has left the window.
func (m *matches) drop(now time.Time) {
	kept := m.at[:0]
	for _, at := range m.at {
		if now.Sub(at) < m.window {
			kept = append(kept, at)
		}
	}
	m.at = kept
}

func (m *matches) last() time.Time { return m.at[len(m.at)-1] }

// makeRoom forgets pairs until there is room for one more.
func (e *Escalator) makeRoom(now time.Time) {
	if e.counted == nil {
		e.counted = map[counted]*matches{}
	}
	if len(e.counted) < maxCounted {
		return
	}

	var oldest counted
	var since time.Time
	for key, m := range e.counted {
		last := m.last()
		if now.Sub(last) >= m.window {
			delete(e.counted, key)
		} else if since.IsZero() || last.Before(since) {
			oldest, since = key, last
		}
	}
	if len(e.counted) >= maxCounted {
		delete(e.counted, oldest)
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
