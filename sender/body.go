package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failpoint"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

// body claims the recipient and sends the message that waits behind a 354. The
// same round trip to Redis records the outcome of the message before and looks at
// the one after.
func (d *delivery) body(tx *transaction) end {
	if !d.mayClaim(tx) {
		d.record()
		tx.leaveSlot()
		d.discard()
		return giveBack(0)
	}

	d.pick()

	failpoint.Hit(failpoint.BeforeClaim)
	tx.claim = d.member.Ask(tx.rcpt.ref)
	asked := time.Now()
	d.claim(tx)
	d.claimTime += (time.Since(asked) - d.claimTime) / 8
	e := d.afterClaim(tx)
	if e.kind != unfinished {
		return d.withoutBody(tx, e)
	}

	attempt := d.step.Claim.Claim.Attempt
	d.member.Journal().Open(tx.claim, attempt)
	d.claiming.Note(nil)
	failpoint.Hit(failpoint.AfterClaim)

	d.prepareNext()
	// Redis may have been restarted since. Then this claim does not count, as other
	// workers may not have replayed theirs yet. Either the journal has it as open,
	// or we see here that claims are not allowed.
	if !d.member.IsClear() || !d.gate(tx, asked) {
		return d.withoutBody(tx, release(tx.claim, 0))
	}

	tx.sent = true
	return d.answered(tx, attempt, d.send(tx))
}

// mayClaim waits until it is time to ask for the claim, and reports whether there
// may be one.
func (d *delivery) mayClaim(tx *transaction) bool {
	if tx.slot != nil {
		wait := time.Until(tx.pace.ready(time.Now(), tx.slot).at) - d.claimTime
		if wait > soonClaimed {
			d.startRecording()
		}
		if wait > 0 {
			sleep(d.life.begin, together(time.Now(), wait))
		}
	}
	return !d.life.ending() && d.member.IsClear()
}

// together lengthens a wait so that all that end at about the same moment end together:
// what they ask of Redis then goes there at once.
func together(now time.Time, wait time.Duration) time.Duration {
	if rest := time.Duration(now.Add(wait).UnixNano()) % claimsEvery; rest > 0 {
		return wait + claimsEvery - rest
	}
	return wait
}

// afterClaim is the end of a recipient when the answer to the claim does not allow
// the body.
func (d *delivery) afterClaim(tx *transaction) end {
	c := d.step.Claim.Claim
	err := d.step.Claim.Err
	switch {
	case err != nil:
		// Perhaps it was carried out: released by its token, and by the next
		// heartbeat if it is carried out only later.
		d.claiming.Note(err)
		d.pause = time.Second // not a busy loop
		e := release(tx.claim, time.Second)
		e.unsure = true
		return e
	case !c.Held:
		e := giveBack(0) // does nothing to a cell that is not issued
		e.claim = tx.claim
		e.halted = c.RunState != ""
		return e
	case c.Suppressed:
		tx.rcpt.run.fullLooks.Store(maxFullLooks)
		return settle(tx.claim, ledger.Outcome{State: campaign.Suppressed})
	case !d.member.Mine(tx.claim.Token):
		return release(tx.claim, 0)
	}
	return end{}
}

// withoutBody ends a transaction for which there is no body, and the connection
// with it: it is inside of DATA.
func (d *delivery) withoutBody(tx *transaction, e end) end {
	e = d.decide(tx, e)
	tx.leaveSlot()
	d.discard()
	d.unpick()
	return e
}

// decide makes the end of a claim final. It is known then, even after a panic.
func (d *delivery) decide(tx *transaction, e end) end {
	tx.end = d.recipients.decide(tx.rcpt, e)
	return tx.end
}

// send sends the body, with the envelope of the next one where that is allowed.
func (d *delivery) send(tx *transaction) smtppool.Outcome {
	var out smtppool.Outcome
	if n := d.next; n != nil {
		out = d.conn.BodyAhead(d.life.finish, tx.draft.Message, smtppool.Next{
			From: n.draft.From, To: n.draft.To, Size: len(n.draft.Message), Apart: !d.a.route.pool.Ahead(d.conn),
		})
	} else {
		out = d.conn.Body(d.life.finish, tx.draft.Message)
	}

	if !out.Ahead && !out.Apart {
		out = d.conn.Confirm(d.life.finish, out)
	}
	return out
}

