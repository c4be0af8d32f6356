package sender

import (
	"slices"
	"time"

	"broadside/campaign"
)

const (
	// minRoom is a group's room before its pace is known.
	minRoom = 400
	maxRoom = 8192
	// runRoom is the room that each run has for itself. It is more than the least backlog
	// of a part: a run whose room is below its backlog is given back for ever.
	runRoom = 250
	// peakTime is how long the most connections that a group has used at a time
	// count as what it needs.
	peakTime = 10 * time.Second
)

// A group is the lanes of one mailbox provider. Each provider has one lane, and
// those domains that have limits of their own; in the long tail every domain has
// one, so that one which slows down slows no other. They take turns, those with
// recipients of high priority first.
type group struct {
	provider campaign.Provider
	lanes    []*lane
	slotFrom func(paceKey) time.Time // [lanes.slotFrom]
	turn     int
	size     int
	runs     []standing // that have recipients here
	using    int        // connections that carry its messages now

	peak   int // of using, lately
	peakAt time.Time
	speed  meter
}

// A standing is how many recipients of a run wait in a group.
type standing struct {
	run  *run
	size int
}

// count notes that more recipients of a run wait, or fewer.
func (g *group) count(r *run, more int) {
	g.size += more
	i := slices.IndexFunc(g.runs, func(s standing) bool { return s.run == r })
	if i < 0 {
		g.runs = append(g.runs, standing{r, more})
		return
	}
	g.runs[i].size += more
	if g.runs[i].size == 0 {
		g.runs = slices.Delete(g.runs, i, i+1)
	}
}

// hasHigh reports whether recipients of a run of high priority wait.
func (g *group) hasHigh() bool {
	return slices.ContainsFunc(g.runs, func(s standing) bool { return s.run.high })
}

// full reports whether there is no room for another recipient of a run. Those of normal
// priority take no room from the others, and each run has some for itself.
func (g *group) full(r *run) bool {
	size := 0
	own := 0
	sharing := 1
	for _, s := range g.runs {
		if r.high && !s.run.high {
			continue
		}
		size += s.size
		if s.run == r {
			own = s.size
		} else {
			sharing++
		}
	}
	return size >= g.room() && own >= max(1, min(runRoom, maxRoom/sharing))
}

// next takes the next recipient, of high priority or of another, from a lane that allowed
// reports true for; without one it returns when to look again.
func (g *group) next(now time.Time, ahead, high bool, allowed func(*lane) bool) (*recipient, time.Time) {
	if high && !g.hasHigh() {
		return nil, time.Time{}
	}
	var again time.Time
	for k := range g.lanes {
		i := (g.turn + k) % len(g.lanes)
		l := g.lanes[i]
		if l.turns(high).size == 0 || !allowed(l) {
			continue
		}
		rcpt, at := l.pop(now, ahead, high)
		if rcpt != nil {
			g.turn = i + 1
			return rcpt, time.Time{}
		}
		again = earliest(again, at)
	}
	return nil, again
}

// room is two seconds of what the group settles here.
func (g *group) room() int {
	return min(maxRoom, max(minRoom, int(2*g.speed.perSecond)))
}

// busy returns how many of the lanes have work.
func (g *group) busy() (n int) {
	for _, l := range g.lanes {
		if l.size > 0 || l.using > 0 {
			n++
		}
	}
	return n
}

func (g *group) enter(now time.Time) {
	g.using++
	if g.using >= g.peak || now.Sub(g.peakAt) > peakTime {
		g.peak = g.using
		g.peakAt = now
	}
}
