package sender

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/failpoint"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

const (
	// claimLife is how long after a claim was asked for its first body byte may
	// leave. Later (the process was frozen, perhaps before it read the answer)
	// the claim is released and the connection closed.
	claimLife = 10 * time.Second
	// maxTries is how many broken connections one item survives in a row.
	maxTries = 3
	// dialTime is how long getting a connection takes when it was not at hand.
	dialTime = 50 * time.Millisecond
	// settleTime is how long one try to reach Redis for an outcome may take.
	settleTime = 2 * time.Second
	// settleRest is the pause between tries to reach Redis for an outcome, and
	// after one of another kind that failed.
	settleRest = time.Second
	// lastTime is how long the last give-backs and the good-byes to servers may
	// take at the end of a shutdown.
	lastTime = 2 * time.Second
)

// A job is one recipient on the way through a connection.
type job struct {
	it      *item
	pace    *pace
	slot    time.Time // at which the body may leave; zero: at any time
	draft   Draft
	begun   time.Time // when the work on it began
	taken   time.Time // when it had its slot, less the time that it waited for others
	served  time.Time // when its connection was there for it
	claim   ledger.Entry
	sent    bool // body bytes may have left
	closed  bool // the journal has the outcome of the claim
	outcome ledger.Outcome
}

// A delivery is the work of one connection's goroutine. While the body of one
// recipient is sent, the envelope of the next goes with it where it can: job is
// the one, next the other.
type delivery struct {
	a         *account
	jobs      [2]job
	job, next *job           // nil: none
	conn      *smtppool.Conn // nil: none, or it is back in the pool
	asking    time.Duration  // smoothed time that a claim takes
	step      ledger.Step
	owed      *item           // whose outcome stands in step and has not been told
	unproven  *job            // the same, until its outcome is final; nil: it is
	mentioned *ledger.Pending // it is on its way by itself
}

// begin takes an item on.
func (d *delivery) begin(it *item) {
	d.job = &d.jobs[0]
	d.reset(d.job, it)
}

func (d *delivery) reset(j *job, it *item) {
	now := time.Now()
	j.it, j.pace, j.slot = it, d.a.pace(it.run), time.Time{}
	j.begun, j.taken, j.served = now, now, time.Time{}
	j.claim, j.sent, j.closed, j.outcome = ledger.Entry{}, false, false, ledger.Outcome{}
}

// other returns the job that is not under way.
func (d *delivery) other() *job {
	if d.job == &d.jobs[0] {
		return &d.jobs[1]
	}
	return &d.jobs[0]
}

// deliver takes the job to its end: a final state, a later try, or back to the
// ledger. Whatever happens, its item leaves this worker's hands here, or it
// waits in its lane again. Afterwards there is another job when its envelope
// went with the body.
func (d *delivery) deliver(ctx, hard context.Context) {
	j := d.job
	var r *reply.Reply
	if d.conn == nil {
		if !d.prepare(ctx, hard, j) {
			d.job = nil
			return
		}
		r = d.conn.Envelope(ctx, j.draft.From, j.draft.To, len(j.draft.Message))
	} else {
		r = d.conn.Answer(hard)
		d.prove(hard)
	}
	if r != nil {
		d.job = nil
		j.giveSlotBack()
		d.tell(hard)
		decision := reply.Classify(*r)
		fresh := d.conn.First()
		if decision.AtOnce || r.Stage == reply.Mail && !fresh {
			d.discard() // it may be this connection that has had enough
		} else {
			d.put()
		}
		d.refused(ctx, hard, j, *r, decision, fresh)
		return
	}
	d.a.works(ctx)
	lead := time.Since(j.taken)
	if dialled := j.served.Sub(j.taken); dialled > dialTime {
		lead -= dialled // the next one need not be
	}
	if d.body(ctx, hard, j) {
		j.pace.observe(lead+d.asking, time.Since(j.served))
	}
	d.job, d.next = d.next, nil
}

// prepare brings a job to where it has a slot, a connection and a message.
func (d *delivery) prepare(ctx, hard context.Context, j *job) bool {
	a, w, it := d.a, d.a.w, j.it
	if w.cfg.Ready(ctx) != nil || w.cfg.Member.Clear(ctx) != nil {
		w.giveBack(it, 0)
		return false
	}
	slot, again, err := a.slot(ctx, j.pace, it.run)
	switch {
	case err != nil:
		w.giveBack(it, time.Second)
		sleep(ctx, time.Second) // Redis is away: not a busy loop
		return false
	case !again.IsZero():
		a.putBack(it, again)
		return false
	}
	j.slot = slot
	// A slot that is still far does not need a connection yet: others use it.
	sleep(ctx, time.Until(slot)-j.pace.ahead())
	j.taken = time.Now()
	look, err := w.cfg.Line.Look(ctx, it.ref, it.run.whom(it))
	if !d.worth(ctx, it, look, err) {
		if err != nil {
			sleep(ctx, settleRest)
		}
		j.giveSlotBack()
		return false
	}
	if !d.connect(ctx, it) {
		j.giveSlotBack()
		return false
	}
	j.served = time.Now()
	if err := d.compose(j); err != nil {
		j.giveSlotBack()
		d.put()
		d.unprintable(hard, it, err)
		return false
	}
	return true
}

