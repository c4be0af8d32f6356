package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"broadside/campaign"
	"broadside/campaign/suppression"
	"broadside/internal/account"
	"broadside/internal/failure"
	"broadside/internal/feedback"
	"broadside/sender/bounce"
	"broadside/throttle"
)

// recorder returns what records whatever comes back. Its Run must run where it is used.
func (a *App) recorder() *feedback.Recorder {
	soft := a.Config.Feedback.Soft
	var announcer feedback.Announcer // nil: no one is told
	if o := a.outbox(); o.Wants(campaign.WebhookBounced, campaign.WebhookComplained, campaign.WebhookUnsubscribed) {
		announcer = o
	}
	return feedback.New(feedback.Config{
		Suppression: a.Suppression, Ledger: a.Ledger, Keys: a.keys,
		Soft:       suppression.SoftLimit{Messages: soft.SuppressAfter, Within: soft.Within},
		Judge:      func(n campaign.Notice) (campaign.Class, string, int) { return bounce.Judge(a.rules, n) },
		Decode:     bounce.Decode,
		Complained: a.complained, Announcer: announcer, Marks: a.Ledger,
		Server: a.server, Journal: a.Feedback, Log: a.log,
	})
}

// complained counts a complaint for the warm-up of an account.
func (a *App) complained(ctx context.Context, name string) error {
	zone, _ := a.Config.Location()
	return a.days.Count(ctx, name, account.Date(time.Now(), zone), throttle.Day{Complained: 1})
}

// Ingest records what a message says that came back, once: see feedback.Recorder.
func (a *App) Ingest(ctx context.Context, source string, message io.Reader) error {
	return bounces{a.recorder()}.Ingest(ctx, source, message)
}

// bounces is where messages from mailboxes and from feedback.listen go.
type bounces struct{ recorder *feedback.Recorder }

// Ingest records what a message says. What is no message would be none the next time
// either, which the error tells.
func (b bounces) Ingest(ctx context.Context, source string, message io.Reader, envelope ...string) error {
	err := b.recorder.Ingest(ctx, source, message, envelope...)
	if errors.Is(err, bounce.ErrNoMessage) {
		return fmt.Errorf("%w: %w", failure.ErrInvalid, err)
	}
	return err
}
