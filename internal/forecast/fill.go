package forecast

import "math"

// fill sets the rates of the lanes at which somebody waits. All grow alike, until one
// after the other meets a limit: its own, its account's or the campaign's. So lanes take
// turns, and what one cannot use the others get.
func (s *simulation) fill() {
	s.active = s.active[:0]
	for _, a := range s.accounts {
		a.rate = 0
	}
	for _, l := range s.lanes {
		l.rate = 0
		if l.waiting > 0 {
			s.active = append(s.active, l)
		}
	}

	var growing []*lane
	growing = append(growing, s.active...)
	for len(growing) > 0 {
		step := s.step(growing)
		for _, l := range growing {
			l.rate += step
			l.account.rate += step
		}
		growing = s.unbounded(growing)
	}
}

// step returns by how much all of the lanes may grow.
func (s *simulation) step(growing []*lane) float64 {
	step := math.Inf(1)
	for _, l := range growing {
		step = min(step, l.most-l.rate)
	}
	for _, a := range s.accounts {
		n := 0
		for _, l := range growing {
			if l.account == a {
				n++
			}
		}
		if n > 0 {
			step = min(step, (a.most-a.rate)/float64(n))
		}
	}
	if s.rate > 0 {
		step = min(step, (s.rate-s.sum())/float64(len(growing)))
	}
	return max(0, step)
}

// sum is the rate of all accounts.
func (s *simulation) sum() (rate float64) {
	for _, a := range s.accounts {
		rate += a.rate
	}
	return rate
}

// unbounded returns those lanes that have not met a limit, and says of the others which
// one they have met.
func (s *simulation) unbounded(growing []*lane) []*lane {
	total := s.sum()
	free := growing[:0]
	for _, l := range growing {
		switch a := l.account; {
		case reached(l.rate, l.most):
			l.by = l.mostBy
		case reached(a.rate, a.most):
			l.by = a.mostBy
		case s.rate > 0 && reached(total, s.rate):
			l.by = ByCampaign
		default:
			free = append(free, l)
		}
	}
	return free
}

// reached allows for what additions round.
func reached(rate, most float64) bool { return rate >= most*(1-1e-9) }
