package throttle

import "time"

// A Storm is the latest outcomes of a lane. It tells a list with bad addresses from a
// server that has begun to refuse everybody as unknown. Set its fields before the
// first outcome. It is not safe for concurrent use.
type Storm struct {
	Share   float64 // of hard failures that is a storm when there are more
	Of      int     // outcomes that are looked at
	AtLeast int     // hard failures below which there is no storm

	ring []outcome
	next int // where the next outcome goes
	hard int // in the ring
}

type outcome struct {
	at   time.Time
	hard bool
}

// Add notes one outcome. It reports whether this is a storm, and since when: the time
// of the oldest outcome that it looked at. The share is that of the last Of
// outcomes; of fewer than half as many it is taken as if there were half.
func (s *Storm) Add(now time.Time, hard bool) (storm bool, from time.Time) {
	if s.Of <= 0 {
		return false, time.Time{}
	}
	if len(s.ring) < s.Of {
		s.ring = append(s.ring, outcome{})
		s.next = len(s.ring) - 1
	} else if s.ring[s.next].hard {
		s.hard--
	}
	s.ring[s.next] = outcome{now, hard}
	s.next = (s.next + 1) % s.Of
	if !hard {
		return false, time.Time{}
	}

	s.hard++
	of := max(len(s.ring), (s.Of+1)/2)
	if s.hard < s.AtLeast || float64(s.hard) <= s.Share*float64(of) {
		return false, time.Time{}
	}
	return true, s.ring[s.next%len(s.ring)].at
}

// Reset forgets all outcomes.
func (s *Storm) Reset() { s.ring, s.next, s.hard = nil, 0, 0 }
