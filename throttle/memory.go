package throttle

import (
	"sync"
	"time"
)

// A memory is what this process was given of each line and counter, so that a Redis
// that lost its last writes can be told. Times are microseconds of Redis.
type memory struct {
	mu       sync.Mutex
	lines    map[string]*given // by key
	counters map[string]*taken // by key
	prune    int               // how many lines there may be before old ones are forgotten
}

// given is what was given of a line.
type given struct {
	line  line
	end   int64 // first point behind all of it
	wrote int64 // when Redis wrote that last
	until int64 // its points may be used with leeway up to then; 0: none
}

// taken is what a counter counted for this process in the newest bucket and in the
// one before it.
type taken struct {
	counter counter
	bucket  int64
	counts  [2]int
	touched time.Time
}

const (
	minLines    = 256
	maxCounters = 256
)

func newMemory() *memory {
	return &memory{lines: map[string]*given{}, counters: map[string]*taken{}, prune: minLines}
}

// ofLine returns the end and the last write of a line, and until when its points may be
// used with leeway; 0 where nothing is known.
func (m *memory) ofLine(l line) (end, wrote, until int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.lines[l.slot]
	if g == nil {
		return 0, 0, 0
	}
	return g.end, g.wrote, g.until
}

// give notes that points of a line were given up to end, at the time now; with leeway or
// without.
func (m *memory) give(l line, end, now int64, withLeeway bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.lines[l.slot]
	if g == nil {
		m.forgetLines(now)
		g = &given{line: l}
		m.lines[l.slot] = g
	}
	g.line = l
	g.wrote = max(g.wrote, now)
	g.end = max(g.end, end)
	if withLeeway {
		g.until = max(g.until, end+leeway.Microseconds()+time.Second.Microseconds())
	}
	if g.wrote > now+reach.Microseconds() {
		// The clock was set back.
		g.end, g.wrote = end, now
		g.until = min(g.until, end+leeway.Microseconds()+time.Second.Microseconds())
	}
}

// forgetLines drops lines of which nothing matters any more, when there are many.
func (m *memory) forgetLines(now int64) {
	if len(m.lines) < m.prune {
		return
	}
	for key, g := range m.lines {
		if max(g.end, g.until) < now {
			delete(m.lines, key)
		}
	}
	m.prune = max(minLines, 2*len(m.lines))
}

// takeBack notes that points (ascending) go back to a line. Each is known to
// within as much as early.
func (m *memory) takeBack(l line, points []int64, early time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.lines[l.slot]
	if g == nil {
		return
	}
	between := interval(l.rate)
	for i := len(points) - 1; i >= 0; i-- {
		gap := float64(g.end - points[i])
		near := float64(early.Microseconds()) + 1
		if gap > 0.98*between-near && gap < 1.04*between+near {
			g.end = points[i] - early.Microseconds()
		}
	}
}

// ofCounter returns the newest bucket of a counter, what was taken in it, and what
// in the one before it.
func (m *memory) ofCounter(c counter) (bucket int64, newest, before int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.counters[c.key]
	if t == nil {
		return 0, 0, 0
	}
	return t.bucket, t.counts[0], t.counts[1]
}

// take notes that n messages were counted in a bucket.
func (m *memory) take(c counter, bucket int64, n int, now time.Time) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.counters[c.key]
	if t == nil {
		m.forgetCounters(now)
		t = &taken{bucket: bucket}
		m.counters[c.key] = t
	}
	t.counter = c
	t.touched = now
	switch bucket - t.bucket {
	case 0:
		t.counts[0] += n
	case 1:
		t.bucket, t.counts = bucket, [2]int{n, t.counts[0]}
	case -1: // a reply that was overtaken
		t.counts[1] += n
	default:
		t.bucket, t.counts = bucket, [2]int{n, 0}
	}
}

// forgetCounters drops those that were not used for an hour, when there are many.
func (m *memory) forgetCounters(now time.Time) {
	if len(m.counters) < maxCounters {
		return
	}
	for key, t := range m.counters {
		if now.Sub(t.touched) > time.Hour {
			delete(m.counters, key)
		}
	}
}

// untake forgets messages that were counted, at best each in the bucket that is
// given for it, but never in an earlier one: then it counts too long, never too
// short. It returns the newest bucket, and of it and the one before it how many were
// counted until now and how many come off.
func (m *memory) untake(c counter, buckets []int64) (newest int64, counted, back [2]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.counters[c.key]
	if t == nil {
		return 0, counted, back
	}
	counted = t.counts
	for _, bucket := range buckets {
		switch {
		case bucket == t.bucket-1 && t.counts[1] > 0:
			t.counts[1]--
			back[1]++
		case bucket >= t.bucket-1 && t.counts[0] > 0:
			t.counts[0]--
			back[0]++
		}
	}
	return t.bucket, counted, back
}

// chains returns the lines that something is remembered of which matters after the
// time now, and the counters, by their tags.
func (m *memory) chains(now func(tag string) int64) []chain {
	m.mu.Lock()
	defer m.mu.Unlock()
	byTag := map[string]*chain{}
	of := func(tag string) *chain {
		if byTag[tag] == nil {
			byTag[tag] = &chain{tag: tag}
		}
		return byTag[tag]
	}
	for _, g := range m.lines {
		if max(g.end, g.until) > now(g.line.tag) {
			ch := of(g.line.tag)
			ch.lines = append(ch.lines, g.line)
		}
	}
	for _, t := range m.counters {
		ch := of(accountTag(t.counter.account))
		ch.counters = append(ch.counters, t.counter)
	}

	var chains []chain
	for _, ch := range byTag {
		chains = append(chains, *ch)
	}
	return chains
}
