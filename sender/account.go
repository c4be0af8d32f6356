package sender

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

const (
	// leaseRest is how long a process that got no connection waits.
	leaseRest = 500 * time.Millisecond
	// firstLease is how long a process that has none at all asks for one, every
	// tenth of it, before it gives its recipients back: others share theirs.
	firstLease = time.Second
	// firstClosed and maxClosed bound how long an account or lane stays closed
	// when the rule that closed it has no pause of its own.
	firstClosed = 2 * time.Second
	maxClosed   = 5 * time.Minute
	// refusedClosed is the first pause after a refused login or certificate:
	// repeated bad logins lock accounts.
	refusedClosed = 30 * time.Second
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

	mu          sync.Mutex
	lanes       []*lane
	turn        int
	paces       map[*run]*pace
	open        int       // connections under a lease
	starved     time.Time // no lease before
	closedUntil time.Time
	failures    int
	probing     uint64 // closed lately: the probe under way, the others wait; 0: none
	probes      uint64 // so far
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
	ok, err := l.w.cfg.Conns.Acquire(ctx, l.cfg.Name, l.w.cfg.Member.ID(), l.cfg.Connections)
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

func (l *leases) Contended() (wanted bool, excess int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	wanted, excess, err := l.w.cfg.Conns.Contended(ctx, l.cfg.Name, l.w.cfg.Member.ID(), l.cfg.Connections)
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
	shut := later(a.closedUntil, l.closedUntil)
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
	return a.popLocked(now)
}

func (a *account) popLocked(now time.Time) (*item, time.Time) {
	if a.closedUntil.After(now) {
		return nil, a.closedUntil
	}
	if a.probing > 0 && a.failures > 0 {
		return nil, now.Add(time.Second)
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
		a.turn = i + 1
		if it.probe = 0; a.failures > 0 {
			a.probes++
			a.probing, it.probe = a.probes, a.probes
		}
		if a.waits() {
			a.signal() // there is more: wake the next
		}
		return it, time.Time{}
	}
	return nil, again
}

// spare takes an item that waits, for a connection that has one already: none
// while the account has trouble.
func (a *account) spare(now time.Time) *item {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures > 0 {
		return nil
	}
	it, _ := a.popLocked(now)
	return it
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
			pacer: a.w.cfg.Pacer, account: a.cfg.Name, run: r.handle.ID, rates: [2]float64{a.cfg.Rate, r.rate},
			lead: 5 * time.Millisecond,
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

// closeFor is how long something stays closed after its nth failure in a row.
func closeFor(d reply.Decision, first time.Duration, failures int) time.Duration {
	pause, factor, limit := d.Backoff, d.Factor, d.MaxBackoff
	if pause <= 0 || d.Manual {
		pause, factor, limit = first, 2, maxClosed
	}
	if factor < 1 {
		factor = 1
	}
	for range failures - 1 {
		pause = time.Duration(float64(pause) * factor)
		if limit > 0 && pause > limit {
			return limit
		}
	}
	return pause
}

// fail closes the account after a connection could not be had: nothing was
// sent, nobody is charged.
func (a *account) fail(ctx context.Context, err error) time.Duration {
	var e *smtppool.Error
	if !errors.As(err, &e) {
		sleep(ctx, settleRest) // it is Redis that was asked for a lease
		return time.Second
	}
	d := reply.Classify(e.Reply)
	first := firstClosed
	if d.Verdict == reply.PauseAccount {
		first = refusedClosed
	} else {
		d.Backoff = 0 // a server that is away is looked for again soon
	}
	return a.close(ctx, d, first, err.Error())
}

// closedCode returns the code that the rule of a closing comes under.
func closedCode(d reply.Decision) campaign.Code {
	switch d.Rule {
	case "auth-rejected", "auth-needed", "auth-required":
		return campaign.CodeAccountLogin
	case "ev-tls-relay":
		return campaign.CodeAccountTLS
	case "ev-setup":
		return campaign.CodeAccountSetup
	case "g-relay-denied-relay":
		return campaign.CodeAccountRelay
	case "ev-connect-failed":
		return campaign.CodeAccountAway
	case "f-5xx-session":
		return campaign.CodeAccountShut
	}
	return campaign.CodeAccountBusy
}

// close closes the account for a while, gives back who waits and says so once.
func (a *account) close(ctx context.Context, d reply.Decision, first time.Duration, reason string) time.Duration {
	reason = address.Redact(reason)
	a.mu.Lock()
	now := time.Now()
	if a.closedUntil.After(now) { // another connection was faster
		rest := a.closedUntil.Sub(now)
		a.mu.Unlock()
		return rest
	}
	a.failures++
	a.probing = 0
	pause := closeFor(d, first, a.failures)
	a.closedUntil = now.Add(pause)
	n := a.failures
	a.mu.Unlock()
	a.release(pause, func(*item) bool { return true })
	code := closedCode(d)
	fresh, err := a.w.cfg.Accounts.Close(ctx, a.cfg.Name, now.Add(pause), string(code), code.Reason("%s", reason))
	if err != nil && ctx.Err() == nil {
		a.log.Warn("closing cannot be shown", "err", err)
	}
	if fresh || n == 1 {
		a.log.Warn("account is closed", "code", string(code), "rule", d.Rule, "for", pause.Round(time.Second).String(), "reason", reason)
	}
	return pause
}

// works notes that the account's server takes mail, or refuses it for the
// recipient's own sake.
func (a *account) works(ctx context.Context) {
	a.mu.Lock()
	was := a.failures
	if a.closedUntil.After(time.Now()) {
		was = 0 // this connection is older than what closed the account
	} else {
		a.failures, a.probing = 0, 0
	}
	a.mu.Unlock()
	if was == 0 {
		return
	}
	a.signal()
	a.log.Info("account is open again")
	if err := a.w.cfg.Accounts.Open(ctx, a.cfg.Name); err != nil && ctx.Err() == nil {
		a.log.Warn("opening cannot be shown", "err", err)
	}
}

// probed ends a probe, however it went: the next item may be one. An item that
// was taken before the account closed (0), or was an earlier probe, ends none.
func (a *account) probed(probe uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.probing == probe {
		a.probing = 0
	}
}

// closeLane closes one lane for a while: its provider does not want more now.
func (a *account) closeLane(it *item, d reply.Decision, r reply.Reply) time.Duration {
	a.mu.Lock()
	l := a.lane(providerOf(it))
	now := time.Now()
	first := !l.closedUntil.After(now)
	if first { // else another connection was faster: that is one closing, not two
		l.failures++
	}
	pause := closeFor(d, firstClosed, l.failures)
	l.closedUntil = later(l.closedUntil, now.Add(pause))
	a.mu.Unlock()
	a.release(pause, func(other *item) bool { return providerOf(other) == l.provider })
	if first {
		a.log.Warn("lane is closed", "lane", a.cfg.Name+"/"+string(l.provider), "rule", d.Rule,
			"for", pause.Round(time.Second).String(), "reply", address.Redact(r.String()))
	}
	return pause
}

// settled notes a message that was answered, for the lane's pace.
func (a *account) settled(it *item, accepted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lane(providerOf(it))
	l.count(time.Now())
	if accepted {
		l.failures = 0
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
		probe := d.job.it.probe // the item may be another's afterwards
		d.attempt(ctx, hard)
		a.probed(probe)
	}
}
