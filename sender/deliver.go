package sender

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/failpoint"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
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

// A delivery is the work of one connection's goroutine: one message at a time.
type delivery struct {
	a     *account
	draft Draft
	claim time.Duration // smoothed time of a claim
	hand  hand          // of the item under way
}

// deliver takes one item to its end: a final state, a later try, or back to
// the ledger. Whatever happens, the item leaves this worker's hands here, or
// it waits in its lane again.
func (d *delivery) deliver(ctx, hard context.Context, it *item) {
	a, w := d.a, d.a.w
	start := time.Now()
	if w.cfg.Ready(ctx) != nil || w.cfg.Member.Clear(ctx) != nil {
		w.giveBack(it, 0)
		return
	}
	p := a.pace(it.run)
	slot, again, err := a.slot(ctx, p, it.run)
	switch {
	case err != nil:
		w.giveBack(it, time.Second)
		sleep(ctx, time.Second) // Redis is away: not a busy loop
		return
	case !again.IsZero():
		a.putBack(it, again)
		return
	}
	// A slot that is still far does not need a connection yet: others use it.
	sleep(ctx, time.Until(slot)-p.ahead())
	taken := time.Now()
	if !d.look(ctx, it) {
		p.giveBack(slot)
		return
	}
	conn, ok := d.connect(ctx, it)
	if !ok {
		p.giveBack(slot)
		return
	}
	connected := time.Now()
	if err := d.compose(it); err != nil {
		p.giveBack(slot)
		d.put(conn)
		d.unprintable(hard, it, err)
		return
	}
	if r := conn.Envelope(ctx, d.draft.From, d.draft.To, len(d.draft.Message)); r != nil {
		p.giveBack(slot)
		decision := reply.Classify(*r)
		if decision.AtOnce {
			d.discard(conn) // it is this connection that has had enough
		} else {
			d.put(conn)
		}
		d.refused(ctx, hard, it, *r, decision)
		return
	}
	a.works(ctx)
	lead := time.Since(taken)
	if connected.Sub(taken) > dialTime {
		lead = time.Since(connected) // it was dialled: the next one is not
	}
	if d.body(ctx, hard, it, conn, p, slot, start) {
		p.observe(lead+d.claim, time.Since(connected))
	}
}

