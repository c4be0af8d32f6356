package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

const (
	// leaseRest is how long a process that got no connection waits.
	leaseRest = 500 * time.Millisecond
	// firstLease is how long a process that has none at all asks for one, every
	// tenth of it, before it gives its recipients back: others share theirs.
	firstLease = time.Second
)

// An AccountConfig is one way out.
type AccountConfig struct {
	Name        string
	SMTP        smtppool.Config
	Rate        float64 // messages a second over all processes; 0 is no limit
	Connections int     // over all processes
}

// An account sends what waits in its lanes through its own connections.
type account struct {
	w    *Worker
	cfg  AccountConfig
	pool *smtppool.Pool
	log  *slog.Logger
	wake chan struct{} // one token for each goroutine that may find work

	mu      sync.Mutex
	lanes   []*lane
	turn    int
	paces   map[*run]*pace
	open    int       // connections under a lease
	starved time.Time // no lease before
	breaker breaker
	taken   time.Time // when the server took the latest message
}

func newAccount(w *Worker, cfg AccountConfig) *account {
	a := &account{
		w: w, cfg: cfg, log: w.cfg.Log.With("account", cfg.Name),
		wake: make(chan struct{}, cfg.Connections), paces: map[*run]*pace{},
	}
	cfg.SMTP.MaxConns = cfg.Connections
	a.pool = smtppool.New(cfg.SMTP, (*leases)(a), w.cfg.Log)
	return a
}

// leases counts the account's connections over all processes.
type leases account

func (l *leases) Acquire(ctx context.Context) (bool, error) {
	member := l.w.cfg.Member
	ok, err := l.w.cfg.Conns.Acquire(ctx, l.cfg.Name, member.ID(), l.cfg.Connections, member.Listed())
	if ok {
		l.mu.Lock()
		l.open++
		l.mu.Unlock()
	}
	return ok, err
}

func (l *leases) Release(ctx context.Context) error {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	ctx, cancel := l.w.within(ctx, settleTime)
	defer cancel()
	return l.w.cfg.Conns.Release(ctx, l.cfg.Name, l.w.cfg.Member.ID())
}

func (l *leases) Excess(ctx context.Context) (wanted bool, excess int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	wanted, excess, err := l.w.cfg.Conns.Excess(ctx, l.cfg.Name, l.w.cfg.Member.ID(), l.cfg.Connections)
	return wanted && err == nil, excess
}

// lane returns the lane of a provider. The caller holds mu.
func (a *account) lane(p campaign.Provider) *lane {
	for _, l := range a.lanes {
		if l.provider == p {
			return l
		}
	}
	l := &lane{provider: p}
	a.lanes = append(a.lanes, l)
	return l
}

// offer takes an item when its lane is open and has room; otherwise it returns
// when it may be worth trying again.
func (a *account) offer(it *item) (bool, time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lane(providerOf(it))
	shut := later(a.breaker.closedUntil, l.breaker.closedUntil)
	if a.open == 0 {
		shut = later(shut, a.starved)
	}
	if shut.After(now) {
		return false, max(time.Second, shut.Sub(now))
	}
	if l.size >= l.room() {
		return false, time.Second
	}
	it.since = now
	l.push(it, false)
	a.signal()
	return true, 0
}

func (a *account) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// putBack returns an item to the front of its lane; its run is not looked at
// before notBefore.
func (a *account) putBack(it *item, notBefore time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lane(providerOf(it))
	l.push(it, true)
	for _, q := range l.runs {
		if q.run == it.run {
			q.notBefore = notBefore
		}
	}
	a.signal()
}

// take waits for the next item. Lanes take turns.
func (a *account) take(ctx context.Context) (*item, error) {
	for {
		it, again := a.pop(time.Now())
		if it != nil {
			return it, nil
		}
		if err := a.rest(ctx, again); err != nil {
			return nil, err
		}
	}
}

