package sender

import (
	"context"
	"time"

	"broadside/throttle"
)

// A lane with a limit of connections of its own has a count of them over all
// processes, as an account has. A process keeps its part as long as the lane has
// work here and no other process needs it.

// Counted returns the names under which connections of the account are counted.
func (c AccountConfig) Counted() []string {
	names := []string{c.Name}
	for lane, limit := range c.Lanes {
		if limit.Connections > 0 {
			names = append(names, c.laneName(lane))
		}
	}
	return names
}

// leaseLane asks whether one more connection may work for the lane, which the
// caller has entered.
func (a *account) leaseLane(ctx context.Context, l *lane) (bool, error) {
	if l.limit.Connections == 0 || a.leased(l, 0) {
		return true, nil
	}
	ok, err := a.route.conns.Acquire(ctx, a.cfg.laneName(l.name), a.route.member.ID(), l.limit.Connections, a.route.member.Listed())
	switch {
	case ok:
		a.leased(l, 1)
	case err == nil:
		a.refusedLease(l, time.Now())
	}
	return ok, err
}

// refusedLease notes that other processes have all connections of a lane.
func (a *account) refusedLease(l *lane, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l.noLease = now.Add(leaseRest)

	if l.leases == 0 && l.starved.IsZero() {
		l.starved = now
	}
}

// isStarved reports whether the lane has no connection here, and got none for a while:
// other processes share theirs where each can have one.
func (l *lane) isStarved(now time.Time) bool {
	return l.leases == 0 && !l.starved.IsZero() && now.Sub(l.starved) >= firstLease
}

// drainStarved takes out what waits in a lane that has no connection here: another
// process may have one.
func (a *account) drainStarved(now time.Time, l *lane) (waiting []*recipient, starved bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !l.isStarved(now) {
		return nil, false
	}
	return l.drain(all), true
}

// leasable reports whether one more connection may begin to work for the lane: its
// limit allows it, and there is a lease, or it is worth asking for one.
func (l *lane) leasable(now time.Time) bool {
	limit := l.limit.Connections
	switch {
	case limit == 0:
		return true
	case l.ceded > 0:
		return l.using < l.leases-l.ceded
	}
	return l.using < limit && (l.using < l.leases || !l.noLease.After(now))
}

// cedes reports whether the next connection that becomes free is for another process.
func (l *lane) cedes() bool { return l.ceded > 0 && l.using > l.leases-l.ceded }

// leased adds leases to a lane, and reports whether there is one for each
// connection that works for it.
func (a *account) leased(l *lane, more int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l.leases += more
	if l.leases > 0 {
		l.starved = time.Time{}
	}
	return l.leases >= l.using
}

// releaseLanes gives back the leases that a lane does not use, when it has no work
// or other processes wait for them.
func (a *account) releaseLanes(ctx context.Context, conns *throttle.Conns) {
	for _, l := range a.leasing() {
		name := a.cfg.laneName(l.name)
		wanted, excess, err := conns.Excess(ctx, name, a.route.member.ID(), l.limit.Connections)
		if err != nil {
			continue
		}
		for range a.takeLeases(l, wanted, excess) {
			a.releaseLane(ctx, conns, l)
		}
	}
}

// cede gives back the lease of a connection that has left the lane, when another process
// is to have it. Without that a lane that is always busy would keep what it has.
func (a *account) cede(ctx context.Context, l *lane) {
	if l.limit.Connections == 0 || !a.takeCeded(l) {
		return
	}

	ctx, cancel := a.route.life.within(ctx, settleTime)
	defer cancel()
	a.releaseLane(ctx, a.route.conns, l)
}

// takeCeded takes a lease off a lane that is to be ceded, if it is free.
func (a *account) takeCeded(l *lane) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.ceded == 0 || l.leases <= l.using {
		return false
	}

	l.ceded--
	l.leases--
	return true
}

// releaseAllLanes gives back all leases: the worker ends.
func (a *account) releaseAllLanes(ctx context.Context, conns *throttle.Conns) {
	for _, l := range a.leasing() {
		a.mu.Lock()
		n := l.leases
		l.leases = 0
		l.ceded = 0
		a.mu.Unlock()
		for range n {
			a.releaseLane(ctx, conns, l)
		}
	}
}

func (a *account) releaseLane(ctx context.Context, conns *throttle.Conns, l *lane) {
	err := conns.Release(ctx, a.cfg.laneName(l.name), a.route.member.ID())
	if err != nil && ctx.Err() == nil {
		a.log.Debug("lease of a lane's connection could not be given back", "lane", a.cfg.laneName(l.name), "err", err)
	}
}

// leasing returns the lanes with leases.
func (a *account) leasing() (all []*lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lanes.byName {
		if l.leases > 0 {
			all = append(all, l)
		}
	}
	return all
}

// takeLeases takes the leases off a lane that are to be given back: all that are
// not in use when it has no work, and those beyond this process's share. Those of them that
// are in use are ceded later.
func (a *account) takeLeases(l *lane, wanted bool, excess int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := max(0, l.leases-l.using)
	l.ceded = 0
	if l.size > 0 || l.using > 0 {
		if !wanted {
			return 0
		}
		excess = max(excess, 0)
		free = min(free, excess)
		l.ceded = excess - free
	}
	l.leases -= free
	return free
}
