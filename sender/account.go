package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

// An AccountConfig is one way out.
type AccountConfig struct {
	Name        string
	SMTP        smtppool.Config
	Rate        float64 // messages a second over all processes; 0 is no limit
	Connections int     // over all processes
}

// An account is lanes and a route: what waits for it, and how it leaves.
type account struct {
	cfg   AccountConfig
	log   *slog.Logger
	pacer *throttle.Pacer
	shown *throttle.Accounts // what operators and other processes see of it
	route *route
	wake  chan struct{} // one token for each goroutine that may find work

	mu    sync.Mutex // guards what follows
	lanes lanes
	paces map[*run]*pace
}

func newAccount(cfg *Config, life *lifetime, way AccountConfig) *account {
	return &account{
		cfg: way, log: cfg.Log.With("account", way.Name), pacer: cfg.Pacer, shown: cfg.Accounts,
		route: newRoute(cfg, life, way), wake: make(chan struct{}, way.Connections), paces: map[*run]*pace{},
	}
}

// offer takes a recipient when its lane is open and has room; otherwise it returns
// when it may be worth trying again.
func (a *account) offer(now time.Time, rcpt *recipient) (bool, time.Duration) {
	routeClosed := a.route.closedUntil()
	a.mu.Lock()
	defer a.mu.Unlock()
	ok, wait := a.lanes.offer(now, rcpt, routeClosed)
	if ok {
		rcpt.account = a
		a.signal()
	}
	return ok, wait
}

func (a *account) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// putBack returns a recipient to the front of its lane. The lane does not look at
// the run before notBefore.
func (a *account) putBack(rcpt *recipient, notBefore time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lanes.putBack(rcpt, notBefore)
	a.signal()
}

// take waits for the next recipient. Lanes take turns.
func (a *account) take(ctx context.Context) (*recipient, error) {
	for {
		rcpt, again := a.next(time.Now(), false)
		if rcpt != nil {
			return rcpt, nil
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

// next is [lanes.next]. There is work for another connection when more wait.
func (a *account) next(now time.Time, ahead bool) (*recipient, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rcpt, again := a.lanes.next(now, ahead)
	if rcpt != nil && !a.lanes.empty() {
		a.signal()
	}
	return rcpt, again
}

// pace returns the slots of a run on this account.
func (a *account) pace(r *run) *pace {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.paces[r]
	if p == nil {
		p = &pace{
			pacer:  a.pacer,
			limits: []throttle.Limit{{Campaign: r.handle.ID, Rate: r.rate}, {Account: a.cfg.Name, Rate: a.cfg.Rate}},
			lead:   5 * time.Millisecond,
		}
		a.paces[r] = p
	}

	return p
}

// slot takes the next slot for a run; without one it returns when to ask
// again. It reserves for the recipients that wait here and for as many as the
// connections can send in that time: a slot that is not used is lost.
func (a *account) slot(ctx context.Context, p *pace, r *run) (slot, again time.Time, err error) {
	if p.unlimited() {
		return time.Time{}, time.Time{}, nil
	}
	a.mu.Lock()
	waiting := a.lanes.waiting(r)
	a.mu.Unlock()
	return p.next(ctx, a.cfg.Connections, waiting+1)
}

// forget drops what is kept for a run, and returns the recipients that wait for it.
func (a *account) forget(r *run) []*recipient {
	a.mu.Lock()
	delete(a.paces, r)
	a.mu.Unlock()
	return a.drain(func(rcpt *recipient) bool { return rcpt.run == r })
}

// drain takes waiting recipients out of their lanes.
func (a *account) drain(which func(*recipient) bool) []*recipient {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lanes.drain(which)
}

func all(*recipient) bool { return true }

// setBack is [lanes.setBack].
func (a *account) setBack(now time.Time, rcpt *recipient, d reply.Decision, r reply.Reply) (ledger.Outcome, *closing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, c := a.lanes.setBack(now, rcpt, d, r)
	o.Reply = a.ledgerReply(r)
	return o, c
}

// refusedConnection is [lanes.refusedConnection].
func (a *account) refusedConnection(now time.Time, d reply.Decision, reason string) (rest time.Duration, alone bool, c *closing) {
	a.mu.Lock()
	rest, alone, c = a.lanes.refusedConnection(now, d, reason)
	a.mu.Unlock()
	if alone {
		a.log.Info("connection refused: the server takes no more of them now", "rule", d.Rule,
			"open", a.route.connections(), "reason", address.Redact(reason))
	}
	return rest, alone, c
}

// show says in the log that a lane or the account has closed, and shows it to
// operators and to the other processes.
func (a *account) show(ctx context.Context, c *closing) {
	code := c.code()
	reason := code.Reason("%s", c.reason)
	what, log := "account", a.log
	var fresh bool
	var err error
	if c.provider == "" {
		fresh, err = a.shown.Close(ctx, a.cfg.Name, c.until, string(code), reason)
	} else {
		what, log = "lane", log.With("lane", a.laneName(c.provider))
		fresh, err = a.shown.CloseLane(ctx, a.cfg.Name, string(c.provider), c.until, string(code), reason)
	}

	if err != nil && ctx.Err() == nil {
		log.Warn(what+" is closed, which could not be written to Redis", "err", err)
	}
	if fresh || !c.again {
		log.Warn(what+" is closed", "code", string(code), "rule", c.decision.Rule,
			"for", c.pause.Round(time.Second).String(), "reason", c.reason)
	}
}

// works notes that the account's server takes mail, or refuses it for the
// recipient's own sake.
func (a *account) works(ctx context.Context, now time.Time) {
	a.mu.Lock()
	opened := a.lanes.breaker.open(now)
	a.mu.Unlock()
	if opened {
		a.signal()
		a.showOpen(ctx, "account", a.log, a.shown.Open(ctx, a.cfg.Name))
	}
}

// answered notes a message that was answered. An acceptance opens its lane.
func (a *account) answered(ctx context.Context, now time.Time, rcpt *recipient, accepted bool) {
	provider := providerOf(rcpt)
	a.mu.Lock()
	opened := a.lanes.answered(now, provider, accepted)
	a.mu.Unlock()
	if accepted {
		rcpt.run.setBacks.clear(rcpt.key())
	}

	if opened {
		a.signal()
		log := a.log.With("lane", a.laneName(provider))
		a.showOpen(ctx, "lane", log, a.shown.OpenLane(ctx, a.cfg.Name, string(provider)))
	}
}

// showOpen says that a lane or the account is open again; err is of showing it to
// the others.
func (a *account) showOpen(ctx context.Context, what string, log *slog.Logger, err error) {
	log.Info(what + " is open again")
	if err != nil && ctx.Err() == nil {
		log.Warn(what+" is open again, which could not be written to Redis", "err", err)
	}
}

// probed ends the probes of the account and of a lane that a message was.
func (a *account) probed(p probe, provider campaign.Provider) {
	if p == (probe{}) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lanes.probed(p, provider)
}

func (a *account) laneName(p campaign.Provider) string { return a.cfg.Name + "/" + string(p) }

// ledgerReply is a reply as the ledger keeps it.
func (a *account) ledgerReply(r reply.Reply) ledger.Reply {
	text := r.Text
	if r.Event != "" {
		text = r.String()
	}
	return ledger.Reply{Code: r.Code, Enhanced: r.Enhanced, Account: a.cfg.Name, Text: text}
}
