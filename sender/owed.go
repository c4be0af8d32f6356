package sender

import (
	"context"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

// An outcome that is known waits for the round trip to Redis that the next
// claim takes anyway. It is told by itself when that is not soon: the journal
// has it meanwhile.

// owe keeps the outcome of a claim for the next step. It is not final before
// the envelope behind the message is answered.
func (d *delivery) owe(j *job, o ledger.Outcome) {
	s := &d.step.Settle
	s.Ref, s.Token, s.Outcome = j.it.ref, j.claim.Token, o
	d.owed, d.unproven = j.it, j
}

// prove makes what is owed final, once the envelope behind that message was
// answered or will not be. When the server's replies turned out to be out of
// order, nobody knows which of them was the one to the message.
func (d *delivery) prove(ctx context.Context) {
	j := d.unproven
	if j == nil {
		return
	}
	d.unproven = nil
	said := d.step.Settle.Outcome
	if d.conn != nil && d.conn.Astray() != "" {
		lost := reply.Lost(reply.Dot, reply.BadReply, d.conn.Astray())
		said, _ = outcome(reply.Classify(lost), d.a.ledgerReply(lost))
	}
	o, pause := j.it.run.failing.add(j.it.ref, said)
	d.step.Settle.Outcome = o
	d.conclude(j, o)
	if o.State == campaign.Bounced {
		d.a.w.suppress(ctx, j.it)
	}
	if pause {
		d.a.w.pauseForFailures(ctx, j.it.run, said)
	}
}

// ask claims the job, tells what is owed and looks at the next job.
func (d *delivery) ask(ctx context.Context, j *job) {
	s := &d.step
	s.Claim.Ref, s.Claim.Token, s.Claim.Person = j.it.ref, j.claim.Token, j.it.person
	if s.Look.Ref = (ledger.Ref{}); d.next != nil {
		s.Look.Ref, s.Look.Person = d.next.it.ref, d.next.it.run.whom(d.next.it)
	}
	d.heard(ctx)
	if d.owed == nil {
		s.Settle.Token = ""
	}
	d.a.w.cfg.Line.Step(ctx, s)
	if d.owed != nil {
		d.told(ctx, s.Settle.Err)
	}
}

// mention sends what is owed on its way, without waiting.
func (d *delivery) mention(ctx context.Context) {
	if d.owed == nil || d.mentioned != nil {
		return
	}
	var s ledger.Step
	s.Settle = d.step.Settle
	d.mentioned = d.a.w.cfg.Line.Start(ctx, &s)
}

// heard waits for the answer to what was mentioned.
func (d *delivery) heard(ctx context.Context) {
	if d.mentioned == nil {
		return
	}
	p := d.mentioned
	d.mentioned = nil
	var s ledger.Step
	p.Wait(ctx, &s)
	d.told(ctx, s.Settle.Err)
}

// tell tells what is owed, as long as it takes Redis to listen.
func (d *delivery) tell(ctx context.Context) {
	d.prove(ctx)
	d.heard(ctx)
	if d.owed != nil {
		it := d.owed
		d.owed = nil
		d.a.w.settle(ctx, it, d.step.Settle.Token, d.step.Settle.Outcome)
	}
}

// told notes the answer to what was owed.
func (d *delivery) told(ctx context.Context, err error) {
	it := d.owed
	d.owed = nil
	if err != nil {
		d.a.w.settle(ctx, it, d.step.Settle.Token, d.step.Settle.Outcome)
		return
	}
	d.a.w.recording.Note(nil)
	d.a.w.drop(it)
}
