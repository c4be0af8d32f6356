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
func (d *delivery) body(j *job) end {
	if !d.mayClaim(j) {
		d.record()
		j.leaveSlot()
		d.discard()
		return giveBack(0)
	}

	d.pick()

	failpoint.Hit(failpoint.BeforeClaim)
	j.claim = d.member.Ask(j.rcpt.ref)
	asked := time.Now()
	d.claim(j)
	d.claimTime += (time.Since(asked) - d.claimTime) / 8
	e := d.afterClaim(j)
	if e.kind != unfinished {
		return d.withoutBody(j, e)
	}

	attempt := d.step.Claim.Claim.Attempt
	d.member.Journal().Open(j.claim, attempt)
	d.claiming.Note(nil)
	failpoint.Hit(failpoint.AfterClaim)

	d.prepareNext()
	// Redis may have been restarted since. Then this claim does not count, as other
	// workers may not have replayed theirs yet. Either the journal has it as open,
	// or we see here that claims are not allowed.
	if !d.member.IsClear() || !d.gate(j, asked) {
		return d.withoutBody(j, release(j.claim, 0))
	}

	j.sent = true
	return d.answered(j, attempt, d.send(j))
}

// mayClaim waits until it is time to ask for the claim, and reports whether there
// may be one.
func (d *delivery) mayClaim(j *job) bool {
	if j.slot != nil {
		wait := time.Until(j.pace.ready(time.Now(), j.slot).at) - d.claimTime
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
func (d *delivery) afterClaim(j *job) end {
	c := d.step.Claim.Claim
	err := d.step.Claim.Err
	switch {
	case err != nil:
		// Perhaps it was carried out: released by its token, and by the next
		// heartbeat if it is carried out only later.
		d.claiming.Note(err)
		d.pause = time.Second // not a busy loop
		e := release(j.claim, time.Second)
		e.unsure = true
		return e
	case !c.Held:
		e := giveBack(0) // does nothing to a cell that is not issued
		e.claim = j.claim
		e.halted = c.RunState != ""
		return e
	case c.Suppressed:
		j.rcpt.run.fullLooks.Store(maxFullLooks)
		return settle(j.claim, ledger.Outcome{State: campaign.Suppressed})
	case !d.member.Mine(j.claim.Token):
		return release(j.claim, 0)
	}
	return end{}
}

// withoutBody ends a transaction for which there is no body, and the connection
// with it: it is inside of DATA.
func (d *delivery) withoutBody(j *job, e end) end {
	e = d.decide(j, e)
	j.leaveSlot()
	d.discard()
	d.unpick()
	return e
}

// decide makes the end of a claim final. It is known then, even after a panic.
func (d *delivery) decide(j *job, e end) end {
	j.end = d.recipients.decide(j.rcpt, e)
	return j.end
}

// send sends the body, with the next job's envelope where that is allowed.
func (d *delivery) send(j *job) smtppool.Outcome {
	var out smtppool.Outcome
	if n := d.next; n != nil {
		out = d.conn.BodyAhead(d.life.finish, j.draft.Message, smtppool.Next{
			From: n.draft.From, To: n.draft.To, Size: len(n.draft.Message), Apart: !d.a.route.pool.Ahead(d.conn),
		})
	} else {
		out = d.conn.Body(d.life.finish, j.draft.Message)
	}

	if !out.Ahead && !out.Apart {
		out = d.conn.Confirm(d.life.finish, out)
	}
	return out
}

// prepareNext looks at the answer about the next job and makes its message. A
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
func (d *delivery) gate(j *job, asked time.Time) bool {
	ctx := d.life.begin
	began := time.Now()
	limit := asked.Add(claimLife)
	defer func() {
		if d.next != nil {
			d.next.taken = d.next.taken.Add(time.Since(began))
		}
	}()
	for j.slot != nil {
		m := j.pace.ready(time.Now(), j.slot)
		if !sleep(ctx, time.Until(m.at)) {
			return false
		}

		late := time.Since(m.until)
		if late <= 0 {
			break
		}
		d.a.log.Debug("slot missed", "late_ms", late.Milliseconds())
		j.leaveSlot()
		if !d.reserveAgain(j, limit) {
			return false
		}
	}

	if ctx.Err() != nil || !time.Now().Before(limit) {
		return false
	}
	j.useSlot()
	return true
}

// reserveAgain takes another slot for the job; false when there is none before
// limit.
func (d *delivery) reserveAgain(j *job, limit time.Time) bool {
	for {
		s, again, err := d.a.slot(d.life.begin, j.pace, j.rcpt.run.high, true)
		if err != nil || !again.Before(limit) {
			return false
		}
		if again.IsZero() {
			j.slot = s
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
func (d *delivery) answered(j *job, attempt int, out smtppool.Outcome) end {
	rcpt := j.rcpt
	decision, escalated := d.a.judge(time.Now(), rcpt, out.Reply)
	s, aboutRecipient := d.meaning(rcpt, decision, escalated, out.Reply)
	e := settle(j.claim, s.outcome)
	e.confirm = decision.Confirm
	followed := out.Ahead || out.Apart && aboutRecipient && !d.life.ending()
	final := !followed || decision.AtOnce || !d.conn.Alive()
	if final {
		e = d.decide(j, e) // first: what is known is known
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

	d.trace(j, out.Reply, decision, attempt)
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