// look drops what is settled already and records what is suppressed.
func (d *delivery) look(ctx context.Context, it *item) bool {
	w := d.a.w
	look, err := w.cfg.Line.Look(ctx, it.ref, it.person)
	switch {
	case ledger.Gone(err):
		w.drop(it)
		return false
	case err != nil:
		w.giveBack(it, time.Second)
		sleep(ctx, settleRest)
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
func (d *delivery) connect(ctx context.Context, it *item) (*smtppool.Conn, bool) {
	a := d.a
	conn, err := a.pool.Get(ctx)
	switch {
	case err == nil:
		d.hand.conn = conn
		return conn, true
	case errors.Is(err, smtppool.ErrNoLease):
		a.putBack(it, time.Time{})
		a.starve()
		sleep(ctx, leaseRest)
	case ctx.Err() != nil:
		a.w.giveBack(it, 0)
	default:
		a.w.giveBack(it, a.fail(ctx, err))
	}
	return nil, false
}

func (d *delivery) compose(it *item) error {
	return it.run.composer.Compose(&d.draft, Recipient{
		Run: it.ref.Run.ID, Part: it.ref.Part, Index: it.ref.Index, Row: it.row, Date: time.Now(),
	})
}

// unprintable fails a recipient whose message cannot be made.
func (d *delivery) unprintable(ctx context.Context, it *item, err error) {
	d.a.log.Warn("message cannot be made", "run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index, "err", err)
	d.a.w.refuse(ctx, it, ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Account: d.a.cfg.Name, Text: err.Error()}})
}

// refused handles a reply that came before the body: no claim is needed.
func (d *delivery) refused(ctx, hard context.Context, it *item, r reply.Reply, decision reply.Decision) {
	a, w := d.a, d.a.w
	o, ours := outcome(decision, d.ledgerReply(r))
	d.trace(it, r, decision, 0, time.Time{})
	if ours {
		a.works(ctx)
		if o.State == campaign.Bounced {
			w.suppress(hard, it)
		}
		a.settled(it, false)
		w.refuse(hard, it, o)
		return
	}
	d.trouble(ctx, it, r, decision)
}

// trouble handles what is the lane's or the account's fault: the item goes
// back, nobody is charged.
func (d *delivery) trouble(ctx context.Context, it *item, r reply.Reply, decision reply.Decision) {
	a, w := d.a, d.a.w
	switch {
	case ctx.Err() != nil:
		w.giveBack(it, 0)
	case decision.Verdict == reply.PauseAccount:
		w.giveBack(it, a.close(ctx, decision, refusedClosed, r.String()))
	case decision.AtOnce && it.tries < maxTries:
		it.tries++
		a.putBack(it, time.Time{})
	default:
		w.giveBack(it, a.closeLane(it, decision, r))
	}
}

// body claims the recipient and sends the message that waits behind a 354. It
// reports whether a body left.
func (d *delivery) body(ctx, hard context.Context, it *item, conn *smtppool.Conn, p *pace, slot, start time.Time) bool {
	w := d.a.w
	if ctx.Err() != nil || !w.cfg.Member.IsClear() || !slot.IsZero() && !sleep(ctx, time.Until(slot)-d.claim) {
		d.discard(conn)
		w.giveBack(it, 0)
		return false
	}
	failpoint.Hit(failpoint.BeforeClaim)
	entry := w.cfg.Member.Ask(it.ref)
	d.hand.claim = entry
	asked := time.Now()
	c, err := w.cfg.Line.Claim(hard, it.ref, entry.Token, it.person)
	claimed := time.Now()
	d.claim += (claimed.Sub(asked) - d.claim) / 8
	release := func(o ledger.Outcome) {
		d.conclude(entry, o)
		d.discard(conn)
		w.settle(hard, it, entry.Token, o)
	}
	switch {
	case err != nil:
		// Perhaps it was carried out: released by its token, and by the next
		// heartbeat if it is carried out only later.
		release(ledger.Outcome{State: campaign.Pending, Delay: time.Second})
		w.returns.add(it.ref, time.Second)
		w.claiming.Note(err)
		sleep(ctx, time.Second) // not a busy loop
		return false
	case !c.Held:
		d.conclude(entry, ledger.Outcome{State: campaign.Pending})
		d.discard(conn)
		w.giveBack(it, 0) // does nothing to a cell that is not issued
		if c.RunState != "" {
			w.halt(it.run)
		}
		return false
	case c.Suppressed:
		release(ledger.Outcome{State: campaign.Suppressed})
		return false
	case !w.cfg.Member.Mine(entry.Token):
		release(ledger.Outcome{State: campaign.Pending})
		return false
	}
	w.cfg.Member.Journal().Open(entry, c.Attempt)
	w.claiming.Note(nil)
	failpoint.Hit(failpoint.AfterClaim)
	// Redis may have been restarted since: then others may not have told it what
	// they know, and this claim does not count. The journal has it as open, or
	// we see here that claims are not allowed: one of the two.
	if !w.cfg.Member.IsClear() || !d.gate(ctx, it, p, slot, asked) {
		release(ledger.Outcome{State: campaign.Pending})
		return false
	}
	d.hand.sent = true
	out := conn.Body(hard, d.draft.Message)
	d.finish(ctx, hard, it, entry, c.Attempt, conn, out, start)
	return true
}

// gate waits for the slot. Who misses it reserves again, message in hand, as
// long as the claim may be used.
func (d *delivery) gate(ctx context.Context, it *item, p *pace, slot, asked time.Time) bool {
	limit := asked.Add(claimLife)
	for {
		if !slot.IsZero() && !sleep(ctx, time.Until(slot)) {
			return false
		}
		now := time.Now()
		if ctx.Err() != nil || !now.Before(limit) {
			return false
		}
		if slot.IsZero() || now.Sub(slot) <= lateSlot {
			return true
		}
		d.a.log.Debug("slot missed", "late_ms", now.Sub(slot).Milliseconds())
		for {
			next, again, err := d.a.slot(ctx, p, it.run)
			if err != nil || !again.Before(limit) {
				return false
			}
			if again.IsZero() {
				slot = next
				break
			}
			if !sleep(ctx, time.Until(again)) {
				return false
			}
		}
	}
}

// finish records what became of a body.
func (d *delivery) finish(ctx, hard context.Context, it *item, e ledger.Entry, attempt int, conn *smtppool.Conn, out smtppool.Outcome, start time.Time) {
	a, w := d.a, d.a.w
	decision := reply.Classify(out.Reply)
	o, ours := outcome(decision, d.ledgerReply(out.Reply))
	if !ours {
		o = ledger.Outcome{State: campaign.Pending, Reply: d.ledgerReply(out.Reply), Delay: time.Second}
	}
	d.conclude(e, o) // first: what is known is known
	if decision.AtOnce {
		d.discard(conn)
	} else {
		d.put(conn)
	}
	d.trace(it, out.Reply, decision, attempt, start)
	if o.State == campaign.Bounced {
		w.suppress(hard, it)
	}
	a.settled(it, o.State == campaign.Accepted)
	if !ours {
		switch {
		case ctx.Err() != nil:
		case decision.Verdict == reply.PauseAccount:
			o.Delay = a.close(ctx, decision, refusedClosed, out.Reply.String())
		default:
			o.Delay = a.closeLane(it, decision, out.Reply)
		}
	}
	failpoint.Hit(failpoint.BeforeSettle)
	w.settle(hard, it, e.Token, o)
}

// outcome translates a verdict about a recipient; ours is false when it is
// about the lane or the account instead.
func outcome(d reply.Decision, r ledger.Reply) (o ledger.Outcome, ours bool) {
	o.Reply = r
	switch d.Verdict {
	case reply.Accepted:
		o.State = campaign.Accepted
	case reply.SuppressHard:
		o.State = campaign.Bounced
	case reply.FailNoSuppress:
		o.State = campaign.Failed
	case reply.RetryRecipient, reply.MailboxFull:
		o.State = campaign.Deferred
	case reply.Greylisted:
		o.State, o.Greylisted = campaign.Deferred, true
	case reply.Uncertain:
		o.State = campaign.Uncertain
	default:
		return o, false
	}
	return o, true
}

func (d *delivery) ledgerReply(r reply.Reply) ledger.Reply {
	text := r.Text
	if r.Event != "" {
		text = r.String()
	}
	return ledger.Reply{Code: r.Code, Enhanced: r.Enhanced, Account: d.a.cfg.Name, Text: text}
}

// trace logs exactly when which message was answered, and how.
func (d *delivery) trace(it *item, r reply.Reply, decision reply.Decision, attempt int, start time.Time) {
	if !d.a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	attrs := []any{
		"run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index,
		"lane", d.a.cfg.Name + "/" + string(providerOf(it)), "verdict", string(decision.Verdict), "rule", decision.Rule,
		"stage", string(r.Stage), "code", r.Code, "reply", r.String(),
	}
	if attempt > 0 {
		attrs = append(attrs, "attempt", attempt)
	}
	if id := queueID(r.Text); id != "" {
		attrs = append(attrs, "queue_id", id)
	}
	if !start.IsZero() {
		attrs = append(attrs, "duration_ms", time.Since(start).Milliseconds())
	}
	d.a.log.Debug("message answered", attrs...)
}

// queueID finds the id under which the server took a message ("queued as
// 4Bxyz", "Ok 0102018...", as servers say it), for the server's own logs.
func queueID(text string) string {
	_, id, ok := strings.Cut(strings.ToLower(text), "queued as ")
	if !ok {
		return ""
	}
	at := len(text) - len(id)
	id, _, _ = strings.Cut(text[at:], " ")
	return strings.Trim(id, ".,;()<>")
}

// suppressionOf is the entry for an address that does not exist.
func suppressionOf(it *item) suppression.Entry {
	return suppression.Entry{
		Address: it.row.Address.Canonical(), Reason: suppression.ReasonBounce, Scope: suppression.All,
		Source: "smtp", Run: it.ref.Run.ID, At: time.Now(),
	}
}
