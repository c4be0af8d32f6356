package main

import (
	"fmt"
	"io"
	"time"

	"broadside/internal/launch"
)

// showWindow prints the hours at which a run may send, and how it fits into them. now is
// when it is read.
func showWindow(w io.Writer, p launch.Plan, now time.Time) {
	if p.Window == nil {
		return
	}

	when := clock{now: now, zone: p.Zone}
	fmt.Fprintf(w, "window      %s\n", p.Window)
	if p.Fit.Closed {
		fmt.Fprintf(w, "            closed when the run is made: nothing leaves before %s\n", when.in(p.Fit.Opens))
	}
	if p.Fit.Closes.IsZero() {
		return
	}

	fmt.Fprintf(w, "            closes %s with about %s left, who wait until %s", when.in(p.Fit.Closes), peopleWord(p.Fit.Left), when.in(p.Fit.Reopens))
	if p.Fit.Closings > 1 {
		fmt.Fprintf(w, "; it closes %d times before all are done", p.Fit.Closings)
	}
	fmt.Fprintln(w)
}

// A windowDocument is the window of a plan in JSON.
type windowDocument struct {
	Hours    string  `json:"hours"`
	Opens    *string `json:"opens"`    // when the first message may leave
	Closes   *string `json:"closes"`   // before the run is done; null: it does not
	Reopens  *string `json:"reopens"`  // when the run goes on
	Left     int64   `json:"left"`     // people who wait until then
	Closings int     `json:"closings"` // before the run is done
}

func windowOf(p launch.Plan) *windowDocument {
	if p.Window == nil {
		return nil
	}
	return &windowDocument{
		Hours: p.Window.String(), Opens: stamp(p.Fit.Opens), Closes: stamp(p.Fit.Closes), Reopens: stamp(p.Fit.Reopens),
		Left: p.Fit.Left, Closings: p.Fit.Closings,
	}
}