// prepareNext looks at the answer about the next recipient and makes its message. A
// recipient that is not worth an envelope leaves here; one that must be refused goes
// back to its lane for that: the body of the one under way does not wait for Redis
// once more.
func (d *delivery) prepareNext() {
	n := d.next
	if n == nil {
		return
	}

	look := d.step.Look.Look
	err := d.step.Look.Err
	if err == nil && look.Suppressed {
		n.rcpt.run.fullLooks.Store(maxFullLooks) // so that it is looked at again
		d.unpick()
		return
	}

	e := d.afterLook(look, err)
	if e.kind != unfinished {
		d.endNext(e)
		return
	}

	if d.compose(n) != nil {
		d.unpick()
	}
}

// gate waits for the slot. When it is missed another one is reserved, message in
// hand, as long as the claim may be used.
func (d *delivery) gate(tx *transaction, asked time.Time) bool {
	ctx := d.life.begin
	began := time.Now()
	limit := asked.Add(claimLife)
	defer func() {
		if d.next != nil {
			d.next.taken = d.next.taken.Add(time.Since(began))
		}
	}()
	for tx.slot != nil {
		m := tx.pace.ready(time.Now(), tx.slot)
		if !sleep(ctx, time.Until(m.at)) {
			return false
		}

		late := time.Since(m.until)
		if late <= 0 {
			break
		}
		d.a.log.Debug("slot missed", "late_ms", late.Milliseconds())
		tx.leaveSlot()
		if !d.reserveAgain(tx, limit) {
			return false
		}
	}

	if ctx.Err() != nil || !time.Now().Before(limit) {
		return false
	}
	tx.useSlot()
	return true
}

// reserveAgain takes another slot for the transaction; false when there is none before
// limit.
func (d *delivery) reserveAgain(tx *transaction, limit time.Time) bool {
	for {
		s, again, err := d.a.slot(d.life.begin, tx.pace, tx.rcpt.run.high, true)
		if err != nil || !again.Before(limit) {
			return false
		}
		if again.IsZero() {
			tx.slot = s
			return true
		}
		if !sleep(d.life.begin, time.Until(again)) {
			return false
		}
	}
}

// answered returns what the reply to a body makes of the recipient. The connection
// goes on when the envelope of the next followed the body; then the outcome is
// final only with the answer to that envelope, and waits to be recorded.
func (d *delivery) answered(tx *transaction, attempt int, out smtppool.Outcome) end {
	rcpt := tx.rcpt
	decision, escalated := d.a.judge(time.Now(), rcpt, out.Reply)
	s, aboutRecipient := d.meaning(rcpt, decision, escalated, out.Reply)
	e := settle(tx.claim, s.outcome)
	e.confirm = decision.Confirm
	followed := out.Ahead || out.Apart && aboutRecipient && !d.life.ending()
	final := !followed || decision.AtOnce || !d.conn.Alive()
	if final {
		e = d.decide(tx, e) // first: what is known is known
	}

	switch {
	case !followed && !decision.AtOnce:
		d.put()
		d.unpick()
	case final:
		d.discard()
		d.unpick()
	default:
		d.next.served = time.Now()
		d.unrecorded = unrecorded{rcpt, e}
	}

	d.trace(tx, out.Reply, decision, attempt)
	d.a.answered(d.life.finish, time.Now(), rcpt, e.outcome.State)
	d.heed(rcpt, s)
	failpoint.Hit(failpoint.BeforeSettle)
	if !final {
		return end{}
	}

	return e
}

// meaning decides what the reply to a body means for the recipient, or whether it
// is about the lane or the account.
func (d *delivery) meaning(rcpt *recipient, decision reply.Decision, escalated bool, r reply.Reply) (s setback, aboutRecipient bool) {
	s.outcome, aboutRecipient = outcome(decision, d.a.ledgerReply(r))
	switch {
	case aboutRecipient:
	case r.Event == reply.IdleClosed:
		// The server did not follow the overlap, and the next try goes without.
		s.outcome.State = campaign.Pending
	case d.life.ending():
		// This process stops, which is not about the lane.
		s.outcome.State = campaign.Pending
		s.outcome.Delay = time.Second
	default:
		s = d.a.setBack(time.Now(), rcpt, decision, escalated, r)
	}
	return s, aboutRecipient
}
