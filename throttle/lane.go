package throttle

import (
	"math"
	"time"
)

// A LaneState says how much of a lane is left.
type LaneState string

// The states of a lane, from the most open one on.
const (
	LaneOpen   LaneState = "open"
	LaneSlowed LaneState = "slowed" // to a rate that climbs
	LanePaused LaneState = "paused" // until a probe is accepted
	LaneClosed LaneState = "closed" // until somebody opens it
)

const (
	// minLevel is the lowest rate that a lane is slowed to: one a minute.
	minLevel = 1.0 / 60
	// climb is the share of the ceiling that one step adds, explore that of one near
	// the level that was too much.
	climb   = 0.05
	explore = 0.02
	// near is the share of the level that was too much at which exploring begins.
	near = 0.9
	// stepBack is the share of a level that a lane goes back to from exploring.
	stepBack = 0.8
	// openAt times the level that was too much is where a lane without a ceiling
	// counts as open again.
	openAt = 2
)

// A Lane is what has been learnt about how much one mailbox provider, or one domain,
// takes from an account. It is a value: every change returns another, and has
// no clock. The zero value is an open lane. Climbing is computed from the time, so
// it needs no change.
type Lane struct {
	Level        float64   // messages a second at Since or the last decrease; 0: not slowed
	Ceiling      float64   // messages a second, as of the last decrease; 0: none
	Code, Reason string    // why it is not open: a stable code, a line for people
	Since        time.Time // when its state began
	Until        time.Time // when the pause is over; zero where there is none
	From         time.Time // of a lane that the storm guard closed: when the storm began

	shut       LaneState // paused or closed, else empty
	anchor     time.Time // it climbs from here
	known      float64   // level that was too much
	knownUntil time.Time // when that is forgotten
	decreased  time.Time // the last time
	pauses     int       // in succession
	pauseEnd   time.Time // of the last one
	probed     time.Time // when the probe was taken

	tempo *Tempo // nil: DefaultTempo
}

// State returns how much of the lane is left.
func (l Lane) State(now time.Time) LaneState {
	if l.shut != "" {
		return l.shut
	}
	if l.Rate(now) > 0 {
		return LaneSlowed
	}
	return LaneOpen
}

// Rate returns how many messages a second may leave; 0: only the ceiling counts.
// Of a lane that is paused or closed it is the rate at which it will go on.
func (l Lane) Rate(now time.Time) float64 {
	rate, _ := l.climbed(now)
	return rate
}

// NextClimb returns when the rate is higher than now; zero for a lane that is not
// slowed.
func (l Lane) NextClimb(now time.Time) time.Time {
	rate, steps := l.climbed(now)
	if rate == 0 || l.shut != "" {
		return time.Time{}
	}
	return l.anchor.Add(time.Duration(steps+1) * l.times().Step)
}

// climbed returns the rate after the steps that lie before now, and how many these
// are.
func (l Lane) climbed(now time.Time) (rate float64, steps int) {
	if l.Level == 0 {
		return 0, 0
	}
	if l.shut != "" {
		return l.Level, 0
	}
	if l.Ceiling == 0 && !now.Before(l.knownUntil) {
		return 0, 0
	}

	rate = l.Level
	all := int(now.Sub(l.anchor) / l.times().Step)
	for steps = range all {
		rate = l.climb(rate, l.anchor.Add(time.Duration(steps+1)*l.times().Step))
		if l.isEnough(rate) {
			return 0, 0
		}
	}
	return rate, max(all, 0)
}

// climb returns the rate after one step that ends then.
func (l Lane) climb(rate float64, then time.Time) float64 {
	whole := l.Ceiling
	if whole == 0 {
		whole = l.known
	}
	border := near * l.remembered(then)
	switch {
	case border == 0:
		return rate + climb*whole
	case rate < border:
		return min(rate+climb*whole, border)
	}
	return rate + explore*whole
}

// isEnough reports whether a lane with that rate is open.
func (l Lane) isEnough(rate float64) bool {
	if l.Ceiling > 0 {
		return rate >= l.Ceiling
	}
	return rate >= openAt*l.known
}

// remembered returns the level that was too much, 0 when it is forgotten.
func (l Lane) remembered(now time.Time) float64 {
	if now.Before(l.knownUntil) {
		return l.known
	}
	return 0
}

// A Signal is an answer by which a server asks for less.
type Signal struct {
	Rate    float64 // messages a second that the lane was sending; 0: not known
	Ceiling float64 // messages a second; 0: none
	Block   bool    // the server takes nothing: the lane pauses at once

	// Of the rule: how long to pause the first time, at most, and by what each pause
	// is longer than the one before (0: 2). Without Backoff the lane's own pauses count.
	Backoff, MaxBackoff time.Duration
	Factor              float64

	Code, Reason string
}

