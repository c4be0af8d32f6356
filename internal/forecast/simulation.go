package forecast

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	// nothing is how few recipients are none: the rest of what was divided.
	nothing = 1e-6
	// moment is the shortest step, in seconds.
	moment = 1e-9
	// maxSteps bounds a forecast of quotas that free in very small parts.
	maxSteps = 300_000
)

// A simulation is the state of a run at a moment, t seconds from now.
type simulation struct {
	in       Input
	t        float64
	rate     float64 // of the campaign, as it is paced; 0: none
	accounts []*account
	people   []People
	classes  []class
	left     [][]float64 // recipients by class and people
	held     [][]float64 // those that wait for the canary; nil: none do
	coming   []arrivals  // those whose wave has not begun, in the order of time
	lanes    []*lane     // of all accounts
	active   []*lane     // those that send at the moment
	waits    []Wait
	done     bool
	expired  float64
	isLate   bool // the moment of expiry is over
	// sent is told what leaves by an account in a step, in tests; nil: it is not.
	sent func(account int, from, to, messages float64)
}

// A class is recipients that try the accounts in the same order.
type class struct {
	order []int
	share float64
	at    int // the account that takes them at the moment; -1: none
}

// newSimulation returns the state before the first message.
func newSimulation(in Input) *simulation {
	in.Zone = cmp.Or(in.Zone, time.UTC)
	s := &simulation{in: in, classes: classesOf(in.Accounts), isLate: in.Expires.IsZero()}
	for _, p := range in.People {
		if p.Number > 0 {
			s.people = append(s.people, p)
		}
	}
	for i := range in.Accounts {
		a := newAccount(s, i)
		s.accounts = append(s.accounts, a)
		s.lanes = append(s.lanes, a.lanes...)
		if paced := a.campaignRate(in.Rate); s.rate == 0 || paced < s.rate {
			s.rate = paced
		}
	}

	if s.arrive() {
		return s
	}
	total := float64(s.total())
	first := 1.0 // the share of the canary
	if in.Canary > 0 && float64(in.Canary) < total {
		first = float64(in.Canary) / total
	}
	for _, c := range s.classes {
		var now, then []float64
		for _, p := range s.people {
			n := float64(p.Number) * c.share
			now = append(now, n*first)
			then = append(then, n*(1-first))
		}
		s.left = append(s.left, now)
		if first < 1 {
			s.held = append(s.held, then)
		}
	}
	return s
}

func (s *simulation) total() (n int64) {
	for _, p := range s.people {
		n += p.Number
	}
	return n
}

// classesOf divides recipients by the accounts that they try first and second. The other
// accounts follow in the order of their weights.
func classesOf(accounts []Account) []class {
	var weighted, spare []int
	sum := 0.0
	for i, a := range accounts {
		if a.Weight > 0 {
			weighted = append(weighted, i)
			sum += float64(a.Weight)
		} else {
			spare = append(spare, i)
		}
	}
	byWeight := slices.Clone(weighted)
	slices.SortStableFunc(byWeight, func(i, j int) int { return cmp.Compare(accounts[j].Weight, accounts[i].Weight) })

	orderOf := func(first ...int) []int {
		order := first
		for _, i := range slices.Concat(byWeight, spare) {
			if !slices.Contains(first, i) {
				order = append(order, i)
			}
		}
		return order
	}
	if len(weighted) == 0 {
		return []class{{order: orderOf(), share: 1}}
	}
	if len(weighted) == 1 {
		return []class{{order: orderOf(weighted[0]), share: 1}}
	}

	var classes []class
	for _, i := range weighted {
		first := float64(accounts[i].Weight)
		for _, j := range weighted {
			if i != j {
				second := float64(accounts[j].Weight)
				classes = append(classes, class{order: orderOf(i, j), share: first / sum * second / (sum - first)})
			}
		}
	}
	return classes
}

// run lets time pass until everybody was sent to, or the horizon is reached.
func (s *simulation) run() *simulation {
	if len(s.accounts) == 0 {
		return s
	}
	for range maxSteps {
		for _, a := range s.accounts {
			a.look(s.at(), s.t)
		}
		if s.assign() < nothing {
			switch {
			case len(s.coming) > 0:
				s.pass(max(s.coming[0].at, s.t))
			case s.held != nil:
				s.release()
			default:
				s.done = true
				return s
			}
			continue
		}
		s.note()
		s.fill()
		next := s.next()
		if len(s.coming) > 0 {
			next = max(min(next, s.coming[0].at), s.t+moment)
		}
		if next > Horizon.Seconds() {
			s.bound(Horizon.Seconds() - s.t)
			return s
		}
		s.advance(next)
		s.pass(next)
	}
	return s
}

