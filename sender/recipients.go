package sender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/outage"
)

// A recipient is on its way through a worker.
type recipient struct {
	run            *run
	ref            ledger.Ref
	row            audience.Row
	suppressionKey ledger.SuppressionKey
	account        *account  // in one of whose lanes it waits, or did
	lane           *lane     // that lane
	since          time.Time // when it came to the lane
	tries          int       // connections that broke before the claim
	probe          probe
}

// A recipientKey names a recipient within a worker.
type recipientKey struct {
	run         *ledger.Run
	part, index int
}

func (rcpt *recipient) key() recipientKey {
	return recipientKey{rcpt.ref.Run, rcpt.ref.Part, rcpt.ref.Index}
}

func providerOf(rcpt *recipient) campaign.Provider { return campaign.Providers[rcpt.ref.Part] }

// recipients are those that a worker has taken from the queue and whose work has
// not ended. Each of them has one owner at a time, a lane or a delivery, and one
// end, which is acted on here.
type recipients struct {
	cfg       *Config
	life      *lifetime
	accounts  map[string]*account
	giveBacks *giveBacks
	recording *outage.Notice // of outcomes

	mu   sync.Mutex
	held map[recipientKey]bool // a second task for one of them is dropped
}

func newRecipients(cfg *Config, life *lifetime, accounts map[string]*account) *recipients {
	return &recipients{
		cfg: cfg, life: life, accounts: accounts, giveBacks: newGiveBacks(cfg.Line, cfg.Log), held: map[recipientKey]bool{},
		recording: outage.NewNotice(cfg.Log, "outcomes cannot be recorded yet", "outcomes are recorded again"),
	}
}

// take begins the work on a recipient; false when it is under way already.
func (rs *recipients) take(rcpt *recipient) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.held[rcpt.key()] {
		return false
	}
	rs.held[rcpt.key()] = true
	return true
}

// offer finds a lane for a recipient: of the account that is theirs in this run, or
// of the next one where that takes nothing for a while. Without one, or without
// room, the recipient is given back until it is worth trying again.
func (rs *recipients) offer(now time.Time, rcpt *recipient) end {
	wait := 30 * time.Second // of an account that this process does not know
	for name := range rcpt.run.accounts.order(rcpt.ref) {
		a := rs.accounts[name]
		if a == nil {
			continue
		}
		got := a.offer(now, rcpt)
		if got.taken {
			return end{}
		}
		if !got.shut {
			return giveBack(got.wait)
		}
		wait = min(wait, got.wait)
	}

	return giveBack(wait)
}

// elsewhere returns how long a recipient waits whose account, or the lane there, is
// closed for so long: not at all when another account of the run takes them.
func (rs *recipients) elsewhere(now time.Time, rcpt *recipient, delay time.Duration) time.Duration {
	if rcpt.account == nil || len(rcpt.run.accounts) < 2 || rcpt.account.shutFor(now, rcpt) == 0 {
		return delay
	}

	for name := range rcpt.run.accounts.order(rcpt.ref) {
		if a := rs.accounts[name]; a != nil {
			delay = min(delay, a.shutFor(now, rcpt))
		}
	}
	return delay
}

// end acts on what happens to a recipient. An outcome is recorded for as long as
// it takes Redis to answer, or until the lifetime is over. What is not recorded
// then is issued again by the feeder, if it was not claimed; a claim's outcome is
// in the journal too, from which the heartbeat records it.
func (rs *recipients) end(rcpt *recipient, e end) {
	e = rs.heed(rcpt, rs.decide(rcpt, e))
	switch e.kind {
	case unfinished:
	case dropped:
		rs.forget(rcpt)
	case givenBack:
		rs.forget(rcpt)
		rs.giveBacks.add(rcpt.ref, e.delay)
	case putBack:
		rcpt.account.putBack(rcpt, e.until)
	case refused:
		rs.record(rcpt, "", e.outcome)
		rs.forget(rcpt)
	case settled:
		rs.record(rcpt, e.claim.Token, e.outcome)
		rs.forget(rcpt)
		if e.unsure {
			rs.giveBacks.add(rcpt.ref, e.outcome.Delay)
		}
	}

	if e.halted {
		rs.halt(rcpt.run)
	}
}