// rest waits for work, for the moment again (zero: none), or for the end of ctx.
func (a *account) rest(ctx context.Context, again time.Time) error {
	var timer <-chan time.Time
	if !again.IsZero() {
		t := time.NewTimer(time.Until(again))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-a.wake:
	case <-timer:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// pop takes the next item; without one it returns when to look again.
func (a *account) pop(now time.Time) (*item, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if again, blocked := a.breaker.blocked(now); blocked {
		return nil, again
	}
	var again time.Time
	for k := range a.lanes {
		i := (a.turn + k) % len(a.lanes)
		it, at := a.lanes[i].pop(now)
		if it == nil {
			if !at.IsZero() {
				again = earliest(again, at)
			}
			continue
		}
		a.took(i, it)
		return it, time.Time{}
	}
	return nil, again
}

// took notes that an item has left lane i. The caller holds mu.
func (a *account) took(i int, it *item) {
	a.turn = i + 1
	it.probe = probe{account: a.breaker.begin(), lane: a.lanes[i].breaker.begin()}
	if a.waits() {
		a.signal() // there is more: wake the next
	}
}

// spare takes an item that waits, for a connection that has one already: none
// that would be a probe.
func (a *account) spare(now time.Time) *item {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker.troubled() {
		return nil
	}
	for k := range a.lanes {
		i := (a.turn + k) % len(a.lanes)
		if a.lanes[i].breaker.troubled() {
			continue
		}
		it, _ := a.lanes[i].pop(now)
		if it != nil {
			a.took(i, it)
			return it
		}
	}
	return nil
}

func (a *account) waits() bool {
	for _, l := range a.lanes {
		if l.size > 0 {
			return true
		}
	}
	return false
}

// pace returns the slots of a run on this account.
func (a *account) pace(r *run) *pace {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.paces[r]
	if p == nil {
		p = &pace{
			pacer:  a.w.cfg.Pacer,
			limits: []throttle.Limit{{Campaign: r.handle.ID, Rate: r.rate}, {Account: a.cfg.Name, Rate: a.cfg.Rate}},
			lead:   5 * time.Millisecond,
		}
		a.paces[r] = p
	}
	return p
}

// waiting returns how many items of a run wait here.
func (a *account) waiting(r *run) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lanes {
		for _, q := range l.runs {
			if q.run == r {
				n += len(q.items)
			}
		}
	}
	return n
}

// slot takes the next slot for a run; without one it returns when to ask
// again. It reserves for the items that wait here and for as many as the
// connections can send in that time: a slot that is not used is lost.
func (a *account) slot(ctx context.Context, p *pace, r *run) (slot, again time.Time, err error) {
	if p.unlimited() {
		return time.Time{}, time.Time{}, nil
	}
	return p.next(ctx, a.cfg.Connections, a.waiting(r)+1)
}

// forget drops what is kept for a run, and gives back who waits for it.
func (a *account) forget(r *run) {
	a.mu.Lock()
	delete(a.paces, r)
	a.mu.Unlock()
	a.release(time.Second, func(it *item) bool { return it.run == r })
}

// release gives back waiting items, not to be issued again before delay.
func (a *account) release(delay time.Duration, which func(*item) bool) {
	a.mu.Lock()
	var out []*item
	for _, l := range a.lanes {
		out = append(out, l.drain(which)...)
	}
	a.mu.Unlock()
	for _, it := range out {
		a.w.giveBack(it, delay)
	}
}

// tend gives back what has waited too long, until ctx ends.
func (a *account) tend(ctx context.Context) {
	for sleep(ctx, time.Second) {
		limit := time.Now().Add(-staleAfter)
		a.release(0, func(it *item) bool { return it.since.Before(limit) })
	}
}

// none reports whether this process has no connection of the account.
func (a *account) none() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open == 0
}

// starve notes that other processes have all connections.
func (a *account) starve() {
	a.mu.Lock()
	none := a.open == 0
	a.starved = time.Now().Add(time.Second)
	a.mu.Unlock()
	if none {
		a.release(time.Second, func(*item) bool { return true })
	}
}

func providerOf(it *item) campaign.Provider { return campaign.Providers[it.ref.Part] }

// serve sends until ctx ends. hard ends later: what is on the wire then may
// still finish.
func (a *account) serve(ctx, hard context.Context) {
	d := &delivery{a: a}
	for {
		if d.job == nil {
			it, err := a.take(ctx)
			if err != nil {
				return
			}
			d.begin(it)
		}
		it := d.job.it
		probe, provider := it.probe, providerOf(it) // the item may be another's afterwards
		d.attempt(ctx, hard)
		a.probed(probe, provider)
	}
}
