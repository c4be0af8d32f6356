package sender

import (
	"context"
	"errors"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
	"broadside/internal/outage"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/templates/compose"
)

const (
	// claimLife is how long after a claim was asked for its first body byte may
	// leave. Later (the process was frozen, perhaps before it read the answer)
	// the claim is released and the connection closed.
	claimLife = 10 * time.Second
	// claimsEvery is how far apart the moments are at which bodies that wait for their
	// slots ask for their claims. A slot is good for longer.
	claimsEvery = 2 * time.Millisecond
	// soonClaimed is how long an outcome waits for the claim that is asked for with it.
	soonClaimed = 10 * time.Millisecond
	// maxTries is how many broken connections one recipient survives in a row.
	maxTries = 3
	// dialTime is how long getting a connection takes when it was not at hand.
	dialTime = 50 * time.Millisecond
	// settleTime is how long one try to reach Redis for an outcome may take.
	settleTime = 2 * time.Second
	// settleRest is the pause between tries to reach Redis for an outcome, and
	// after one of another kind that failed.
	settleRest = time.Second
	// probeRest is how long a lane waits for the probe of another worker.
	probeRest = 2 * time.Second
	// lastTime is how long the last give-backs and the good-byes to servers may
	// take at the end of a shutdown.
	lastTime = 2 * time.Second
)

// A transaction is one recipient on the way through a connection, from its slot to what
// the server makes of its message.
type transaction struct {
	rcpt   *recipient
	pace   *pace
	slot   *slot // at which the body may leave; nil: at any time
	draft  compose.Draft
	begun  time.Time // when the work on it began
	taken  time.Time // when it had its slot, less the time that it waited for others
	served time.Time // when its connection was there for it
	claim  ledger.Entry
	sent   bool // body bytes may have left
	end    end  // once it is known what happens to the recipient of the claim
}

// tools are what a delivery works with.
type tools struct {
	a          *account
	recipients *recipients
	life       *lifetime
	line       *ledger.Line
	member     *ledger.Member
	waitReady  func(context.Context) error // [Config.Ready]
	claiming   *outage.Notice
	crash      *crash.Reporter
}

// A delivery is the work of one connection's goroutine. While the body of one
// recipient is sent, the envelope of the next goes with it where it can: current is
// the one, next the other.
type delivery struct {
	tools
	transactions  [2]transaction
	current, next *transaction   // nil: none
	conn          *smtppool.Conn // nil: none, or it is back in the pool
	claimTime     time.Duration  // smoothed time that a claim takes
	pause         time.Duration  // before the next transaction
	began         time.Time      // when the server was asked about the current one; zero: it was not
	step          ledger.Step

	unrecorded unrecorded
	recording  *ledger.Pending // the unrecorded outcome is on its way to Redis by itself
}

// begin takes a recipient on.
func (d *delivery) begin(rcpt *recipient) {
	d.current = &d.transactions[0]
	d.reset(d.current, rcpt)
}

func (d *delivery) reset(tx *transaction, rcpt *recipient) {
	tx.leaveSlot() // that of a transaction which ended in a panic
	now := time.Now()
	*tx = transaction{rcpt: rcpt, pace: d.a.pace(now, rcpt), draft: tx.draft, begun: now, taken: now}
}

// other returns the transaction that is not under way.
func (d *delivery) other() *transaction {
	if d.current == &d.transactions[0] {
		return &d.transactions[1]
	}
	return &d.transactions[0]
}

// deliver takes the current transaction to its end, except that an outcome may still have
// to be recorded with the next claim. Afterwards there is another one when its envelope went
// with the body.
func (d *delivery) deliver() {
	tx := d.current
	e := d.transact(tx)
	d.recipients.end(tx.rcpt, e)
	d.current = d.next
	d.next = nil
}

// nextRecipient returns whose envelope has gone ahead; nil when none has.
func (d *delivery) nextRecipient() *recipient {
	if d.current == nil {
		return nil
	}
	return d.current.rcpt
}

// rest waits as long as the last transaction has asked for.
func (d *delivery) rest() {
	if d.pause > 0 {
		sleep(d.life.begin, d.pause)
		d.pause = 0
	}
}

// transact goes through a transaction, as far as it gets, and returns what happens to the
// recipient. It is unfinished when the outcome is known and waits to be recorded.
func (d *delivery) transact(tx *transaction) end {
	var r *reply.Reply
	if d.conn == nil {
		e := d.prepare(tx)
		if e.kind != unfinished {
			return e
		}
		d.begins(tx)
		r = d.conn.Envelope(d.life.begin, tx.draft.From, tx.draft.To, len(tx.draft.Message))
	} else {
		d.begins(tx)
		r = d.conn.Answer(d.life.finish)
		d.confirm()
	}

	if r != nil {
		return d.refused(tx, *r)
	}

	now := time.Now()
	d.carry(tx)
	d.a.works(d.life.begin, now)
	lead := now.Sub(tx.taken)
	if dialled := tx.served.Sub(tx.taken); dialled > dialTime {
		lead -= dialled // the next one need not be
	}

	e := d.body(tx)
	if tx.sent {
		tx.pace.observe(lead+d.claimTime, time.Since(tx.served))
	}

	return e
}