// Slow returns the lane after a signal. It halves the rate, at most once in 30 s. A
// second time within 10 minutes, or a block, also pauses. But where the lane was just
// trying more than it knows to be too much, it only goes back to 80 %.
func (l Lane) Slow(now time.Time, s Signal) Lane {
	switch {
	case l.shut == LaneClosed:
		return l
	case l.shut == LanePaused:
		if l.probed.IsZero() {
			return l // what was on the wire when the pause began
		}
		return l.pause(now, s)
	}

	settling := now.Sub(l.decreased) < l.times().Settle
	if settling && !s.Block {
		return l
	}
	repeated := now.Sub(l.decreased) < l.times().Again
	if l.State(now) == LaneOpen {
		l.Since = now
	}

	if !settling {
		at := l.sending(now, s)
		known := l.remembered(now)
		share := 0.5
		if known > 0 && at >= near*known && !s.Block {
			share, repeated = stepBack, false
		}
		l.Level = max(share*at, minLevel)
		l.known, l.knownUntil = at, now.Add(l.times().Remember)
		l.decreased = now
	}
	l.Ceiling = s.Ceiling
	l.anchor = now
	l.Code, l.Reason = s.Code, s.Reason
	if s.Block || repeated {
		return l.pause(now, s)
	}
	return l
}

// sending returns the rate that was too much. What was measured in a short time is
// not exact, so of a lane that is slowed its rate counts if it was about that.
func (l Lane) sending(now time.Time, s Signal) float64 {
	at := s.Rate
	if s.Ceiling > 0 && (at == 0 || at > s.Ceiling) {
		at = s.Ceiling
	}
	allowed := l.Rate(now)
	if allowed > 0 && (s.Rate == 0 || s.Rate >= allowed/2) {
		at = allowed
	}
	return max(at, minLevel)
}

// pause returns the lane paused, for longer than the last time.
func (l Lane) pause(now time.Time, s Signal) Lane {
	if now.Sub(l.pauseEnd) > l.times().Calm {
		l.pauses = 0
	}
	if l.shut == "" {
		l.Since = now
	}
	l.shut = LanePaused
	l.Until = now.Add(l.pauseFor(s))
	l.pauseEnd = l.Until
	l.pauses++
	l.probed = time.Time{}
	l.Code, l.Reason = s.Code, s.Reason
	return l
}

// pauseFor returns how long the next pause is.
func (l Lane) pauseFor(s Signal) time.Duration {
	if s.Backoff <= 0 {
		pauses := l.times().Pauses
		return pauses[min(l.pauses, len(pauses)-1)]
	}
	factor := s.Factor
	if factor <= 0 {
		factor = 2
	}
	longest := MaxClosed
	if s.MaxBackoff > 0 {
		longest = min(s.MaxBackoff, MaxClosed)
	}
	d := float64(s.Backoff) * math.Pow(factor, float64(l.pauses))
	return time.Duration(min(d, float64(longest)))
}

// Probe takes the one message that tries a lane whose pause is over. It reports
// false when the pause is not over, or another has taken it within the last minute.
func (l Lane) Probe(now time.Time) (Lane, bool) {
	if l.shut != LanePaused || now.Before(l.Until) || now.Sub(l.probed) < l.times().Lease {
		return l, false
	}
	l.probed = now
	return l, true
}

// Accepted returns the lane after a message was accepted. It changes only a lane
// whose probe it was: that goes on at its level.
func (l Lane) Accepted(now time.Time) (Lane, bool) {
	if l.shut != LanePaused || l.probed.IsZero() {
		return l, false
	}
	return l.Resume(now), true
}

// Resume returns a lane that was paused or closed as it goes on: slowed, if it was.
func (l Lane) Resume(now time.Time) Lane {
	if l.shut == "" {
		return l
	}
	l.shut = ""
	l.Since, l.anchor = now, now
	l.pauseEnd = now
	l.Until, l.From, l.probed = time.Time{}, time.Time{}, time.Time{}
	if l.Level == 0 {
		l.Code, l.Reason, l.Since = "", "", time.Time{}
	}
	return l
}

// Close returns the lane closed until somebody resets or resumes it. One that is
// closed stays as it is.
func (l Lane) Close(now time.Time, code, reason string) Lane {
	if l.shut == LaneClosed {
		return l
	}
	l.shut = LaneClosed
	l.Since, l.Until = now, time.Time{}
	l.Code, l.Reason = code, reason
	return l
}

// Reset returns an open lane that knows nothing.
func (l Lane) Reset() Lane { return Lane{tempo: l.tempo} }

// isNew reports whether the lane is as one that nothing was learnt about.
func (l Lane) isNew(now time.Time) bool {
	return l.State(now) == LaneOpen && l.remembered(now) == 0
}
