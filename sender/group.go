package sender

import (
	"time"

	"broadside/campaign"
)

const (
	// minRoom is a group's room before its pace is known. It is more than the
	// least backlog of a part: a group whose room is below the backlog gives
	// back for ever.
	minRoom = 400
	maxRoom = 8192
	// peakTime is how long the most connections that a group has used at a time
	// count as what it needs.
	peakTime = 10 * time.Second
)

// A group is the lanes of one mailbox provider. Each provider has one lane, and
// those domains that have limits of their own; in the long tail every domain has
// one, so that one which slows down slows no other. They take turns.
type group struct {
	provider campaign.Provider
	lanes    []*lane
	turn     int
	size     int
	using    int // connections that carry its messages now

	peak   int // of using, lately
	peakAt time.Time
	speed  meter
}

// next takes the next recipient of a lane that allowed reports true for; without
// one it returns when to look again.
func (g *group) next(now time.Time, ahead bool, allowed func(*lane) bool) (*recipient, time.Time) {
	var again time.Time
	for k := range g.lanes {
		i := (g.turn + k) % len(g.lanes)
		l := g.lanes[i]
		if l.size == 0 || !allowed(l) {
			continue
		}
		rcpt, at := l.pop(now, ahead)
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
