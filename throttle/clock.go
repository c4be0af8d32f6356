package throttle

import (
	"sync"
	"time"
)

// A clock relates Redis time to local monotonic time, from the replies seen.
// Of each reply it knows only that Redis read its clock between the local times
// of sending and of receiving, so the fastest round trip is the most exact.
type clock struct {
	base time.Time // local times are microseconds since then

	mu      sync.Mutex
	now     epoch // since its begin
	before  epoch // the one before it, if it ended just then
	lastUse time.Time
}

// An epoch is what was seen in a stretch of time, at most epochLength.
type epoch struct {
	begin time.Time
	seen  int // samples
	best  sample
}

// A sample is one reading of Redis's clock, in microseconds.
type sample struct {
	offset int64 // Redis time - local time
	trip   int64 // round trip
}

const (
	// epochLength is half of the greatest age of a sample that is used: two clocks
	// drift apart by about 50 us a second.
	epochLength = 15 * time.Second
	// drift is by how much two samples may differ in addition to their round trips, in
	// microseconds.
	drift = 2000
	// enough is how many samples make it likely that one was fast.
	enough = 5
)

// observe records that Redis read its clock as redis (microseconds) between the
// local times sent and received. It reports whether a clock was set in between.
func (c *clock) observe(redis int64, sent, received time.Time) (stepped bool) {
	trip := received.Sub(sent).Microseconds()
	local := sent.Sub(c.base).Microseconds() + trip/2
	s := sample{offset: redis - local, trip: trip}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastUse = received
	c.turn(received)
	if known, ok := c.best(); ok {
		apart := s.offset - known.offset
		stepped = max(apart, -apart) > (s.trip+known.trip)/2+drift
	}
	if stepped {
		c.now, c.before = epoch{begin: received}, epoch{}
	}
	if c.now.seen == 0 || s.trip < c.now.best.trip {
		c.now.best = s
	}
	c.now.seen++
	return stepped
}

// turn begins a new epoch when the old one is over.
func (c *clock) turn(at time.Time) {
	switch age := at.Sub(c.now.begin); {
	case age >= 2*epochLength:
		c.now, c.before = epoch{begin: at}, epoch{}
	case age >= epochLength:
		c.now, c.before = epoch{begin: at}, c.now
	}
}

// best returns the fastest sample of the two epochs.
func (c *clock) best() (sample, bool) {
	switch {
	case c.before.seen == 0:
		return c.now.best, c.now.seen > 0
	case c.now.seen == 0 || c.before.best.trip < c.now.best.trip:
		return c.before.best, true
	}
	return c.now.best, true
}

// sure reports whether enough was seen lately to know the time well.
func (c *clock) sure(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(at)
	return c.now.seen+c.before.seen >= enough
}

// offset returns Redis time - local time, in microseconds.
func (c *clock) offset() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, _ := c.best()
	return s.offset
}

// local returns the local time of a Redis time.
func (c *clock) local(redis int64) time.Time {
	return c.base.Add(time.Duration(redis-c.offset()) * time.Microsecond)
}

// remote returns the Redis time of a local time, in microseconds.
func (c *clock) remote(local time.Time) int64 {
	return local.Sub(c.base).Microseconds() + c.offset()
}

// shift returns what must be added to a time of Redis node c to have the time of
// node d at the same moment, in microseconds.
func (c *clock) shift(d *clock) int64 {
	if c == d {
		return 0
	}
	return d.offset() - c.offset()
}

func (c *clock) lastUsed() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastUse
}

// clocks holds one clock, or in a Redis Cluster, where each hash slot may be on a
// node with a clock of its own, one for each tag.
type clocks struct {
	base   time.Time
	perTag bool

	mu    sync.Mutex
	byTag map[string]*clock
}

// maxClocks is when clocks that have not been used for an hour are dropped.
const maxClocks = 256

func (cs *clocks) of(tag string) *clock {
	if !cs.perTag {
		tag = ""
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c, ok := cs.byTag[tag]; ok {
		return c
	}
	if len(cs.byTag) >= maxClocks {
		for t, c := range cs.byTag {
			if time.Since(c.lastUsed()) > time.Hour {
				delete(cs.byTag, t)
			}
		}
	}
	c := &clock{base: cs.base, lastUse: time.Now()}
	cs.byTag[tag] = c
	return c
}