func (j *job) giveSlotBack() { j.pace.giveBack(j.slot) }

// worth drops what is settled already, and records what is suppressed.
func (d *delivery) worth(ctx context.Context, it *item, look ledger.Look, err error) bool {
	w := d.a.w
	switch {
	case ledger.Gone(err):
		w.drop(it)
		return false
	case err != nil:
		w.giveBack(it, time.Second)
		return false
	case look.State != campaign.Pending && look.State != campaign.Issued:
		w.drop(it) // a twin was faster
		return false
	case look.Suppressed:
		w.refuse(ctx, it, ledger.Outcome{State: campaign.Suppressed})
		return false
	}
	return true
}

// connect gets a connection, or gives the item away.
func (d *delivery) connect(ctx context.Context, it *item) bool {
	a := d.a
	conn, err := a.pool.Get(ctx)
	for until := time.Now().Add(firstLease); errors.Is(err, smtppool.ErrNoLease) && a.none() && time.Now().Before(until); {
		sleep(ctx, firstLease/10)
		conn, err = a.pool.Get(ctx)
	}
	switch {
	case err == nil:
		d.conn = conn
		return true
	case errors.Is(err, smtppool.ErrNoLease):
		a.putBack(it, time.Time{})
		a.starve()
		sleep(ctx, leaseRest)
	case ctx.Err() != nil:
		a.w.giveBack(it, 0)
	default:
		rest, alone := a.fail(ctx, err)
		if !alone {
			a.w.giveBack(it, rest)
			break
		}
		a.putBack(it, time.Time{})
		sleep(ctx, rest)
	}
	return false
}

// pick takes the job whose envelope may go with the body of the one under way,
// or right behind it.
// Nobody is held back for it: it waits in its lane, its slot is due, and the
// connection may go on.
func (d *delivery) pick(ctx context.Context) {
	a := d.a
	if ctx.Err() != nil || !a.pool.Goes(d.conn) {
		return
	}
	it := a.spare(time.Now())
	if it == nil {
		return
	}
	n := d.other()
	d.reset(n, it)
	slot, again, err := a.slot(ctx, n.pace, it.run)
	if err == nil && again.IsZero() && time.Until(slot) > n.pace.ahead()+lateSlot {
		n.pace.giveBack(slot)
		again = slot.Add(-n.pace.ahead())
	}
	if err != nil || !again.IsZero() {
		a.putBack(it, again)
		return
	}
	n.slot = slot
	d.next = n
}

// unpick returns the next job to its lane.
func (d *delivery) unpick(ctx context.Context) {
	n := d.next
	if n == nil {
		return
	}
	d.next = nil
	n.giveSlotBack()
	if ctx.Err() != nil {
		d.a.w.giveBack(n.it, 0)
		return
	}
	d.a.putBack(n.it, time.Time{})
}

func (d *delivery) compose(j *job) error {
	it := j.it
	return it.run.composer.Compose(&j.draft, Recipient{
		Run: it.ref.Run.ID, Part: it.ref.Part, Index: it.ref.Index, Row: it.row, Date: time.Now(),
	})
}

// unprintable fails a recipient whose message cannot be made.
func (d *delivery) unprintable(ctx context.Context, it *item, err error) {
	d.a.log.Warn("message cannot be made", "run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index, "err", address.Redact(err.Error()))
	d.a.w.refuse(ctx, it, ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: err.Error()}})
}

// refused handles a reply that came before the body: no claim is needed. fresh
// tells whether it was the connection's first transaction.
func (d *delivery) refused(ctx, hard context.Context, j *job, r reply.Reply, decision reply.Decision, fresh bool) {
	a, w, it := d.a, d.a.w, j.it
	d.trace(j, r, decision, 0)
	o, theirs := outcome(decision, a.ledgerReply(r))
	switch {
	case theirs && r.Stage == reply.Mail && o.State.Final() && !fresh:
		// A refusal of MAIL may be about the session: it counts on a new one.
		a.putBack(it, time.Time{})
		return
	case theirs:
		a.works(ctx)
		if o.State == campaign.Bounced {
			w.suppress(hard, it)
		}
		a.settled(hard, it, false)
		w.refuse(hard, it, o)
		return
	case ctx.Err() != nil:
		w.giveBack(it, 0)
		return
	case decision.AtOnce && it.tries < maxTries:
		it.tries++
		a.putBack(it, time.Time{})
		return
	}

	o, closed := a.notTheirs(it, decision, r)
	if o.State == campaign.Pending {
		w.giveBack(it, o.Delay)
	} else {
		w.refuse(hard, it, o)
	}
	a.announce(ctx, closed)
}

