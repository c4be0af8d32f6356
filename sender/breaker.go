package sender

import (
	"time"

	"broadside/sender/reply"
)

// A breaker is the circuit breaker of an account. What the server says about the
// account, and not about a recipient, closes it for a while. Afterwards one message
// at a time goes out as a probe, until one is accepted.
//
// A reply to a transaction counts when a second recipient gets one too, with no
// acceptance in between. A breaker takes the time as an argument and has no clock.
type breaker struct {
	closedUntil time.Time
	failures    int // closings since the last success

	suspicion suspicion

	probes probes
}

// closed reports whether nothing may go out at all.
func (b *breaker) closed(now time.Time) bool { return b.closedUntil.After(now) }

// troubled reports whether the last closing has not been followed by a success.
func (b *breaker) troubled() bool { return b.failures > 0 }

// blocked returns when to look again, if no message may go out now.
func (b *breaker) blocked(now time.Time) (again time.Time, blocked bool) {
	switch {
	case b.closed(now):
		return b.closedUntil, true
	case b.troubled() && b.probes.underWay():
		return now.Add(time.Second), true
	}
	return time.Time{}, false
}

// begin notes that a message goes out, and returns the number of the probe that
// it is; 0 when it is none.
func (b *breaker) begin() uint64 {
	if !b.troubled() {
		return 0
	}
	return b.probes.begin()
}

// close closes the breaker and returns for how long.
func (b *breaker) close(now time.Time, d reply.Decision, first time.Duration) time.Duration {
	b.failures++
	b.probes.endAll()
	pause := closeFor(d, first, b.failures)
	b.closedUntil = now.Add(pause)
	return pause
}

// open ends the trouble, and reports whether there was any. It does nothing
// while the breaker is closed: what succeeded then is older than the closing.
func (b *breaker) open(now time.Time) bool {
	if b.closed(now) {
		return false
	}
	was := b.troubled()
	b.failures = 0
	b.probes.endAll()
	return was
}

// accepted clears the suspicion: the server takes messages from others.
func (b *breaker) accepted() { b.suspicion.clear() }

// follow takes over a closing by another worker: it has failed there, and need
// not fail here too. It reports whether the breaker was open.
func (b *breaker) follow(now, until time.Time) bool {
	if !until.After(now) || b.closed(now) {
		return false
	}
	b.closedUntil = until
	b.failures = max(b.failures, 1)
	b.probes.endAll()
	return true
}

// closeFor is how long an account stays closed after its nth failure in a row:
// as the rule says, and where it has no pause of its own, first doubled up to
// maxClosed.
func closeFor(d reply.Decision, first time.Duration, failures int) time.Duration {
	pause, factor, limit := d.Backoff, max(d.Factor, 1), d.MaxBackoff
	if pause <= 0 || d.Manual {
		pause, factor, limit = first, 2, maxClosed
	}
	for range failures - 1 {
		pause = time.Duration(float64(pause) * factor)
		if limit > 0 && pause > limit {
			return limit
		}
	}
	return pause
}
