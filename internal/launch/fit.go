package launch

import (
	"time"

	"broadside/campaign/window"
	"broadside/internal/forecast"
)

// maxClosings bounds how many closings of a window are counted.
const maxClosings = 1000

// A Fit says how a run fits into its window, by the forecast. The zero Fit is that of a run
// without one.
type Fit struct {
	Opens    time.Time // when the first message may leave
	Closed   bool      // the window is closed when the run is made, so that it waits until then
	Closes   time.Time // when the window closes before the run is done; zero: it does not
	Reopens  time.Time // when the run goes on
	Left     int64     // about how many people have not been sent to by then
	Closings int       // how often it closes before the run is done; 0: it may never be done
}

// fitOf says how a run that begins at a time fits into a window. f is its forecast as if
// the window did not close once it is open.
func fitOf(w *window.Window, begins time.Time, f forecast.Forecast) Fit {
	if w == nil {
		return Fit{}
	}

	fit := Fit{Opens: f.Now, Closed: f.Now.After(begins)}
	closes := w.Closes(f.Now)
	if closes.IsZero() || !f.Finish.IsZero() && !closes.Before(f.Finish) {
		return fit
	}

	fit.Closes = closes
	fit.Reopens = w.Next(closes)
	for _, lane := range f.Lanes {
		fit.Left += left(lane, closes)
	}
	if f.Finish.IsZero() {
		return fit
	}

	done := w.After(f.Now, f.Finish.Sub(f.Now))
	for at := closes; !at.IsZero() && at.Before(done) && fit.Closings < maxClosings; {
		fit.Closings++
		at = w.Closes(w.Next(at))
	}
	return fit
}

// left returns how many recipients of a lane are not sent to at a time, as if its pace
// were even.
func left(lane forecast.Flow, at time.Time) int64 {
	switch {
	case lane.Finish.IsZero() || !lane.Starts.Before(at):
		return lane.Recipients // some of a lane that is never done are sent to by then
	case !lane.Finish.After(at):
		return 0
	}
	return int64(float64(lane.Recipients) * float64(lane.Finish.Sub(at)) / float64(lane.Finish.Sub(lane.Starts)))
}
