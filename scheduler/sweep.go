package scheduler

import (
	"math"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

const (
	// minBacklog keeps connections busy before the pace of a part is known.
	minBacklog = 200
	// minHold is the least time after which a recipient that was issued is issued again.
	minHold = 20 * time.Second
	// lookAgain is the longest time for which a page is left unread.
	lookAgain = time.Minute
	never     = time.Duration(math.MaxInt64)
	// unread stands for the time at which a page was read, until it is.
	unread = time.Duration(math.MinInt64)
)

// A sweep is what a feeder remembers of a run: when each page must be looked
// at. It is only memory: a feeder that knows nothing looks at everything.
type sweep struct {
	run     *ledger.Run
	expires time.Duration
	parts   []*partSweep
	deaths  int64     // of workers, that were known; -1: none before the first look
	canary  bool      // only the first recipients are released
	looked  time.Time // at the canary's cells
	counts  countsCheck
	warned  map[string]bool // whose complaints were logged
}

type partSweep struct {
	number     int
	due        []time.Duration // per page
	dirty      []bool          // per page: to be read with force, after a death
	seen       []time.Duration // per page: when it was read last, since the run was created
	open       []int           // per page: how many were not final then
	unreadable unreadableCells // of the page that was read last
	turn       int
	more       bool // pages that must be looked at now were left by the last round

	first, size int // first of size recipients are released: not all while a canary lasts

	settled   int64 // at the last measurement
	at        time.Time
	perSecond float64
}

func newSweep(rec *ledger.Record) *sweep {
	s := &sweep{run: rec.Handle(), expires: rec.Expires, deaths: -1, warned: map[string]bool{}}
	for _, p := range s.run.Sizes {
		pages := (p.Size + ledger.PageCells - 1) / ledger.PageCells
		part := newPartSweep(pages)
		part.number = p.Part
		part.first = p.Size
		part.size = p.Size
		s.parts = append(s.parts, part)
	}

	s.canary = rec.Canary()
	if s.canary {
		for i, n := range shares(rec.Guard.Canary, s.run.Sizes) {
			s.parts[i].first = n
		}
	}

	return s
}

// newPartSweep returns a partSweep that has read none of its pages.
func newPartSweep(pages int) *partSweep {
	return &partSweep{
		due: make([]time.Duration, pages), dirty: make([]bool, pages),
		seen: slices.Repeat([]time.Duration{unread}, pages), open: make([]int, pages),
	}
}

// release frees the recipients that waited for the canary.
func (s *sweep) release() {
	if !s.canary {
		return
	}
	s.canary = false
	for _, p := range s.parts {
		p.first = p.size
		clear(p.due)
	}
}

// early reports whether recipient i is let go while the canary lasts. The early
// ones are spread over the part, since lists are often sorted by age, and
// always the same ones: no restart can make them more.
func (p *partSweep) early(i int) bool {
	if p.first == p.size {
		return true
	}
	first := int64(p.first)
	size := int64(p.size)
	return int64(i+1)*first/size > int64(i)*first/size
}

// force marks every page for a look that takes issued cells as ready, when
// more workers have died than were known.
func (s *sweep) force(deaths int64) {
	if s.deaths >= 0 && deaths > s.deaths {
		for _, p := range s.parts {
			for i := range p.dirty {
				p.dirty[i] = true
			}
		}
	}
	s.deaths = deaths
}

// forced reports whether any page is still to be read with force.
func (s *sweep) forced() bool { return slices.ContainsFunc(s.parts, (*partSweep).forced) }

// forced reports whether the page that next returns is to be read with force.
func (p *partSweep) forced() bool { return slices.Contains(p.dirty, true) }

// waits reports whether a page is due.
func (p *partSweep) waits(since time.Duration) bool {
	return slices.ContainsFunc(p.due, func(at time.Duration) bool { return at <= since })
}

func (p *partSweep) done(page int) {
	if page >= 0 {
		p.dirty[page] = false
	}
}

// note takes over what was noted by give-backs, releases and deferrals.
func (s *sweep) note(early []ledger.Early) {
	for _, e := range early {
		for _, p := range s.parts {
			if p.number == e.Part && e.Page < len(p.due) && e.When < p.due[e.Page] {
				p.due[e.Page] = e.When
			}
		}
	}
}

// next returns the page to look at, -1 for none. Pages that are due take turns
// with the first of them, so that neither retries nor the rest of a long list
// starve.
func (p *partSweep) next(since time.Duration, forced bool) int {
	first := -1
	n := len(p.due)
	for i := range n {
		if forced && p.dirty[i] {
			return i
		}
		if first < 0 && p.due[i] <= since {
			first = i
		}
	}

	p.turn++
	if forced || first < 0 || p.turn%2 == 0 {
		return first
	}

	for k := range n {
		if i := (p.turn/2 + k) % n; p.due[i] <= since {
			return i
		}
	}

	return first
}

// maxExpired is how many recipients that have expired one look gives up: Redis serves
// no other client while it does so (about 3 ms).
const maxExpired = 500

// read returns the recipients of a page that are due, at most room of them, and
// remembers when the page is due again. Those past the run's expiry take no room in
// the backlog; maxExpired of them go at a time.
func (p *partSweep) read(page int, cells []ledger.Cell, since time.Duration, room int, forced, expired bool) []int {
	var ready []int
	due := never
	p.seen[page] = since
	p.open[page] = 0
	p.unreadable = unreadableCells{}
	for i, c := range cells {
		if c.State.Final() {
			continue
		}
		p.open[page]++
		var at time.Duration
		reissue := false
		switch c.State {
		case campaign.Pending, campaign.Deferred:
			if c.State == campaign.Pending && !expired && !p.early(page*ledger.PageCells+i) {
				continue // all pages are due again when the canary is over
			}
			at = c.When
			if expired {
				at = 0
			}
		case campaign.Issued:
			at = c.When
			reissue = true
			if forced {
				at = 0
			}
		case campaign.Sending:
			continue // a claim ends in a note or a final state
		default:
			p.unreadable.add(page*ledger.PageCells+i, c.State)
			continue
		}

		if at <= since && (reissue && !expired || expired && len(ready) < maxExpired || !expired && room > 0) {
			if !reissue && !expired {
				room--
			}
			ready = append(ready, page*ledger.PageCells+i)
			at = since + minHold
		}

		due = min(due, at)
	}

	// What is remembered may be wrong after a while, because Redis went back in time
	// or another feeder took the notes. Reading each page once a minute is cheap.
	p.due[page] = min(due, since+lookAgain)
	return ready
}

// measure smooths how many recipients of the part are settled per second.
func (p *partSweep) measure(c campaign.Counts, now time.Time) {
	settled := c.Total() - c.Open() + c[campaign.Deferred]
	if !p.at.IsZero() {
		dt := now.Sub(p.at).Seconds()
		if dt < 0.02 {
			return
		}

		rate := max(0, float64(settled-p.settled)/dt)
		// A falling pace is followed slowly: when a worker dies, the recipients issued to
		// it count until it is found dead, and a backlog that shrank with the pace
		// would leave nothing for the others.
		weight := min(1, dt/20)
		if rate > p.perSecond {
			weight = min(1, 4*dt)
		}
		p.perSecond += (rate - p.perSecond) * weight
	}

	p.settled = settled
	p.at = now
}

// backlog is one second of what the part settles, within bounds.
func (p *partSweep) backlog() int {
	return min(ledger.MaxBacklog, max(minBacklog, int(p.perSecond)))
}

// hold is the time after which a recipient that was issued is issued again: three
// times the backlog's own time.
func (p *partSweep) hold(backlog int) time.Duration {
	if p.perSecond < 1 {
		return max(minHold, 3*time.Duration(min(backlog, 200))*time.Second/10)
	}
	return max(minHold, time.Duration(3*float64(backlog)/p.perSecond*float64(time.Second)))
}