// body claims the recipient and sends the message that waits behind a 354. It
// reports whether a body left. The same round trip to Redis tells the outcome
// of the message before and looks at the one after.
func (d *delivery) body(ctx, hard context.Context, j *job) bool {
	w, it := d.a.w, j.it
	if wait := time.Until(j.slot) - d.asking; !j.slot.IsZero() && wait > 0 {
		d.mention(hard)
		sleep(ctx, wait)
	}
	if ctx.Err() != nil || !w.cfg.Member.IsClear() {
		d.tell(hard)
		d.discard()
		w.giveBack(it, 0)
		return false
	}
	d.pick(ctx)
	failpoint.Hit(failpoint.BeforeClaim)
	j.claim = w.cfg.Member.Ask(it.ref)
	asked := time.Now()
	d.ask(hard, j)
	d.asking += (time.Since(asked) - d.asking) / 8
	c, err := d.step.Claim.Claim, d.step.Claim.Err
	release := func(o ledger.Outcome) {
		d.conclude(j, o)
		d.discard()
		d.unpick(ctx)
		w.settle(hard, it, j.claim.Token, o)
	}
	switch {
	case err != nil:
		// Perhaps it was carried out: released by its token, and by the next
		// heartbeat if it is carried out only later.
		release(ledger.Outcome{State: campaign.Pending, Delay: time.Second})
		w.returns.add(it.ref, time.Second)
		w.claiming.Note(err)
		sleep(ctx, time.Second) // not a busy loop
		return false
	case !c.Held:
		d.conclude(j, ledger.Outcome{State: campaign.Pending})
		d.discard()
		d.unpick(ctx)
		w.giveBack(it, 0) // does nothing to a cell that is not issued
		if c.RunState != "" {
			w.halt(it.run)
		}
		return false
	case c.Suppressed:
		it.run.wary.Store(wariness)
		release(ledger.Outcome{State: campaign.Suppressed})
		return false
	case !w.cfg.Member.Mine(j.claim.Token):
		release(ledger.Outcome{State: campaign.Pending})
		return false
	}
	w.cfg.Member.Journal().Open(j.claim, c.Attempt)
	w.claiming.Note(nil)
	failpoint.Hit(failpoint.AfterClaim)
	d.ready(hard)
	// Redis may have been restarted since: then others may not have told it what
	// they know, and this claim does not count. The journal has it as open, or
	// we see here that claims are not allowed: one of the two.
	if !w.cfg.Member.IsClear() || !d.gate(ctx, j, asked) {
		release(ledger.Outcome{State: campaign.Pending})
		return false
	}
	j.sent = true
	var out smtppool.Outcome
	if n := d.next; n != nil {
		out = d.conn.BodyAhead(hard, j.draft.Message, smtppool.Next{
			From: n.draft.From, To: n.draft.To, Size: len(n.draft.Message), Apart: !d.a.pool.Ahead(d.conn),
		})
	} else {
		out = d.conn.Body(hard, j.draft.Message)
	}
	if !out.Ahead && !out.Apart {
		out = d.conn.Confirm(hard, out)
	}
	d.finish(ctx, hard, j, c.Attempt, out)
	return true
}

// ready looks at the answer about the next job and makes its message. Whoever is
// not worth an envelope leaves here; who must be refused goes back to the lane
// for that: the body of the one under way does not wait for Redis once more.
func (d *delivery) ready(ctx context.Context) {
	n := d.next
	if n == nil {
		return
	}
	look, err := d.step.Look.Look, d.step.Look.Err
	if err == nil && look.Suppressed {
		n.it.run.wary.Store(wariness) // so that it is looked at again
		d.unpick(ctx)
		return
	}
	if !d.worth(ctx, n.it, look, err) {
		d.next = nil
		n.giveSlotBack()
		return
	}
	if d.compose(n) != nil {
		d.unpick(ctx)
	}
}

