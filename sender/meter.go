package sender

import "time"

// A meter measures how many messages are settled in a second. It follows a rise
// within a second and a fall within twenty: as late as the feeder's backlog does,
// which must stay below the room that is made of it.
type meter struct {
	settled   int64 // since measured
	measured  time.Time
	perSecond float64
}

// count notes a settled message.
func (m *meter) count(now time.Time) {
	m.settled++
	if m.measured.IsZero() {
		m.measured = now
		return
	}

	dt := now.Sub(m.measured).Seconds()
	if dt < 0.2 {
		return
	}

	rate := float64(m.settled) / dt
	weight := 2 * dt
	if rate < m.perSecond {
		weight = dt / 20
	}

	m.perSecond += (rate - m.perSecond) * min(1, weight)
	m.settled = 0
	m.measured = now
}
