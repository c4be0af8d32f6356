package sender

import (
	"slices"
	"time"
)

// turns are the runs of one priority that have recipients waiting in a lane. They take
// turns, so that a small run does not wait for the end of a large one.
type turns struct {
	runs []*waiting
	turn int       // the latest that was taken
	size int       // recipients of all of them
	back time.Time // when the latest recipient without room comes back
}

// waiting is the recipients of one run in a lane, first in, first out.
type waiting struct {
	run        *run
	recipients []*recipient
	notBefore  time.Time // it is not looked at before
	turn       int       // the lowest is next; what it missed while it had to wait is not made up
}

func (t *turns) push(rcpt *recipient, front bool) {
	q := t.queue(rcpt.run)
	if q == nil {
		q = &waiting{run: rcpt.run, turn: t.turn}
		t.runs = append(t.runs, q)
	} else if front {
		q.turn-- // this one did not use it
	}

	if front {
		q.recipients = append([]*recipient{rcpt}, q.recipients...)
	} else {
		q.recipients = append(q.recipients, rcpt)
	}
	t.size++
}

// queue returns the recipients of a run; nil when none waits.
func (t *turns) queue(r *run) *waiting {
	for _, q := range t.runs {
		if q.run == r {
			return q
		}
	}
	return nil
}

// pop takes the next recipient; when there is none now, the moment at which it is worth
// looking again (zero: not before a push). No slot of a run is there before the moment that
// slotFrom returns.
func (t *turns) pop(now time.Time, slotFrom func(*run) time.Time) (rcpt *recipient, again time.Time) {
	next := -1
	for i, q := range t.runs {
		notBefore := later(q.notBefore, slotFrom(q.run))
		switch {
		case notBefore.After(now):
			again = earliest(again, notBefore)
		case next < 0 || q.turn < t.runs[next].turn:
			next = i
		}
	}
	if next < 0 {
		return nil, again
	}

	q := t.runs[next]
	rcpt = q.recipients[0]
	q.recipients[0] = nil
	q.recipients = q.recipients[1:]
	t.size--
	t.turn = max(t.turn, q.turn)
	q.turn = t.turn + 1
	if len(q.recipients) == 0 {
		t.runs = slices.Delete(t.runs, next, next+1)
	}
	return rcpt, time.Time{}
}

// drain takes out the recipients for which gone reports true.
func (t *turns) drain(gone func(*recipient) bool) (out []*recipient) {
	keptRuns := t.runs[:0]
	for _, q := range t.runs {
		kept := q.recipients[:0]
		for _, rcpt := range q.recipients {
			if gone(rcpt) {
				out = append(out, rcpt)
			} else {
				kept = append(kept, rcpt)
			}
		}
		clear(q.recipients[len(kept):])
		q.recipients = kept
		if len(kept) > 0 {
			keptRuns = append(keptRuns, q)
		}
	}

	clear(t.runs[len(keptRuns):])
	t.runs = keptRuns
	t.size -= len(out)
	return out
}

// shed takes out recipients beyond what each run has as its even part of a number of
// places, at most so many.
func (t *turns) shed(excess, places int) []*recipient {
	if excess <= 0 || len(t.runs) == 0 {
		return nil
	}
	part := max(1, places/len(t.runs))
	kept := map[*run]int{}
	return t.drain(func(rcpt *recipient) bool {
		if excess == 0 || kept[rcpt.run] < part {
			kept[rcpt.run]++
			return false
		}
		excess--
		return true
	})
}

// hasPart reports whether a run has at least its even part of a number of places, which it
// shares with all other runs here.
func (t *turns) hasPart(r *run, places int) bool {
	sharing := len(t.runs)
	own := 0
	if q := t.queue(r); q != nil {
		own = len(q.recipients)
	} else {
		sharing++
	}
	return own >= max(1, places/sharing)
}

// waiting returns how many recipients wait for the slots of a key, in lane l.
func (t *turns) waiting(now time.Time, l *lane, key paceKey) (n int) {
	for _, q := range t.runs {
		if paceOf(now, q.run, l) == key {
			n += len(q.recipients)
		}
	}
	return n
}
