package reply

import "time"

type Rules struct{}

func (r *Rules) Classify(p Reply) Decision { return Classify(p) }

type Escalate struct {
	Count   int
	Window  time.Duration
	Verdict Verdict
	Pause   time.Duration
}
type Escalator struct{}

func (e *Escalator) Add(now time.Time, rule, lane string, x Escalate) bool { return false }
