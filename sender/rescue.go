package sender

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
	"broadside/sender/smtppool"
)

// faultRest is how long a recipient rests who was claimed when a fault of ours
// kept the body from leaving.
const faultRest = time.Minute

// A hand is what a delivery holds of the item under way: what has to be put
// right when it ends in a panic.
type hand struct {
	conn    *smtppool.Conn // nil: none, or it is back in the pool
	claim   ledger.Entry   // without a token: nothing was asked for
	sent    bool           // body bytes may have left
	closed  bool           // the journal has the outcome of the claim
	outcome ledger.Outcome
}

// put gives the connection back to the pool.
func (d *delivery) put(conn *smtppool.Conn) {
	d.hand.conn = nil
	d.a.pool.Put(conn)
}

// discard closes the connection hard.
func (d *delivery) discard(conn *smtppool.Conn) {
	d.hand.conn = nil
	d.a.pool.Discard(conn)
}

// conclude closes the journal's entry of the claim.
func (d *delivery) conclude(e ledger.Entry, o ledger.Outcome) {
	d.hand.closed, d.hand.outcome = true, o
	d.a.w.cfg.Member.Journal().Close(e, o)
}

// attempt is deliver, of which a panic ends nothing but this item.
func (d *delivery) attempt(ctx, hard context.Context, it *item) {
	w := d.a.w
	attrs := []any{"run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index}
	defer w.crash.Recover(func(*crash.Fault) { w.drop(it) }, attrs...) // of the rescue
	defer w.crash.Recover(func(f *crash.Fault) { d.rescue(hard, it, f) }, attrs...)
	d.hand = hand{}
	d.deliver(ctx, hard, it)
}

// rescue ends an item whose delivery panicked. The connection is closed hard,
// since nobody knows where in the dialogue it is. Who was not claimed has
// failed: another try would end the same way. A claim without a body is
// released; with one it is uncertain, unless the outcome was known already.
func (d *delivery) rescue(ctx context.Context, it *item, f *crash.Fault) {
	w, h := d.a.w, d.hand
	d.draft = Draft{} // half made
	o := ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: f.Error()}}
	if h.conn != nil {
		d.discard(h.conn)
	}
	switch {
	case h.claim.Token == "":
		w.refuse(ctx, it, o)
		return
	case h.closed:
		o = h.outcome
	case h.sent:
		o.State = campaign.Uncertain
	default:
		o.State, o.Delay = campaign.Pending, faultRest
	}
	d.conclude(h.claim, o)
	w.settle(ctx, it, h.claim.Token, o)
}