// record writes an outcome to the ledger, in the name of a claim unless token is
// empty.
func (rs *recipients) record(rcpt *recipient, token string, o ledger.Outcome) {
	rs.insist(rcpt, func(ctx context.Context) (err error) {
		if token == "" {
			_, err = rs.cfg.Line.Refuse(ctx, rcpt.ref, o)
		} else {
			_, err = rs.cfg.Line.Settle(ctx, rcpt.ref, token, o)
		}
		return err
	})
	rs.recorded(rcpt, o)
}

// recorded notes that the ledger has an outcome. A failure that was taken back before
// that is taken back now.
func (rs *recipients) recorded(rcpt *recipient, o ledger.Outcome) {
	if o.State != campaign.Failed || !rcpt.run.failing.recorded(rcpt.ref) {
		return
	}
	once, cancel := rs.life.within(context.WithoutCancel(rs.life.finish), settleTime)
	defer cancel()
	rs.takeBack(once, rcpt.run, rcpt.ref.Part, []int{rcpt.ref.Index}, "lane")
}

// decide makes an outcome final: it is counted, and the journal has it. The
// outcome may be another afterwards: the failure that stops a run ends no
// recipient. A delivery decides before it lets go of the connection, so that what
// is known is known whatever happens next.
func (rs *recipients) decide(rcpt *recipient, e end) end {
	if e.decided {
		return e
	}

	e.decided = true
	now := time.Now()
	switch {
	case e.kind == givenBack:
		e.delay = rs.elsewhere(now, rcpt, e.delay)
	case e.outcome.State == campaign.Pending && e.outcome.Delay > 0:
		e.outcome.Delay = rs.elsewhere(now, rcpt, e.outcome.Delay)
	}
	if e.kind == refused || e.kind == settled {
		e.outcome = rs.confirmDead(rcpt, e)
		e = rs.countHard(rcpt, e)
		e.outcome, e.pause = rcpt.run.failing.add(rcpt.ref, rcpt.lane, e.outcome)
		e.suppress = e.outcome.State == campaign.Bounced
	}

	if e.claim.Token != "" {
		rs.cfg.Member.Journal().Close(e.claim, e.outcome)
	}
	if e.kind == refused && e.outcome.State == campaign.Pending {
		e.kind = givenBack
	}

	return e
}

// heed does what a decided outcome asks for before it is recorded.
func (rs *recipients) heed(rcpt *recipient, e end) end {
	if e.suppress {
		rs.suppress(rcpt)
	}
	if e.pause {
		rs.pauseForFailures(rcpt.run, e.outcome)
	}
	if !e.storm.IsZero() {
		rs.closeForStorm(rcpt, e)
	}
	e.storm = time.Time{}
	e.suppress = false
	e.pause = false
	return e
}

// confirmDead counts a reply that says that the address is dead, if it takes several
// of them to believe it. The last one turns the failure into a bounce. A reply that
// cannot be counted in Redis is left out: the next one will do.
func (rs *recipients) confirmDead(rcpt *recipient, e end) ledger.Outcome {
	o := e.outcome
	if e.confirm < 2 || o.State != campaign.Failed {
		return o
	}

	once, cancel := rs.life.within(context.WithoutCancel(rs.life.finish), settleTime)
	defer cancel()
	confirmed, err := rs.cfg.Suppression.Confirm(once, rcpt.row.Address.Canonical(), e.confirm)
	if err != nil {
		rs.cfg.Log.Warn("reply about a dead address could not be counted", "run", rcpt.ref.Run.ID, "part", rcpt.ref.Part, "index", rcpt.ref.Index, "err", err)
	}

	if confirmed {
		o.State = campaign.Bounced
	}

	return o
}

