package sender

import (
	"context"
	"errors"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

const (
	// firstClosed and maxClosed bound how long an account or lane stays closed
	// when the rule that closed it has no pause of its own.
	firstClosed = 2 * time.Second
	maxClosed   = 5 * time.Minute
	// refusedClosed is the first pause after a refused login or certificate:
	// repeated bad logins lock accounts.
	refusedClosed = 30 * time.Second
	// backOfQueue is how long a recipient waits whose reply is about the lane or
	// the account when no other recipient got one: the second time twice as long.
	backOfQueue = 10 * time.Second
	// maxUncharged is how often a recipient goes to the back of the queue. The
	// next such reply is charged as a deferral.
	maxUncharged = 2
	// othersSend is how recent an acceptance has to be for a connection that is
	// refused to be one too many, and not one of an account that is closed.
	othersSend = 30 * time.Second
)

// A closing is what has just closed: a lane of the account, or all of it.
type closing struct {
	provider campaign.Provider // of the lane; empty: the whole account
	until    time.Time
	pause    time.Duration
	again    bool // it has failed before, with no success since
	decision reply.Decision
	reason   string
}

// code is what an operator looks up.
func (c *closing) code() codes.Code {
	switch {
	case c.decision.Code != "":
		return c.decision.Code
	case c.provider != "":
		return codes.LaneClosed
	}
	return codes.AccountBusy
}

// aboutAccount reports whether a reply that is not about the recipient is about
// the whole account, and not about one mailbox provider.
func aboutAccount(d reply.Decision) bool {
	return d.Verdict == reply.PauseAccount || d.Scope == "account"
}

// notTheirs decides about a recipient whose transaction got a reply that is about
// the lane or the account: they are pending again after a while, at no charge. A
// closing comes with it when the reply confirms another recipient's. Without
// that it may be this address alone that the server answers so: after some rounds
// the recipient is deferred.
func (a *account) notTheirs(it *item, d reply.Decision, r reply.Reply) (ledger.Outcome, *closing) {
	a.mu.Lock()
	defer a.mu.Unlock()

	now := time.Now()
	out := ledger.Outcome{State: campaign.Pending, Reply: a.ledgerReply(r)}
	provider := campaign.Provider("")
	if !aboutAccount(d) {
		provider = providerOf(it)
	}

	b := a.breakerOf(provider)
	if b.closed(now) {
		out.Delay = b.closedUntil.Sub(now)
		return out, nil
	}
	if !b.confirm(it.key()) {
		n := it.run.turnAway(it.key())
		if n > maxUncharged {
			out.State = campaign.Deferred
			return out, nil
		}
		out.Delay = time.Duration(n) * backOfQueue
		return out, nil
	}
	c := a.shut(now, provider, d, r.String())
	out.Delay = c.pause
	return out, c
}

// breakerOf returns that of a lane, or with no provider of the account. The caller
// holds mu.
func (a *account) breakerOf(provider campaign.Provider) *breaker {
	if provider == "" {
		return &a.breaker
	}
	return &a.lane(provider).breaker
}

// shut closes a lane, or with no provider the account. The caller holds mu.
func (a *account) shut(now time.Time, provider campaign.Provider, d reply.Decision, reason string) *closing {
	b := a.breakerOf(provider)
	first := firstClosed
	if d.Verdict == reply.PauseAccount {
		first = refusedClosed
	}
	c := &closing{provider: provider, again: b.troubled(), decision: d, reason: address.Redact(reason)}
	c.pause = b.close(now, d, first)
	c.until = b.closedUntil
	return c
}

// announce gives back what waits behind a closing, says so in the log and shows
// it to operators and to the other processes. nil: nothing has closed.
func (a *account) announce(ctx context.Context, c *closing) {
	if c == nil {
		return
	}
	a.release(c.pause, func(it *item) bool { return c.provider == "" || providerOf(it) == c.provider })

	code := c.code()
	what := "account"
	log := a.log
	show := func() (bool, error) {
		return a.w.cfg.Accounts.Close(ctx, a.cfg.Name, c.until, string(code), code.Reason("%s", c.reason))
	}
	if c.provider != "" {
		what = "lane"
		log = log.With("lane", a.laneName(c.provider))
		show = func() (bool, error) {
			return a.w.cfg.Accounts.CloseLane(ctx, a.cfg.Name, string(c.provider), c.until, string(code), code.Reason("%s", c.reason))
		}
	}
	fresh, err := show()
	if err != nil && ctx.Err() == nil {
		log.Warn(what+" is closed, which could not be written to Redis", "err", err)
	}
	if fresh || !c.again {
		log.Warn(what+" is closed", "code", string(code), "rule", c.decision.Rule,
			"for", c.pause.Round(time.Second).String(), "reason", c.reason)
	}
}

// fail closes the account after a connection could not be had, and returns for
// how long: nothing was sent, no recipient is charged. Where the server takes the
// connections that are open and only no more of them, this one alone has to rest.
func (a *account) fail(ctx context.Context, err error) (rest time.Duration, alone bool) {
	var e *smtppool.Error
	if !errors.As(err, &e) {
		sleep(ctx, settleRest) // it is Redis that was asked for a lease
		return time.Second, false
	}
	d := reply.Classify(e.Reply)
	a.mu.Lock()
	now := time.Now()
	if a.breaker.closed(now) { // another connection was faster
		defer a.mu.Unlock()
		return a.breaker.closedUntil.Sub(now), false
	}
	if d.Action == "lower_conns" && now.Sub(a.taken) < othersSend {
		defer a.mu.Unlock()
		a.log.Info("connection refused: the server takes no more of them now", "rule", d.Rule,
			"open", a.open, "reason", address.Redact(err.Error()))
		return closeFor(d, firstClosed, 1), true
	}
	c := a.shut(now, "", d, err.Error())
	a.mu.Unlock()
	a.announce(ctx, c)
	return c.pause, false
}

// works notes that the account's server takes mail, or refuses it for the
// recipient's own sake.
func (a *account) works(ctx context.Context) {
	a.mu.Lock()
	opened := a.breaker.open(time.Now())
	a.mu.Unlock()
	if !opened {
		return
	}
	a.signal()
	a.log.Info("account is open again")
	if err := a.w.cfg.Accounts.Open(ctx, a.cfg.Name); err != nil && ctx.Err() == nil {
		a.log.Warn("account is open again, which could not be written to Redis", "err", err)
	}
}

// settled notes a message that was answered, for the lane's pace. An acceptance
// opens the lane.
func (a *account) settled(ctx context.Context, it *item, accepted bool) {
	provider := providerOf(it)
	now := time.Now()
	opened := false
	a.mu.Lock()
	l := a.lane(provider)
	l.count(now)
	if accepted {
		a.taken = now
		a.breaker.accepted()
		l.breaker.accepted()
		opened = l.breaker.open(now)
	}
	a.mu.Unlock()
	if accepted {
		it.run.accepted(it.key())
	}
	if !opened {
		return
	}
	a.signal()
	a.log.Info("lane is open again", "lane", a.laneName(provider))
	if err := a.w.cfg.Accounts.OpenLane(ctx, a.cfg.Name, string(provider)); err != nil && ctx.Err() == nil {
		a.log.Warn("lane is open again, which could not be written to Redis", "err", err)
	}
}

// probed ends the probes of the account and of a lane that a message was.
func (a *account) probed(p probe, provider campaign.Provider) {
	if p == (probe{}) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.breaker.probed(p.account)
	a.lane(provider).breaker.probed(p.lane)
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
