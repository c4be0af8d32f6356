package sender

import (
	"time"

	"broadside/campaign"
)

const (
	// minRoom is a lane's room before its pace is known. It is more than the
	// least backlog of a part: a lane whose room is below the backlog gives
	// back for ever.
	minRoom = 400
	maxRoom = 8192
	// staleAfter is how long a recipient may wait in a lane. It is then given
	// back, so that another worker can take it, and so that the feeder knows
	// of it before it issues again (20 s).
	staleAfter = 15 * time.Second
)

// A lane is the recipients of one mailbox provider that wait for one account.
// Runs take turns in it.
type lane struct {
	provider campaign.Provider
	runs     []*waiting
	turn     int
	size     int

	breaker breaker

	settled   int64 // since measured
	measured  time.Time
	perSecond float64
}

// waiting is the recipients of one run in a lane, first in, first out.
type waiting struct {
	run        *run
	recipients []*recipient
	notBefore  time.Time // its next slot is not before
}

func (l *lane) push(rcpt *recipient, front bool) {
	var q *waiting
	for _, w := range l.runs {
		if w.run == rcpt.run {
			q = w
		}
	}

	if q == nil {
		q = &waiting{run: rcpt.run}
		l.runs = append(l.runs, q)
	}

	if front {
		q.recipients = append([]*recipient{rcpt}, q.recipients...)
	} else {
		q.recipients = append(q.recipients, rcpt)
	}

	l.size++
}

// pop takes the next recipient; when there is none now, the moment at which it is
// worth looking again (zero: not before a push).
func (l *lane) pop(now time.Time) (*recipient, time.Time) {
	if l.size == 0 {
		return nil, time.Time{}
	}
	if again, blocked := l.breaker.blocked(now); blocked {
		return nil, again
	}

	var again time.Time
	for k := range l.runs {
		i := (l.turn + k) % len(l.runs)
		q := l.runs[i]
		if q.notBefore.After(now) {
			again = earliest(again, q.notBefore)
			continue
		}
		rcpt := q.recipients[0]
		q.recipients[0] = nil
		q.recipients = q.recipients[1:]
		l.size--
		l.turn = i + 1
		if len(q.recipients) == 0 {
			l.runs = append(l.runs[:i], l.runs[i+1:]...)
			l.turn = i
		}
		return rcpt, time.Time{}
	}

	return nil, again
}

// drain takes out the recipients for which gone reports true.
func (l *lane) drain(gone func(*recipient) bool) (out []*recipient) {
	keptRuns := l.runs[:0]
	for _, q := range l.runs {
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

	clear(l.runs[len(keptRuns):])
	l.runs = keptRuns
	l.size -= len(out)
	return out
}

// room is two seconds of what the lane settles here.
func (l *lane) room() int {
	return min(maxRoom, max(minRoom, int(2*l.perSecond)))
}

// count notes a settled message for the lane's pace.
func (l *lane) count(now time.Time) {
	l.settled++
	if l.measured.IsZero() {
		l.measured = now
		return
	}

	dt := now.Sub(l.measured).Seconds()
	if dt < 0.2 {
		return
	}

	rate := float64(l.settled) / dt
	weight := 2 * dt
	if rate < l.perSecond {
		weight = dt / 20 // as late as the feeder's backlog follows: room must exceed it
	}

	l.perSecond += (rate - l.perSecond) * min(1, weight)
	l.settled, l.measured = 0, now
}

// earliest returns the earlier of two moments, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
