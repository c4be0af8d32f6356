package sender

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
)

// faultRest is how long a recipient rests who was claimed when a fault of ours
// kept the body from leaving.
const faultRest = time.Minute

// put gives the connection back to the pool.
func (d *delivery) put() {
	conn := d.conn
	d.conn = nil
	d.a.pool.Put(conn)
}

// discard closes the connection hard.
func (d *delivery) discard() {
	conn := d.conn
	d.conn = nil
	d.a.pool.Discard(conn)
}

// conclude closes the journal's entry of the claim.
func (d *delivery) conclude(j *job, o ledger.Outcome) {
	j.closed = true
	j.outcome = o
	d.a.w.cfg.Member.Journal().Close(j.claim, o)
}

// attempt is deliver, of which a panic ends nothing but this job.
func (d *delivery) attempt(ctx, hard context.Context) {
	w, j, it := d.a.w, d.job, d.job.it
	attrs := []any{"run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index}
	defer w.crash.Recover(func(*crash.Fault) { // of the rescue
		w.drop(it)
		*d = delivery{a: d.a}
	}, attrs...)
	defer w.crash.Recover(func(f *crash.Fault) { d.rescue(ctx, hard, j, f) }, attrs...)
	d.deliver(ctx, hard)
}

// rescue ends a job whose delivery panicked. The connection is closed hard,
// since nobody knows where in the dialogue it is. Who was not claimed has
// failed: another try would end the same way. A claim without a body is
// released; with one it is uncertain, unless the outcome was known already.
func (d *delivery) rescue(ctx, hard context.Context, j *job, f *crash.Fault) {
	w := d.a.w
	if d.conn != nil {
		d.discard()
	}
	d.unpick(ctx)
	d.confirm(hard)
	if d.unrecorded != j.it { // else its outcome is recorded here in any case
		d.record(hard)
	}
	lost := *j
	*d = delivery{a: d.a, asking: d.asking} // half made
	o := ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: f.Error()}}
	pause := false
	switch {
	case lost.claim.Token == "":
		w.refuse(hard, lost.it, o)
		return
	case lost.closed:
		o = lost.outcome
	case lost.sent:
		o.State = campaign.Uncertain
		o, pause = lost.it.run.failing.add(lost.it.ref, o)
	default:
		o.State = campaign.Pending
		o.Delay = faultRest
	}
	w.cfg.Member.Journal().Close(lost.claim, o)
	w.settle(hard, lost.it, lost.claim.Token, o)
	if pause {
		w.pauseForFailures(hard, lost.it.run, o)
	}
}