// suppress puts an address that does not exist on the suppression list, before
// its outcome is recorded: no crash between the two can lose it.
func (rs *recipients) suppress(rcpt *recipient) {
	rs.insist(rcpt, func(ctx context.Context) error {
		_, err := rs.cfg.Suppression.Add(ctx, suppressionOf(rcpt, time.Now()))
		return err
	})
}

// insist tries until it succeeds or the lifetime ends, at least once: what is
// known at the very end of a shutdown is still recorded.
func (rs *recipients) insist(rcpt *recipient, try func(context.Context) error) {
	for {
		once, cancel := rs.life.within(context.WithoutCancel(rs.life.finish), settleTime)
		err := try(once)
		cancel()
		rs.recording.Note(err, "run", rcpt.ref.Run.ID, "part", rcpt.ref.Part, "index", rcpt.ref.Index)
		if err == nil || !sleep(rs.life.finish, settleRest) {
			return
		}
	}
}

// forget ends the work on a recipient.
func (rs *recipients) forget(rcpt *recipient) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.held, rcpt.key())
}

// giveBackAll gives back recipients that were taken out of their lanes.
func (rs *recipients) giveBackAll(waited []*recipient, delay time.Duration) {
	for _, rcpt := range waited {
		rs.end(rcpt, giveBack(delay))
	}
}

// halt lets go of a run that stands still.
func (rs *recipients) halt(r *run) {
	r.running.Store(false)
	for _, a := range rs.accounts {
		rs.giveBackAll(a.forget(r), time.Second)
	}
}

// pauseForFailures pauses a run in which one failure too many of the same kind
// was seen. A pause that cannot be written to Redis is tried again with the next
// failure.
func (rs *recipients) pauseForFailures(r *run, o ledger.Outcome) {
	once, cancel := context.WithTimeout(context.WithoutCancel(rs.life.finish), settleTime)
	defer cancel()
	code := codes.SameFailure
	paused, err := rs.cfg.Ledger.PauseFor(once, r.handle.ID, code, fmt.Sprintf("%d recipients in a row %s", sameFailures, same(o)))
	if err != nil {
		rs.cfg.Log.Warn("run cannot be paused", "run", r.handle.ID, "code", string(code), "err", err)
		return
	}

	if paused {
		rs.cfg.Log.Warn("run paused by a guard", "run", r.handle.ID, "code", string(code),
			"failures", sameFailures, "reply_code", o.Reply.Code, "enhanced", o.Reply.Enhanced)
	}

	rs.reopen(once, r)
	rs.halt(r)
}

// reopen makes the recipients pending again whose failures have stopped their
// run.
func (rs *recipients) reopen(ctx context.Context, r *run) {
	for part, indexes := range r.failing.stop() {
		rs.takeBack(ctx, r, part, indexes, "run")
	}
}

// takeBack makes recipients pending again whose failures have stopped the run or
// paused a lane.
func (rs *recipients) takeBack(ctx context.Context, r *run, part int, indexes []int, stopped string) {
	if len(indexes) == 0 {
		return
	}

	log := rs.cfg.Log.With("run", r.handle.ID, "part", part)
	n, err := rs.cfg.Ledger.Reopen(ctx, r.handle, part, indexes)
	if err != nil {
		log.Warn("failures that stopped the "+stopped+" could not be taken back: they stay failed", "recipients", len(indexes), "err", err)
		return
	}
	log.Info("failures that stopped the "+stopped+" are taken back", "recipients", n)
}

// takeBackLane makes the recipients of a run pending again whose failures have paused
// their lane. Those of other runs that were under way at the same time stay failed.
func (rs *recipients) takeBackLane(rcpt *recipient) {
	once, cancel := rs.life.within(context.WithoutCancel(rs.life.finish), settleTime)
	defer cancel()
	rs.takeBack(once, rcpt.run, rcpt.ref.Part, rcpt.run.failing.take(rcpt.ref.Part, rcpt.lane), "lane")
}
