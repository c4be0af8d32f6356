package sender

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failpoint"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

// body claims the recipient and sends the message that waits behind a 354. It
// reports whether a body left. The same round trip to Redis records the outcome
// of the message before and looks at the one after.
func (d *delivery) body(ctx, hard context.Context, j *job) bool {
	w := d.a.w
	if !d.mayClaim(ctx, hard, j) {
		return false
	}
	d.pick(ctx)
	failpoint.Hit(failpoint.BeforeClaim)
	j.claim = w.cfg.Member.Ask(j.it.ref)
	asked := time.Now()
	d.claim(hard, j)
	d.asking += (time.Since(asked) - d.asking) / 8
	if !d.claimed(ctx, hard, j) {
		return false
	}
	attempt := d.step.Claim.Claim.Attempt
	w.cfg.Member.Journal().Open(j.claim, attempt)
	w.claiming.Note(nil)
	failpoint.Hit(failpoint.AfterClaim)
	d.ready(hard)
	// Redis may have been restarted since: then others may not have told it what
	// they know, and this claim does not count. The journal has it as open, or
	// we see here that claims are not allowed: one of the two.
	if !w.cfg.Member.IsClear() || !d.gate(ctx, j, asked) {
		d.release(ctx, hard, j, ledger.Outcome{State: campaign.Pending})
		return false
	}
	j.sent = true
	out := d.send(hard, j)
	d.finish(ctx, hard, j, attempt, out)
	return true
}

// mayClaim waits until it is time to ask for the claim. It gives the recipient
// back when there must be none.
func (d *delivery) mayClaim(ctx, hard context.Context, j *job) bool {
	if wait := time.Until(j.slot) - d.asking; !j.slot.IsZero() && wait > 0 {
		d.startRecording(hard)
		sleep(ctx, wait)
	}
	if ctx.Err() == nil && d.a.w.cfg.Member.IsClear() {
		return true
	}
	d.record(hard)
	d.discard()
	d.a.w.giveBack(j.it, 0)
	return false
}

// claimed reports whether the answer to the claim allows the body. Otherwise it
// ends the connection, inside of DATA as it is, and lets go of the recipient.
func (d *delivery) claimed(ctx, hard context.Context, j *job) bool {
	w := d.a.w
	c := d.step.Claim.Claim
	err := d.step.Claim.Err
	switch {
	case err != nil:
		// Perhaps it was carried out: released by its token, and by the next
		// heartbeat if it is carried out only later.
		d.release(ctx, hard, j, ledger.Outcome{State: campaign.Pending, Delay: time.Second})
		w.returns.add(j.it.ref, time.Second)
		w.claiming.Note(err)
		sleep(ctx, time.Second) // not a busy loop
	case !c.Held:
		d.conclude(j, ledger.Outcome{State: campaign.Pending})
		d.discard()
		d.unpick(ctx)
		w.giveBack(j.it, 0) // does nothing to a cell that is not issued
		if c.RunState != "" {
			w.halt(j.it.run)
		}
	case c.Suppressed:
		j.it.run.fullLooks.Store(maxFullLooks)
		d.release(ctx, hard, j, ledger.Outcome{State: campaign.Suppressed})
	case !w.cfg.Member.Mine(j.claim.Token):
		d.release(ctx, hard, j, ledger.Outcome{State: campaign.Pending})
	default:
		return true
	}
	return false
}

// release gives a claim back without a body, and ends the connection.
func (d *delivery) release(ctx, hard context.Context, j *job, o ledger.Outcome) {
	d.conclude(j, o)
	d.discard()
	d.unpick(ctx)
	d.a.w.settle(hard, j.it, j.claim.Token, o)
}

// send sends the body, and the next job's envelope with it where that is allowed.
func (d *delivery) send(hard context.Context, j *job) smtppool.Outcome {
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
	return out
}

// ready looks at the answer about the next job and makes its message. Whoever is
// not worth an envelope leaves here; who must be refused goes back to the lane
// for that: the body of the one under way does not wait for Redis once more.
func (d *delivery) ready(ctx context.Context) {
	n := d.next
	if n == nil {
		return
	}
	look := d.step.Look.Look
	err := d.step.Look.Err
	if err == nil && look.Suppressed {
		n.it.run.fullLooks.Store(maxFullLooks) // so that it is looked at again
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
	began := time.Now()
	limit := asked.Add(claimLife)
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
		j.pace.missed(j.slot)
		if !d.reserveAgain(ctx, j, limit) {
			return false
		}
	}
}

// reserveAgain takes another slot for the job; false when there is none before
// limit.
func (d *delivery) reserveAgain(ctx context.Context, j *job, limit time.Time) bool {
	for {
		slot, again, err := d.a.slot(ctx, j.pace, j.it.run)
		if err != nil || !again.Before(limit) {
			return false
		}
		if again.IsZero() {
			j.slot = slot
			return true
		}
		if !sleep(ctx, time.Until(again)) {
			return false
		}
	}
}

// finish records what became of a body.
func (d *delivery) finish(ctx, hard context.Context, j *job, attempt int, out smtppool.Outcome) {
	a, w, it := d.a, d.a.w, j.it
	decision := reply.Classify(out.Reply)
	o, theirs, closed := d.answered(ctx, it, decision, out.Reply)
	j.confirm = decision.Confirm
	followed := out.Ahead || out.Apart && theirs && ctx.Err() == nil
	final := !followed || decision.AtOnce || !d.conn.Alive()
	pause := false
	if final {
		o, pause = d.decide(hard, j, o) // first: what is known is known
	}
	switch {
	case !followed && !decision.AtOnce:
		d.put()
		d.unpick(ctx)
	case final:
		d.discard()
		d.unpick(ctx)
	default:
		d.next.served = time.Now()
		d.recordLater(j, o) // it is final with the answer to the envelope behind it
	}
	d.trace(j, out.Reply, decision, attempt)
	if final && o.State == campaign.Bounced {
		w.suppress(hard, it)
	}
	a.settled(hard, it, o.State == campaign.Accepted)
	a.announce(ctx, closed)
	if pause {
		w.pauseForFailures(hard, it.run, o)
	}
	failpoint.Hit(failpoint.BeforeSettle)
	if final {
		w.settle(hard, it, j.claim.Token, o)
	}
}

// answered decides what the reply to a body means for the recipient; theirs is
// false when it is about something else, and a closing comes with it when it
// closes a lane or the account.
func (d *delivery) answered(ctx context.Context, it *item, decision reply.Decision, r reply.Reply) (o ledger.Outcome, theirs bool, closed *closing) {
	o, theirs = outcome(decision, d.a.ledgerReply(r))
	switch {
	case theirs:
	case r.Event == reply.IdleClosed:
		// The server did not follow the overlap, and the next try goes without.
		o.State = campaign.Pending
	case ctx.Err() != nil:
		// This process stops, which is not about the lane.
		o.State = campaign.Pending
		o.Delay = time.Second
	default:
		o, closed = d.a.notTheirs(it, decision, r)
	}
	return o, theirs, closed
}
