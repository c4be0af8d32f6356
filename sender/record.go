package sender

import (
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

// An outcome that is known waits for the round trip to Redis that the next
// claim takes anyway. It is recorded by itself when that is not soon: the journal
// has it until then.

// unrecorded is a recipient that was sent to and whose outcome is not recorded
// yet; the zero value is none. The outcome is not decided before the envelope
// behind the message is answered.
type unrecorded struct {
	rcpt *recipient
	end  end
}

// confirm decides the unrecorded outcome, once the envelope behind that message
// was answered or will not be. When the server's replies turned out to be out of
// order, it is not known which of them was the one to the message.
func (d *delivery) confirm() {
	u := &d.unrecorded
	if u.rcpt == nil || u.end.decided {
		return
	}
	if d.conn != nil && d.conn.Desync() != "" {
		lost := reply.Lost(reply.Dot, reply.BadReply, d.conn.Desync())
		u.end.outcome, _ = outcome(d.a.rules.Classify(lost), d.a.ledgerReply(lost))
	}
	u.end = d.recipients.decide(u.rcpt, u.end)
	u.end = d.recipients.heed(u.rcpt, u.end)
}

// settlement puts the unrecorded outcome into a step.
func (d *delivery) settlement(s *ledger.Step) {
	u := &d.unrecorded
	if u.rcpt == nil {
		s.Settle.Token = ""
		return
	}
	s.Settle.Ref = u.rcpt.ref
	s.Settle.Token = u.end.claim.Token
	s.Settle.Outcome = u.end.outcome
}

// claim claims the recipient, records the outcome before it and looks at the next one.
func (d *delivery) claim(tx *transaction) {
	s := &d.step
	s.Claim.Ref = tx.rcpt.ref
	s.Claim.Token = tx.claim.Token
	s.Claim.SuppressionKey = tx.rcpt.suppressionKey
	s.Look.Ref = ledger.Ref{}
	if d.next != nil {
		s.Look.Ref = d.next.rcpt.ref
		s.Look.SuppressionKey = d.next.rcpt.run.lookKey(d.next.rcpt)
	}

	d.awaitRecording()
	d.settlement(s)
	d.line.Step(d.life.finish, s)
	d.recorded(s.Settle.Err)
}

// startRecording sends the unrecorded outcome to Redis without waiting.
func (d *delivery) startRecording() {
	if d.unrecorded.rcpt == nil || d.recording != nil {
		return
	}
	var s ledger.Step
	d.settlement(&s)
	d.recording = d.line.Start(d.life.finish, &s)
}

// awaitRecording waits for the answer to what startRecording sent.
func (d *delivery) awaitRecording() {
	if d.recording == nil {
		return
	}
	p := d.recording
	d.recording = nil
	var s ledger.Step
	p.Wait(d.life.finish, &s)
	d.recorded(s.Settle.Err)
}

// record records the unrecorded outcome, if there is one, as long as it takes
// Redis to answer.
func (d *delivery) record() {
	d.confirm()
	d.awaitRecording()
	d.endUnrecorded(d.unrecorded.end)
}

// recorded ends the recipient whose outcome was in a step, after the answer of
// Redis to it.
func (d *delivery) recorded(err error) {
	if d.unrecorded.rcpt == nil {
		return
	}
	if err != nil {
		d.endUnrecorded(d.unrecorded.end) // tries again
		return
	}
	d.recipients.recording.Note(nil)
	d.recipients.recorded(d.unrecorded.rcpt, d.unrecorded.end.outcome)
	d.endUnrecorded(drop())
}

func (d *delivery) endUnrecorded(e end) {
	rcpt := d.unrecorded.rcpt
	if rcpt == nil {
		return
	}
	d.unrecorded = unrecorded{}
	d.recipients.end(rcpt, e)
}