// begins notes that the server is asked about a recipient.
func (d *delivery) begins(tx *transaction) {
	d.began = time.Now()
	d.a.transact(d.began, tx.rcpt)
}

// carry counts the message for the limit of its lane on one connection.
func (d *delivery) carry(tx *transaction) {
	l := tx.rcpt.lane
	if l.limit.MessagesPerConnection > 0 && d.conn.Carry(l.name) >= l.limit.MessagesPerConnection {
		d.conn.Retire()
	}
}

// prepare brings a transaction to where it has a slot, a connection and a message, or to
// its end.
func (d *delivery) prepare(tx *transaction) end {
	ctx, rcpt := d.life.begin, tx.rcpt
	if d.waitReady(ctx) != nil || d.member.Clear(ctx) != nil {
		return giveBack(0)
	}

	if wait := rcpt.run.hours.wait(rcpt.row.Values, time.Now()); wait > 0 {
		return giveBack(wait) // it has waited in its lane until they were over
	}

	leased, err := d.a.leaseLane(ctx, rcpt.lane)
	if err == nil && !leased {
		waiting, starved := d.a.drainStarved(time.Now(), rcpt.lane)
		if !starved {
			return putBackUntil(time.Time{})
		}
		d.recipients.giveBackAll(waiting, time.Second)
		return giveBack(time.Second)
	}

	var again time.Time
	if err == nil {
		tx.slot, again, err = d.a.slot(ctx, tx.pace, rcpt.run.high, false)
	}
	if err != nil {
		d.pause = time.Second // Redis is away: not a busy loop
		return giveBack(time.Second)
	}

	if !again.IsZero() {
		return putBackUntil(time.Time{})
	}

	if rcpt.probe.lane > 0 && !d.a.leaseProbe(ctx, rcpt.lane, time.Now()) {
		tx.leaveSlot()
		return putBackUntil(time.Now().Add(probeRest)) // another worker has it
	}

	// A slot that is still far does not need a connection yet: others use it.
	if tx.slot != nil {
		sleep(ctx, time.Until(tx.pace.at(tx.slot))-tx.pace.ahead())
	}
	tx.taken = time.Now()

	look, err := d.line.Look(ctx, rcpt.ref, rcpt.run.lookKey(rcpt))
	if err != nil {
		d.pause = settleRest
	}

	e := d.afterLook(look, err)
	if e.kind == unfinished {
		e = d.connect()
	}

	if e.kind == unfinished {
		tx.served = time.Now()
		if err := d.compose(tx); err != nil {
			d.put()
			e = d.unprintable(rcpt, err)
		}
	}
	if e.kind != unfinished {
		tx.leaveSlot()
	}

	return e
}

// leaveSlot gives back the slot of a transaction that did not come as far as the server.
func (tx *transaction) leaveSlot() {
	if tx.slot != nil {
		tx.pace.giveBack(time.Now(), tx.slot)
		tx.slot = nil
	}
}

// payWithSlot gives back the slot of a transaction that the server has refused, unless its
// time is over: the refusal has cost the server something.
func (tx *transaction) payWithSlot() {
	if tx.slot != nil && time.Now().Before(tx.pace.at(tx.slot)) {
		tx.leaveSlot()
	}
	tx.useSlot()
}

// useSlot notes that the slot of a transaction is used.
func (tx *transaction) useSlot() {
	if tx.slot != nil {
		tx.pace.left(tx.slot)
		tx.slot = nil
	}
}

// afterLook is the end of a recipient that is done with already, or suppressed.
func (d *delivery) afterLook(look ledger.Look, err error) end {
	switch {
	case ledger.Gone(err):
		return drop()
	case err != nil:
		return giveBack(time.Second)
	case look.State != campaign.Pending && look.State != campaign.Issued:
		return drop() // another worker was faster
	case look.Suppressed:
		return refuse(ledger.Outcome{State: campaign.Suppressed})
	}
	return end{}
}

// connect gets a connection. Without one the recipient waits, here or in the
// ledger.
func (d *delivery) connect() end {
	ctx := d.life.begin
	conn, err := d.a.route.connect(ctx)
	switch {
	case err == nil:
		d.conn = conn
		return end{}
	case errors.Is(err, smtppool.ErrNoLease):
		d.pause = leaseRest
		if d.a.route.starve(time.Now()) {
			d.recipients.giveBackAll(d.a.drain(all), time.Second)
			return giveBack(time.Second)
		}
		return putBackUntil(time.Time{})
	case ctx.Err() != nil:
		return giveBack(0)
	}

	var refused *smtppool.Error
	if !errors.As(err, &refused) { // it is Redis that was asked for a lease
		d.pause = settleRest
		return giveBack(time.Second)
	}

	rest, alone, closed := d.a.refusedConnection(time.Now(), d.a.rules.Classify(refused.Reply), err.Error())
	if alone {
		d.a.route.tooMany(ctx)
		d.pause = rest
		return putBackUntil(time.Time{})
	}

	d.closed(closed)
	return giveBack(rest)
}

