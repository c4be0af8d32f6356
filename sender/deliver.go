package sender

import (
	"context"
	"errors"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/templates/compose"
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
	draft   compose.Draft
	begun   time.Time // when the work on it began
	taken   time.Time // when it had its slot, less the time that it waited for others
	served  time.Time // when its connection was there for it
	claim   ledger.Entry
	sent    bool // body bytes may have left
	closed  bool // the journal has the outcome of the claim
	outcome ledger.Outcome
	confirm int // how many such replies it takes to believe this one; 0: this one alone
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

	unrecorded  *item           // whose outcome stands in step and is not recorded yet
	unconfirmed *job            // the same, until its outcome is final; nil: it is
	recording   *ledger.Pending // the outcome is on its way to Redis by itself
}

// begin takes an item on.
func (d *delivery) begin(it *item) {
	d.job = &d.jobs[0]
	d.reset(d.job, it)
}

func (d *delivery) reset(j *job, it *item) {
	now := time.Now()
	*j = job{it: it, pace: d.a.pace(it.run), draft: j.draft, begun: now, taken: now}
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
		d.confirm(hard)
	}
	if r != nil {
		d.job = nil
		j.giveSlotBack()
		d.record(hard)
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
	d.job = d.next
	d.next = nil
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
	look, err := w.cfg.Line.Look(ctx, it.ref, it.run.lookPerson(it))
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
	until := time.Now().Add(firstLease)
	conn, err := a.pool.Get(ctx)
	for errors.Is(err, smtppool.ErrNoLease) && a.none() && time.Now().Before(until) {
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

// pick takes the job whose envelope may go with the body of the one under way, or
// right behind it. Nobody is held back for it: it waits in its lane, its slot is
// due, and the connection may go on.
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
	return it.run.composer.Compose(&j.draft, compose.Recipient{
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
		o = w.confirmDead(hard, it, decision.Confirm, o)
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
