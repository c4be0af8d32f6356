package sender

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

// An AccountConfig is one way out. Its limits hold over all processes; 0 is no
// limit, except for Connections.
type AccountConfig struct {
	Name        string
	Relay       string // id of its preset, for the rules about replies; may be empty
	SMTP        smtppool.Config
	Rate        float64 // messages a second
	OpenRate    float64 // connections opened in a second
	Connections int
	// Lanes are limits of mailbox providers and of domains, by name.
	Lanes map[string]LaneLimit
	// Quotas returns the quotas that count at a moment, when so many steps of the
	// warm-up have not been taken; nil: there are none.
	Quotas  func(now time.Time, held int) []throttle.Quota
	Warming *Warming // nil: the account is not being warmed up
}

// laneName is the full name of a lane, for people, and under which its connections are
// counted.
func (c AccountConfig) laneName(lane string) string { return c.Name + "/" + lane }

// A StormLimit says when too many addresses of a lane are dead: more than Share of
// the last Of, and AtLeast so many. The zero value is never.
type StormLimit struct {
	Share       float64
	Of, AtLeast int
}

// A LaneLimit is what one mailbox provider or domain takes from an account.
type LaneLimit struct {
	Rate                  float64
	Connections           int
	MessagesPerConnection int
}

// An account is lanes and a route: what waits for it, and how it leaves.
type account struct {
	cfg    AccountConfig
	log    *slog.Logger
	pacer  *throttle.Pacer
	shown  *throttle.Accounts // what operators and other processes see of it
	shared *throttle.Lanes    // how fast its lanes may be fed, for all workers
	route  *route
	wake   chan struct{} // one token for each goroutine that may find work
	began  time.Time

	mu      sync.Mutex // guards what follows
	lanes   lanes
	paces   map[paceKey]*pace
	retired []*pace // of runs that are over
	warming warming

	rules *reply.Rules
}

func newAccount(cfg *Config, life *lifetime, way AccountConfig) *account {
	a := &account{
		cfg: way, log: cfg.Log.With("account", way.Name), pacer: cfg.Pacer, shown: cfg.Accounts, shared: cfg.Lanes,
		route: newRoute(cfg, life, way), wake: make(chan struct{}, way.Connections), began: time.Now(), paces: map[paceKey]*pace{}, rules: cfg.Rules,
		lanes: lanes{limits: way.Lanes, storm: cfg.Storm, connections: way.Connections},
	}
	a.lanes.slotFrom = a.slotFrom
	return a
}

// offer takes a recipient when its lane is open and has room; otherwise it returns
// when it may be worth trying again.
func (a *account) offer(now time.Time, rcpt *recipient) answer {
	routeClosed := a.route.closedUntil()
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.lanes.offer(now, rcpt, routeClosed)
	if got.taken {
		rcpt.account = a
		a.signal()
	}
	return got
}

