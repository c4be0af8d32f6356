package main

import (
	"time"

	"broadside/campaign"
	"broadside/internal/runs"
)

// paceOver is the time over which a pace is measured: long enough for a rate in
// bursts, short enough to follow one that was changed.
const (
	paceOver  = 20 * time.Second
	paceAfter = 2 * time.Second // before, it means nothing
)

// A pace measures how fast recipients come to their end.
type pace struct {
	looks []look // within paceOver of the last one, the oldest first
}

// A look is how many had come to their end at a time.
type look struct {
	at   time.Time
	done int64
}

// see adds a look, and forgets what is too old but for one: the time since then
// counts even when looks are rare.
func (p *pace) see(at time.Time, done int64) {
	p.looks = append(p.looks, look{at, done})
	for len(p.looks) > 2 && at.Sub(p.looks[1].at) >= paceOver {
		p.looks = p.looks[1:]
	}
}

// perSecond returns the pace; false while it is not known.
func (p *pace) perSecond() (float64, bool) {
	if len(p.looks) == 0 {
		return 0, false
	}

	first := p.looks[0]
	last := p.looks[len(p.looks)-1]
	d := last.at.Sub(first.at)
	if d < paceAfter {
		return 0, false
	}

	return float64(last.done-first.done) / d.Seconds(), true
}

// left returns how long n take at this pace; 0 when that is not known.
func (p *pace) left(n int64) time.Duration {
	rate, ok := p.perSecond()
	if !ok || rate <= 0 || n <= 0 {
		return 0
	}
	return time.Duration(float64(n) / rate * float64(time.Second))
}

// timeLeft returns how long a run will take until everybody was tried; 0 when
// that is not known: it does not run freely, or only later tries are left.
func (p *pace) timeLeft(s runs.Status) time.Duration {
	if s.State != campaign.Running || s.CanaryNow() != nil || len(s.Waiting) > 0 {
		return 0
	}
	return p.left(s.Counts.Open() - s.Counts[campaign.Deferred])
}

// roughly rounds a time that is left to what can be meant by it.
func roughly(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Second:
		return max(d.Round(time.Second), time.Second)
	case d < 2*time.Minute:
		return d.Round(5 * time.Second)
	case d < time.Hour:
		return d.Round(time.Minute)
	}
	return d.Round(5 * time.Minute)
}
