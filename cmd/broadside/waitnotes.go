package main

import (
	"slices"
	"time"

	"broadside/internal/report"
)

// waitOver is how long something must not be waited for before that is said: an
// account that is refused opens for one try, and closes again.
const waitOver = 5 * time.Second

// waitNotes says what a run begins to wait for, and what no longer: one line
// each, however often it is looked at. The zero value is ready.
type waitNotes struct {
	noted []notedWait
}

type notedWait struct {
	report.Wait
	last time.Time // when it was seen last
}

// changes returns the lines about what has changed.
func (n *waitNotes) changes(now []report.Wait, at time.Time) []string {
	var lines []string
	for _, w := range now {
		i := slices.IndexFunc(n.noted, func(o notedWait) bool { return o.Subject() == w.Subject() })
		switch {
		case i < 0:
			n.noted = append(n.noted, notedWait{w, at})
			lines = append(lines, "the run waits for "+w.String())
		case n.noted[i].Code != w.Code:
			n.noted[i] = notedWait{w, at}
			lines = append(lines, "the run waits for "+w.String())
		default:
			n.noted[i].last = at
		}
	}

	n.noted = slices.DeleteFunc(n.noted, func(o notedWait) bool {
		over := at.Sub(o.last) >= waitOver
		if over {
			lines = append(lines, "the run waits no more for "+o.Subject())
		}
		return over
	})
	return lines
}
