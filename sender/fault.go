package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
)

// faultRest is how long a claimed recipient waits after a fault of ours kept the
// body from leaving.
const faultRest = time.Minute

// attempt goes through the current transaction. A panic ends this one alone.
func (d *delivery) attempt() {
	tx, rcpt := d.current, d.current.rcpt
	attrs := []any{"run", rcpt.ref.Run.ID, "part", rcpt.ref.Part, "index", rcpt.ref.Index}
	defer d.crash.Recover(func(*crash.Fault) { // of the rescue
		d.recipients.end(rcpt, drop())
		*d = delivery{tools: d.tools, began: d.began}
	}, attrs...)
	defer d.crash.Recover(func(f *crash.Fault) { d.rescue(tx, f) }, attrs...)
	d.deliver()
}

// rescue ends a transaction whose delivery panicked. The connection is closed hard,
// since it is not known where in the dialogue it is.
func (d *delivery) rescue(tx *transaction, f *crash.Fault) {
	if d.conn != nil {
		d.discard()
	}

	d.unpick()
	d.confirm()
	if d.unrecorded.rcpt == tx.rcpt {
		tx.end = d.unrecorded.end
	} else {
		d.record()
	}

	rcpt := tx.rcpt
	e := d.afterFault(tx, f)
	*d = delivery{tools: d.tools, claimTime: d.claimTime, began: d.began} // half made
	d.recipients.end(rcpt, e)
}

// afterFault is the end of a recipient whose delivery panicked: the one that was
// known already, if there is one. Before a claim the recipient has failed, since
// another try would end the same way. A claim without a body is released; with one
// it is uncertain.
func (d *delivery) afterFault(tx *transaction, f *crash.Fault) end {
	o := ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: f.Error()}}
	switch {
	case tx.end.kind != unfinished:
		return tx.end
	case tx.claim.Token == "":
		return refuse(o)
	case tx.sent:
		o.State = campaign.Uncertain
	default:
		o.State = campaign.Pending
		o.Delay = faultRest
	}
	return settle(tx.claim, o)
}
