package scheduler

import (
	"fmt"
	"time"

	"broadside/campaign/codes"
)

// What becomes of an occurrence.
const (
	Fired   = "fired"   // its run was made
	Missed  = "missed"  // no scheduler was there in time, or its audience could not be read: not sent
	Failed  = "failed"  // its run could not be made: not sent
	Skipped = "skipped" // an operator has left it out, or its feed had nothing new: not sent
)

// keepOccurrences is how many occurrences are kept for each schedule.
const keepOccurrences = 200

// An Occurrence is one time of a schedule that has passed, or a row of times
// that were missed one after the other.
type Occurrence struct {
	At       time.Time `json:"at"`
	Outcome  string    `json:"outcome"`
	Run      string    `json:"run,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Until    time.Time `json:"until,omitzero"` // the last of the row
	Count    int64     `json:"count,omitempty"`
	Recorded time.Time `json:"recorded"`
}

// Times returns how many times of the schedule it stands for.
func (o Occurrence) Times() int64 { return max(1, o.Count) }

// countMissed bounds the times that are counted one by one.
const countMissed = 1_000_000

// missed returns the row of times from first on that are too late now, and the
// first one that is not; the zero time when there is none.
func missed(t Timing, first, now time.Time, trouble string) (Occurrence, time.Time, error) {
	o := Occurrence{At: first, Count: 1, Outcome: Missed, Recorded: now}
	tooLate := now.Add(-t.MaxLateness)
	last := first
	next, err := t.Next(first)
	for err == nil && !next.IsZero() && t.LastMoment(next).Before(tooLate) {
		if o.Count == countMissed {
			next, err = t.Next(tooLate.Add(-1))
			trouble = "and more times after that"
			break
		}
		last = next
		o.Count++
		next, err = t.Next(next)
	}

	if err != nil {
		return Occurrence{}, time.Time{}, err
	}

	reason := fmt.Sprintf("%v late, max_lateness is %v", now.Sub(t.LastMoment(last)).Round(time.Second), t.MaxLateness)
	if o.Count > 1 {
		o.Until = last
	}
	if trouble != "" {
		reason += "; " + trouble
	}
	o.Reason = codes.Missed.Reason("%s", reason)

	return o, next, nil
}
