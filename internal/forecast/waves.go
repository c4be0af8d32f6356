package forecast

import (
	"cmp"
	"slices"
)

// arrivals are recipients who may be sent to from a moment on, by class and people.
type arrivals struct {
	at     float64 // seconds from now
	number [][]float64
}

// all is how many they are.
func (a arrivals) all() (n float64) {
	for _, people := range a.number {
		n += sum(people)
	}
	return n
}

// arrive divides the recipients among the waves of the input. It reports false when there
// are none.
func (s *simulation) arrive() bool {
	total := 0.0
	for _, w := range s.in.Waves {
		total += w.Recipients
	}
	if total < nothing {
		return false
	}

	for _, w := range s.in.Waves {
		a := arrivals{at: s.secondsOf(w.At)}
		for _, c := range s.classes {
			var people []float64
			for _, p := range s.people {
				people = append(people, float64(p.Number)*c.share*w.Recipients/total)
			}
			a.number = append(a.number, people)
		}
		s.coming = append(s.coming, a)
	}
	slices.SortStableFunc(s.coming, func(a, b arrivals) int { return cmp.Compare(a.at, b.at) })

	for range s.classes {
		s.left = append(s.left, make([]float64, len(s.people)))
	}
	s.pass(0)
	return true
}

// pass goes on to a moment at which nothing else happens before, and lets those be sent
// to whose wave has begun.
func (s *simulation) pass(to float64) {
	s.t = max(s.t, to)
	for len(s.coming) > 0 && s.coming[0].at <= s.t {
		for c, people := range s.coming[0].number {
			for p, n := range people {
				s.left[c][p] += n
			}
		}
		s.coming = s.coming[1:]
	}
}
