package sender

import (
	"context"
	"time"

	"broadside/campaign/codes"
	"broadside/throttle"
)

// How fast the lanes of an account may be fed is known to all workers: one of them
// says what a server has answered, and each follows within a second. Redis decides.
// While it is away a worker goes by what it knows.

// change alters the state of a lane for all workers, and returns what it was and
// is. One log line says so when the lane opens, slows down, pauses or closes.
func (a *account) change(ctx context.Context, l *lane, now time.Time, alter func(throttle.Lane) throttle.Lane) (before, after throttle.Lane) {
	before, after, err := a.shared.Change(ctx, a.cfg.Name, l.name, alter)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		before = l.throttled
		after = alter(before)
		if ctx.Err() == nil {
			a.log.Warn("state of the lane could not be written to Redis", "lane", a.cfg.laneName(l.name), "err", err)
		}
	}

	l.throttled = after
	l.changed = time.Now()
	a.logChange(l, now, before, after)
	a.signal()
	return before, after
}

// logChange says that a lane is another than before.
func (a *account) logChange(l *lane, now time.Time, before, after throttle.Lane) {
	was, is := before.State(now), after.State(now)
	if was == is && before.Level == after.Level && before.Until.Equal(after.Until) {
		return
	}

	log := a.log.With("lane", a.cfg.laneName(l.name))
	switch is {
	case throttle.LaneOpen:
		log.Info("lane is open again")
	case throttle.LaneSlowed:
		log.Warn("lane is slowed down", "rate_per_s", after.Rate(now), "code", after.Code, "reason", after.Reason)
	case throttle.LanePaused:
		log.Warn("lane is paused", "until", after.Until.UTC().Format(time.RFC3339), "code", after.Code, "reason", after.Reason)
	case throttle.LaneClosed:
		log.Error("lane is closed until an operator resets it", "code", after.Code, "reason", after.Reason)
	}
}

// slowDown tells all workers what the server says about a lane. It returns the
// recipients that wait in the lane when it has paused.
func (a *account) slowDown(ctx context.Context, now time.Time, s *slowdown) (waiting []*recipient, pause time.Duration) {
	s.signal.Rate *= float64(max(1, a.route.workers()))
	a.change(ctx, s.lane, now, func(t throttle.Lane) throttle.Lane { return t.Slow(now, s.signal) })
	return a.drainShut(now, s.lane)
}

// drainShut takes out what waits in a lane that is paused or closed.
func (a *account) drainShut(now time.Time, l *lane) (waiting []*recipient, pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pause = l.shutFor(now)
	if pause > 0 && l.size > 0 {
		waiting = l.drain(all)
	}
	return waiting, pause
}

// leaseProbe asks for the one probe of a lane whose pause is over, among all
// workers.
func (a *account) leaseProbe(ctx context.Context, l *lane, now time.Time) bool {
	granted := false
	a.change(ctx, l, now, func(t throttle.Lane) throttle.Lane {
		var next throttle.Lane
		next, granted = t.Probe(now)
		return next
	})
	return granted
}

// reopen ends the pause of a lane whose probe was accepted.
func (a *account) reopen(ctx context.Context, now time.Time, l *lane) {
	a.change(ctx, l, now, func(t throttle.Lane) throttle.Lane {
		next, _ := t.Accepted(now)
		return next
	})
}

// counted notes whether an outcome was a dead address, for the storm guard of its
// lane. It reports whether there are too many of them now, and since when.
func (a *account) counted(now time.Time, l *lane, hard bool) (storm bool, from time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.storm.Add(now, hard)
}

// closeForStorm closes a lane in which too many addresses are said to be dead: it
// is the server that is wrong, or the list.
func (a *account) closeForStorm(ctx context.Context, now time.Time, l *lane, from time.Time, reply string) {
	reason := codes.LaneStorm.Reason("the server calls too many addresses dead, lately with %q", reply)
	a.change(ctx, l, now, func(t throttle.Lane) throttle.Lane {
		if t.State(now) != throttle.LaneClosed {
			t = t.Close(now, string(codes.LaneStorm), reason)
			t.From = from
		}
		if from.Before(t.From) {
			t.From = from // another worker has seen it begin earlier
		}
		return t
	})
}

// follow takes over how other workers see the account and its lanes, read at the
// moment read.
func (a *account) follow(now, read time.Time, closed throttle.State, shared map[string]throttle.Lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// What was closed before this worker began is tried once more: perhaps it was
	// started again because the cause is gone.
	if closed.Since.After(a.began) && a.lanes.breaker.follow(now, closed.Until) {
		a.log.Info("account was closed by another worker", "code", closed.Code, "until", closed.Until.UTC().Format(time.RFC3339))
	}

	a.lanes.shared = shared
	a.lanes.connections = a.route.fairShare()
	opened := false
	for name, l := range a.lanes.byName {
		if l.changed.After(read) {
			continue
		}
		_, was := l.blocked(now)
		l.throttled = a.lanes.known(name, l.group.provider)
		_, blocked := l.blocked(now)
		if was && !blocked {
			l.storm.Reset() // somebody has decided
			opened = true
		}
	}
	if opened {
		a.signal()
	}
	a.tidy(now)
}

// tidy is [lanes.tidy]. The slots of a lane go with it. The caller holds mu.
func (a *account) tidy(now time.Time) {
	for _, name := range a.lanes.tidy(now) {
		a.retire(paceKey{lane: name})
	}
}

// shutLanes returns the lanes with recipients that are paused or closed.
func (a *account) shutLanes(now time.Time) (shut []*lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.lanes.groups {
		for _, l := range g.lanes {
			if l.size > 0 && l.shutFor(now) > 0 {
				shut = append(shut, l)
			}
		}
	}
	return shut
}