// shutFor returns for how long the account takes nothing for a recipient; 0 when it
// may.
func (a *account) shutFor(now time.Time, rcpt *recipient) time.Duration {
	routeClosed := a.route.closedUntil()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lanes.shutForRecipient(now, rcpt, routeClosed)
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

// take waits for the next recipient, and enters its lane. Lanes take turns, and
// recipients of high priority go first.
func (a *account) take(ctx context.Context) (*recipient, error) {
	for {
		rcpt, again := a.begin(time.Now())
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

// begin is next for a connection that is free, which works for the recipient's lane from
// now on: others that ask at the same time count it.
func (a *account) begin(now time.Time) (*recipient, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rcpt, again := a.draw(now, nil)
	if rcpt != nil {
		rcpt.lane.enter(now)
	}
	return rcpt, again
}

// next is [lanes.next].
func (a *account) next(now time.Time, ahead *lane) (*recipient, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.draw(now, ahead)
}

// draw is [lanes.next]. There is work for another connection when more wait. The caller
// holds mu.
func (a *account) draw(now time.Time, ahead *lane) (*recipient, time.Time) {
	rcpt, again := a.lanes.next(now, ahead)
	if rcpt != nil && !a.lanes.empty() {
		a.signal()
	}
	return rcpt, again
}

// transact notes that a transaction for a recipient begins now.
func (a *account) transact(now time.Time, rcpt *recipient) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rcpt.lane.transact(now)
}

// leave notes that the work of a connection for a lane is over, the probes that it was,
// and when its transaction began (zero: there was none). Where its envelope has gone ahead
// the connection goes on with the next recipient. A slow lane may have waited for it.
func (a *account) leave(l *lane, p probe, began time.Time, next *recipient) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	l.leave(began, now)
	if next != nil {
		next.lane.enter(now)
	}
	a.lanes.probed(p, l)
	if l.size > 0 {
		a.signal()
	}
}

// forget drops what is kept for a run, and returns the recipients that wait for it.
func (a *account) forget(r *run) []*recipient {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.paces {
		if key.run == r {
			a.retire(key)
		}
	}
	return a.lanes.drain(func(rcpt *recipient) bool { return rcpt.run == r })
}

// drain takes waiting recipients out of their lanes.
func (a *account) drain(which func(*recipient) bool) []*recipient {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lanes.drain(which)
}

func all(*recipient) bool { return true }

// crowd takes out the recipients of slow lanes that have too many, each with the time
// after which it may come again.
func (a *account) crowd(now time.Time) (out []*recipient, waits []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lanes.byName {
		for _, rcpt := range l.crowd(now) {
			wait, _ := l.full(now, rcpt.run)
			out = append(out, rcpt)
			waits = append(waits, wait)
		}
	}
	return out, waits
}

// shutUntil is [lanes.shutUntil].
func (a *account) shutUntil(now time.Time, p campaign.Provider) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lanes.shutUntil(now, p)
}

// setBack is [lanes.setBack].
func (a *account) setBack(now time.Time, rcpt *recipient, d reply.Decision, escalated bool, r reply.Reply) setback {
	a.warms(campaign.Pending)
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.lanes.setBack(now, rcpt, d, escalated, r)
	s.outcome.Reply = a.ledgerReply(r)
	return s
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

// show says in the log that the account has closed, and shows it to operators and
// to the other processes.
func (a *account) show(ctx context.Context, c *closing) {
	code := c.code()
	reason := c.reason
	if remedy := code.Remedy(); remedy != "" {
		reason = strings.TrimRight(reason, ". ") + ": " + remedy
	}
	first, err := a.shown.Close(ctx, a.cfg.Name, c.until, string(code), code.Reason("%s", reason))
	if err != nil && ctx.Err() == nil {
		a.log.Warn("account is closed, which could not be written to Redis", "err", err)
	}
	if first || !c.again {
		a.log.Warn("account is closed", "code", string(code), "rule", c.decision.Rule,
			"for", c.pause.Round(time.Second).String(), "reason", c.reason)
	}
}

// works notes that the account's server takes mail, or refuses it for the
// recipient's own sake.
func (a *account) works(ctx context.Context, now time.Time) {
	a.mu.Lock()
	opened := a.lanes.breaker.open(now)
	a.mu.Unlock()
	if !opened {
		return
	}

	a.signal()
	a.log.Info("account is open again")
	err := a.shown.Open(ctx, a.cfg.Name)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("account is open again, which could not be written to Redis", "err", err)
	}
}

// answered notes a message that was answered. A lane that it was the probe of is open
// again when the message was accepted, or the address is all that is wrong with it.
func (a *account) answered(ctx context.Context, now time.Time, rcpt *recipient, state campaign.State) {
	accepted := state == campaign.Accepted
	a.mu.Lock()
	recovered := a.lanes.answered(now, rcpt.lane, accepted, state == campaign.Bounced)
	a.mu.Unlock()
	if state != campaign.Pending { // set back: counted there, or it is not about the server
		a.warms(state)
	}
	if accepted {
		rcpt.run.setBacks.clear(rcpt.key())
	}
	if recovered {
		a.reopen(ctx, now, rcpt.lane)
	}
}

// ledgerReply is a reply as the ledger keeps it.
func (a *account) ledgerReply(r reply.Reply) ledger.Reply {
	text := r.Text
	if r.Event != "" {
		text = r.String()
	}
	return ledger.Reply{Code: r.Code, Enhanced: r.Enhanced, Account: a.cfg.Name, Text: text}
}
