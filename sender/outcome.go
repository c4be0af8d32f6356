package sender

import (
	"context"
	"log/slog"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/sender/reply"
)

// outcome translates a verdict about a recipient; it reports false when
// the verdict is about the lane or the account instead.
func outcome(d reply.Decision, r ledger.Reply) (o ledger.Outcome, aboutRecipient bool) {
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

// trace logs exactly when which message was answered, and how.
func (d *delivery) trace(tx *transaction, r reply.Reply, decision reply.Decision, attempt int) {
	if !d.a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}

	rcpt := tx.rcpt
	attrs := []any{
		"run", rcpt.ref.Run.ID, "part", rcpt.ref.Part, "index", rcpt.ref.Index,
		"lane", d.a.cfg.laneName(rcpt.lane.name), "verdict", string(decision.Verdict), "rule", decision.Rule,
		"stage", string(r.Stage), "code", r.Code, "reply", address.Redact(r.String()),
	}
	if attempt > 0 {
		attrs = append(attrs, "attempt", attempt)
	}

	if id := QueueID(r.Text); id != "" {
		attrs = append(attrs, "queue_id", id)
	}
	if attempt > 0 {
		attrs = append(attrs, "duration_ms", time.Since(tx.begun).Milliseconds())
	}

	d.a.log.Debug("message answered", attrs...)
}

// suppressionOf is the entry for an address that does not exist.
func suppressionOf(rcpt *recipient, now time.Time) suppression.Entry {
	e := suppression.Entry{
		Address: rcpt.row.Address.Canonical(), Reason: suppression.ReasonBounce, Scope: suppression.All,
		Source: "smtp", Run: rcpt.ref.Run.ID, At: now, Part: rcpt.ref.Part, Index: rcpt.ref.Index,
	}
	if rcpt.lane != nil {
		e.Lane = rcpt.account.cfg.laneName(rcpt.lane.name)
	}
	return e
}