// at is the moment of the simulation.
func (s *simulation) at() time.Time { return s.timeOf(s.t) }

func (s *simulation) timeOf(t float64) time.Time {
	return s.in.Now.Add(time.Duration(t * float64(time.Second)))
}

func (s *simulation) secondsOf(at time.Time) float64 { return at.Sub(s.in.Now).Seconds() }

// release lets those follow who waited for the canary.
func (s *simulation) release() {
	s.t += s.in.CanaryWait.Seconds()
	s.left = s.held
	s.held = nil
}

// assign counts who waits in which lane, and returns how many have not been sent to.
func (s *simulation) assign() (all float64) {
	for _, l := range s.lanes {
		l.waiting = 0
	}
	for c := range s.classes {
		class := &s.classes[c]
		class.at = -1
		for _, i := range class.order {
			if s.accounts[i].spent == nil {
				class.at = i
				break
			}
		}
		for p, n := range s.left[c] {
			all += n
			if class.at >= 0 {
				s.accounts[class.at].laneOf[p].waiting += n
			}
		}
	}
	return all
}

// note remembers quotas that are spent for the first time, as far as they matter.
func (s *simulation) note() {
	for i, a := range s.accounts {
		if a.spent == nil || a.noted[a.spent.quota.Name] {
			continue
		}
		w := Wait{Account: a.Name, Quota: a.spent.quota, At: s.at(), Until: a.spentUntil}
		var waiting, others float64
		for c, class := range s.classes {
			n := sum(s.left[c])
			if s.held != nil {
				n += sum(s.held[c])
			}
			switch {
			case class.at < 0:
				waiting += n
			case class.order[0] == i:
				others += n
			}
		}
		w.Waiting = int64(math.Round(waiting))
		w.Others = int64(math.Round(others))
		if w.Waiting+w.Others > 0 {
			a.noted[a.spent.quota.Name] = true
			s.waits = append(s.waits, w)
		}
	}
}

func sum(all []float64) (total float64) {
	for _, n := range all {
		total += n
	}
	return total
}

// next returns when something happens.
func (s *simulation) next() float64 {
	next := math.Inf(1)
	for _, l := range s.active {
		next = min(next, s.t+l.waiting/l.rate)
	}
	for _, a := range s.accounts {
		next = min(next, a.next(s.t))
	}
	if !s.isLate {
		next = min(next, max(s.t, s.secondsOf(s.in.Expires)))
	}
	return max(next, s.t+moment)
}

// advance sends until a moment.
func (s *simulation) advance(to float64) {
	took := to - s.t
	s.bound(took)
	for _, l := range s.active {
		l.send(to)
	}
	for i, a := range s.accounts {
		if a.rate > 0 {
			a.count(s.t, to)
			if s.sent != nil {
				s.sent(i, s.t, to, a.rate*took)
			}
		}
	}
	s.drain(took)
	s.t = to
	s.expire()
}

// expire counts who has not been sent to when the run expires.
func (s *simulation) expire() {
	if !s.isLate && !s.at().Before(s.in.Expires) {
		s.isLate = true
		for c := range s.left {
			s.expired += sum(s.left[c])
			if s.held != nil {
				s.expired += sum(s.held[c])
			}
		}
		for _, a := range s.coming {
			s.expired += a.all()
		}
	}
}

// bound notes for how long lanes were bounded, and by what.
func (s *simulation) bound(took float64) {
	for _, l := range s.active {
		l.bounded[l.by] += took
	}
	for c, class := range s.classes {
		if class.at >= 0 {
			continue
		}
		a := s.accounts[class.order[0]]
		by := a.spent.limit()
		for p, n := range s.left[c] {
			if n > nothing {
				a.laneOf[p].bounded[by] += took
			}
		}
	}
}

// drain takes off who was sent to.
func (s *simulation) drain(took float64) {
	for c, class := range s.classes {
		if class.at < 0 {
			continue
		}
		for p, n := range s.left[c] {
			l := s.accounts[class.at].laneOf[p]
			if n == 0 || l.rate == 0 {
				continue
			}
			gone := n * min(1, l.rate*took/l.waiting)
			l.served[p] += gone
			s.left[c][p] = n - gone
			if n-gone < nothing/10 {
				l.served[p] += n - gone
				s.left[c][p] = 0
			}
		}
	}
}
