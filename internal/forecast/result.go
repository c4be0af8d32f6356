package forecast

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// result is the forecast, once the simulation is over.
func (s *simulation) result() Forecast {
	f := Forecast{Now: s.in.Now, Waits: s.waits, Expires: s.in.Expires, Expired: int64(math.Round(s.expired))}
	unfinished := s.leave()
	last := s.last()
	whole := s.whole(last)
	for _, a := range s.accounts {
		var flows []Flow
		for _, l := range a.lanes {
			if n := whole[l]; n > 0 {
				flows = append(flows, s.flow(l, n, unfinished[l]))
			}
		}
		slices.SortStableFunc(flows, func(a, b Flow) int { return cmp.Compare(b.Recipients, a.Recipients) })
		f.Lanes = append(f.Lanes, flows...)
		if w, is := s.warmup(a, flows); is {
			f.Warmups = append(f.Warmups, w)
		}
	}
	if s.done {
		f.Finish = s.timeOf(last)
	}
	return f
}

// leave counts those that the simulation has not reached in the lanes of their first
// account, and returns these.
func (s *simulation) leave() map[*lane]bool {
	lanes := map[*lane]bool{}
	if s.done || len(s.accounts) == 0 {
		return lanes
	}
	for c, class := range s.classes {
		a := s.accounts[class.order[0]]
		for p := range s.people {
			n := s.left[c][p]
			if s.held != nil {
				n += s.held[c][p]
			}
			for _, a := range s.coming {
				n += a.number[c][p]
			}
			if n > nothing {
				a.laneOf[p].served[p] += n
				lanes[a.laneOf[p]] = true
			}
		}
	}
	return lanes
}

// last is when the last message leaves.
func (s *simulation) last() (t float64) {
	for _, l := range s.lanes {
		t = max(t, l.finish())
	}
	return t
}

// whole returns how many recipients each lane has. They are whole, and everybody has one.
// The lane by which the last message leaves has one, however small its part is: or the run
// would finish after all of its lanes.
func (s *simulation) whole(last float64) map[*lane]int64 {
	all := map[*lane]int64{}
	for p, people := range s.people {
		var lanes []*lane
		rest := people.Number
		for _, l := range s.lanes {
			if n := int64(l.served[p] + nothing); n > 0 || l.served[p] > nothing {
				lanes = append(lanes, l)
				all[l] += n
				rest -= n
			}
		}

		// What rounding leaves goes to the largest remainders.
		remainder := func(l *lane) float64 {
			if all[l] == 0 && l.finish() == last {
				return 1
			}
			return l.served[p] - math.Floor(l.served[p]+nothing)
		}
		slices.SortStableFunc(lanes, func(a, b *lane) int { return cmp.Compare(remainder(b), remainder(a)) })
		for i := 0; rest > 0 && len(lanes) > 0; i++ {
			all[lanes[i%len(lanes)]]++
			rest--
		}
	}
	return all
}

func (s *simulation) flow(l *lane, recipients int64, unfinished bool) Flow {
	f := Flow{Account: l.account.Name, Lane: l.name, Recipients: recipients, Ceiling: l.ceiling, Limit: l.limit()}
	if l.starts >= 0 {
		f.Starts = s.timeOf(l.starts)
	}
	if !unfinished {
		f.Finish = s.timeOf(l.finish())
		f.Days = s.days(f.Starts, f.Finish)
	}
	return f
}

// limit is what bounded the lane for most of the time.
func (l *lane) limit() Limit {
	most := l.account.mostBy
	longest := 0.0
	for _, name := range limitNames {
		if t := l.bounded[name]; t > longest {
			most = name
			longest = t
		}
	}
	return most
}

// warmup says how many days of its warm-up an account needs; false when it has none.
func (s *simulation) warmup(a *account, flows []Flow) (Warmup, bool) {
	if a.Quotas == nil || len(flows) == 0 {
		return Warmup{}, false
	}
	for _, q := range a.Quotas(s.in.Now) {
		if q.Window > 0 {
			continue
		}
		w := Warmup{Account: a.Name, Day: a.WarmupDay, Allowance: q.Messages, Left: q.Messages}
		for _, u := range a.Used {
			if u.Quota.Name == q.Name {
				w.Left = max(0, q.Messages-u.Used)
			}
		}
		if !slices.ContainsFunc(flows, func(f Flow) bool { return f.Finish.IsZero() }) {
			w.Days = s.days(s.in.Now, s.timeOf(a.last))
		}
		return w, true
	}
	return Warmup{}, false
}

// days is how many days of the calendar there are from one moment to another.
func (s *simulation) days(from, to time.Time) int {
	date := func(t time.Time) time.Time {
		y, m, d := t.In(s.in.Zone).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(date(to).Sub(date(from))/(24*time.Hour)) + 1
}
