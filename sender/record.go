package sender

import (
	"context"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

// An outcome that is known waits for the round trip to Redis that the next
// claim takes anyway. It is recorded by itself when that is not soon: the journal
// has it meanwhile.

// recordLater keeps the outcome of a claim for the next step. It is not final
// before the envelope behind the message is answered.
func (d *delivery) recordLater(j *job, o ledger.Outcome) {
	s := &d.step.Settle
	s.Ref = j.it.ref
	s.Token = j.claim.Token
	s.Outcome = o
	d.unrecorded = j.it
	d.unconfirmed = j
}

// confirm makes the unrecorded outcome final, once the envelope behind that
// message was answered or will not be. When the server's replies turned out to be
// out of order, nobody knows which of them was the one to the message.
func (d *delivery) confirm(ctx context.Context) {
	j := d.unconfirmed
	if j == nil {
		return
	}
	d.unconfirmed = nil
	o := d.step.Settle.Outcome
	if d.conn != nil && d.conn.Astray() != "" {
		lost := reply.Lost(reply.Dot, reply.BadReply, d.conn.Astray())
		o, _ = outcome(reply.Classify(lost), d.a.ledgerReply(lost))
	}
	o, pause := d.decide(ctx, j, o)
	d.step.Settle.Outcome = o
	if o.State == campaign.Bounced {
		d.a.w.suppress(ctx, j.it)
	}
	if pause {
		d.a.w.pauseForFailures(ctx, j.it.run, o)
	}
}

// decide makes the outcome of a claim final in the journal. It returns the one to
// record, and whether the run has to be paused.
func (d *delivery) decide(ctx context.Context, j *job, o ledger.Outcome) (record ledger.Outcome, pause bool) {
	o = d.a.w.confirmDead(ctx, j.it, j.confirm, o)
	record, pause = j.it.run.failing.add(j.it.ref, o)
	d.conclude(j, record)
	return record, pause
}

// claim claims the job, records the outcome before it and looks at the next job.
func (d *delivery) claim(ctx context.Context, j *job) {
	s := &d.step
	s.Claim.Ref = j.it.ref
	s.Claim.Token = j.claim.Token
	s.Claim.Person = j.it.person
	s.Look.Ref = ledger.Ref{}
	if d.next != nil {
		s.Look.Ref = d.next.it.ref
		s.Look.Person = d.next.it.run.lookPerson(d.next.it)
	}
	d.awaitRecording(ctx)
	if d.unrecorded == nil {
		s.Settle.Token = ""
	}
	d.a.w.cfg.Line.Step(ctx, s)
	if d.unrecorded != nil {
		d.recorded(ctx, s.Settle.Err)
	}
}

// startRecording sends the unrecorded outcome to Redis without waiting.
func (d *delivery) startRecording(ctx context.Context) {
	if d.unrecorded == nil || d.recording != nil {
		return
	}
	var s ledger.Step
	s.Settle = d.step.Settle
	d.recording = d.a.w.cfg.Line.Start(ctx, &s)
}

// awaitRecording waits for the answer to what startRecording sent.
func (d *delivery) awaitRecording(ctx context.Context) {
	if d.recording == nil {
		return
	}
	p := d.recording
	d.recording = nil
	var s ledger.Step
	p.Wait(ctx, &s)
	d.recorded(ctx, s.Settle.Err)
}

// record records the unrecorded outcome, if there is one, as long as it takes
// Redis to answer.
func (d *delivery) record(ctx context.Context) {
	d.confirm(ctx)
	d.awaitRecording(ctx)
	if d.unrecorded != nil {
		d.settle(ctx)
	}
}

// recorded handles the answer of Redis about the unrecorded outcome.
func (d *delivery) recorded(ctx context.Context, err error) {
	if err != nil {
		d.settle(ctx)
		return
	}
	d.a.w.recording.Note(nil)
	d.a.w.drop(d.unrecorded)
	d.unrecorded = nil
}

func (d *delivery) settle(ctx context.Context) {
	it := d.unrecorded
	d.unrecorded = nil
	d.a.w.settle(ctx, it, d.step.Settle.Token, d.step.Settle.Outcome)
}