// gate waits for the slot. Who misses it reserves again, message in hand, as
// long as the claim may be used.
func (d *delivery) gate(ctx context.Context, j *job, asked time.Time) bool {
	began, limit := time.Now(), asked.Add(claimLife)
	defer func() {
		if d.next != nil {
			d.next.taken = d.next.taken.Add(time.Since(began))
		}
	}()
	for {
		if !j.slot.IsZero() && !sleep(ctx, time.Until(j.slot)) {
			return false
		}
		now := time.Now()
		if ctx.Err() != nil || !now.Before(limit) {
			return false
		}
		if j.slot.IsZero() || now.Sub(j.slot) <= lateSlot {
			return true
		}
		d.a.log.Debug("slot missed", "late_ms", now.Sub(j.slot).Milliseconds())
		for {
			next, again, err := d.a.slot(ctx, j.pace, j.it.run)
			if err != nil || !again.Before(limit) {
				return false
			}
			if again.IsZero() {
				j.slot = next
				break
			}
			if !sleep(ctx, time.Until(again)) {
				return false
			}
		}
	}
}

// finish records what became of a body.
func (d *delivery) finish(ctx, hard context.Context, j *job, attempt int, out smtppool.Outcome) {
	a, w, it := d.a, d.a.w, j.it
	decision := reply.Classify(out.Reply)
	o, theirs := outcome(decision, a.ledgerReply(out.Reply))
	var closed *closing
	switch {
	case theirs:
	case ctx.Err() != nil, out.Reply.Event == reply.IdleClosed:
		// This process stops, or the server did not follow the overlap and the
		// next try goes without: neither is about the lane.
		o = ledger.Outcome{State: campaign.Pending, Reply: o.Reply, Delay: time.Second}
		if out.Reply.Event == reply.IdleClosed {
			o.Delay = 0
		}
	default:
		o, closed = a.notTheirs(it, decision, out.Reply)
	}
	followed := out.Ahead || out.Apart && theirs && ctx.Err() == nil
	final := !followed || decision.AtOnce || !d.conn.Alive()
	said, pause := o, false
	if final {
		o, pause = it.run.failing.add(it.ref, o)
		d.conclude(j, o) // first: what is known is known
	}
	switch {
	case decision.AtOnce || followed && !d.conn.Alive():
		d.discard()
		d.unpick(ctx)
	case !followed:
		d.put()
		d.unpick(ctx)
	default:
		d.next.served = time.Now()
		d.owe(j, o) // it is final with the answer to the envelope behind it
	}
	d.trace(j, out.Reply, decision, attempt)
	if final && o.State == campaign.Bounced {
		w.suppress(hard, it)
	}
	a.settled(hard, it, o.State == campaign.Accepted)
	a.announce(ctx, closed)
	if pause {
		w.pauseForFailures(hard, it.run, said)
	}
	failpoint.Hit(failpoint.BeforeSettle)
	if !final {
		return // it is owed until then
	}
	w.settle(hard, it, j.claim.Token, o)
}

// outcome translates a verdict about a recipient; theirs is false when it is
// about the lane or the account instead.
func outcome(d reply.Decision, r ledger.Reply) (o ledger.Outcome, theirs bool) {
	o.Reply = r
	switch d.Verdict {
	case reply.Accepted:
		o.State = campaign.Accepted
	case reply.SuppressHard:
		o.State = campaign.Bounced
	case reply.FailNoSuppress:
		o.State = campaign.Failed
	case reply.RetryRecipient, reply.MailboxFull:
		o.State = campaign.Deferred
	case reply.Greylisted:
		o.State, o.Greylisted = campaign.Deferred, true
	case reply.Uncertain:
		o.State = campaign.Uncertain
	default:
		return o, false
	}
	return o, true
}

// trace logs exactly when which message was answered, and how.
func (d *delivery) trace(j *job, r reply.Reply, decision reply.Decision, attempt int) {
	if !d.a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	it := j.it
	attrs := []any{
		"run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index,
		"lane", d.a.laneName(providerOf(it)), "verdict", string(decision.Verdict), "rule", decision.Rule,
		"stage", string(r.Stage), "code", r.Code, "reply", address.Redact(r.String()),
	}
	if attempt > 0 {
		attrs = append(attrs, "attempt", attempt)
	}
	if id := queueID(r.Text); id != "" {
		attrs = append(attrs, "queue_id", id)
	}
	if attempt > 0 {
		attrs = append(attrs, "duration_ms", time.Since(j.begun).Milliseconds())
	}
	d.a.log.Debug("message answered", attrs...)
}

// suppressionOf is the entry for an address that does not exist.
func suppressionOf(it *item) suppression.Entry {
	return suppression.Entry{
		Address: it.row.Address.Canonical(), Reason: suppression.ReasonBounce, Scope: suppression.All,
		Source: "smtp", Run: it.ref.Run.ID, At: time.Now(),
	}
}