// closed gives back what waits behind a closing, and shows the closing. nil:
// nothing has closed.
func (d *delivery) closed(c *closing) {
	if c != nil {
		d.recipients.giveBackAll(d.a.drain(all), c.pause)
		d.a.show(d.life.begin, c)
	}
}

// heed acts on what a reply says about the lane or the account.
func (d *delivery) heed(rcpt *recipient, s setback) {
	d.closed(s.closing)
	if s.slow == nil {
		return
	}
	waiting, pause := d.a.slowDown(d.life.finish, time.Now(), s.slow)
	d.recipients.giveBackAll(waiting, pause)
	if s.escalated {
		d.recipients.takeBackLane(rcpt)
	}
}

// pick takes the recipient whose envelope may go with the body of the one under way, or
// right behind it. No other connection waits for it: it waits in its lane, its slot
// is due, and the connection may go on.
func (d *delivery) pick() {
	if d.life.ending() || !d.a.route.pool.Goes(d.conn) {
		return
	}

	now := time.Now()
	rcpt, _ := d.a.next(now, d.current.rcpt.lane)
	if rcpt == nil {
		return
	}
	if wait := rcpt.run.hours.wait(rcpt.row.Values, now); wait > 0 {
		d.recipients.end(rcpt, giveBack(wait)) // as in prepare
		return
	}

	n := d.other()
	d.reset(n, rcpt)
	s, again, err := d.a.slot(d.life.begin, n.pace, rcpt.run.high, false)
	n.slot = s
	if s != nil {
		at := n.pace.at(s)
		if time.Until(at) > n.pace.ahead()+2*earlyBody {
			n.leaveSlot()
			again = at.Add(-n.pace.ahead())
			n.pace.from.Store(&again)
		}
	}
	if err != nil || !again.IsZero() {
		d.recipients.end(rcpt, putBackUntil(time.Time{}))
		return
	}

	d.next = n
}

// unpick returns the next recipient to its lane.
func (d *delivery) unpick() {
	if d.life.ending() {
		d.endNext(giveBack(0))
		return
	}
	d.endNext(putBackUntil(time.Time{}))
}

// endNext ends the next transaction, if there is one.
func (d *delivery) endNext(e end) {
	n := d.next
	if n == nil {
		return
	}
	d.next = nil
	n.leaveSlot()
	d.recipients.end(n.rcpt, e)
}

func (d *delivery) compose(tx *transaction) error {
	rcpt := tx.rcpt
	return rcpt.run.composer.Compose(&tx.draft, compose.Recipient{
		Run: rcpt.ref.Run.ID, Part: rcpt.ref.Part, Index: rcpt.ref.Index, Row: rcpt.row, Date: time.Now(),
	})
}

// unprintable is the end of a recipient whose message cannot be made.
func (d *delivery) unprintable(rcpt *recipient, err error) end {
	d.a.log.Warn("message cannot be made", "run", rcpt.ref.Run.ID, "part", rcpt.ref.Part, "index", rcpt.ref.Index, "err", address.Redact(err.Error()))
	return refuse(ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: err.Error()}})
}

// refused returns what a reply before the body makes of a recipient: no claim is
// needed.
func (d *delivery) refused(tx *transaction, r reply.Reply) end {
	tx.payWithSlot()
	d.record()
	rcpt := tx.rcpt
	decision, escalated := d.a.judge(time.Now(), rcpt, r)
	fresh := d.conn.First()
	if decision.AtOnce || r.Stage == reply.Mail && !fresh {
		d.discard() // it may be this connection that has had enough
	} else {
		d.put()
	}

	d.trace(tx, r, decision, 0)

	o, aboutRecipient := outcome(decision, d.a.ledgerReply(r))
	switch {
	case aboutRecipient && r.Stage == reply.Mail && o.State.Final() && !fresh:
		// A refusal of MAIL may be about the session: it counts on a new one.
		return putBackUntil(time.Time{})
	case aboutRecipient:
		d.a.works(d.life.begin, time.Now())
		d.a.answered(d.life.finish, time.Now(), rcpt, o.State)
		e := refuse(o)
		e.confirm = decision.Confirm
		return e
	case d.life.ending():
		return giveBack(0)
	case decision.AtOnce && rcpt.tries < maxTries:
		rcpt.tries++
		return putBackUntil(time.Time{})
	}

	s := d.a.setBack(time.Now(), rcpt, decision, escalated, r)
	d.heed(rcpt, s)
	if s.outcome.State == campaign.Pending {
		return giveBack(s.outcome.Delay)
	}

	return refuse(s.outcome)
}

// put gives the connection back to the pool.
func (d *delivery) put() {
	conn := d.conn
	d.conn = nil
	d.a.route.pool.Put(conn)
}

// discard closes the connection hard.
func (d *delivery) discard() {
	conn := d.conn
	d.conn = nil
	d.a.route.pool.Discard(conn)
}
