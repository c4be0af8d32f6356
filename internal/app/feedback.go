package app

import (
	"context"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/account"
	"broadside/internal/feedback"
	"broadside/throttle"
)

// recorder returns what records whatever comes back. Its Run must run where it is used.
func (a *App) recorder() *feedback.Recorder {
	soft := a.Config.Feedback.Soft
	return feedback.New(feedback.Config{
		Suppression: a.Suppression, Ledger: a.Ledger, Keys: a.keys,
		Soft:       suppression.SoftLimit{Messages: soft.SuppressAfter, Within: soft.Within},
		Complained: a.complained,
		Server:     a.server, Journal: a.Feedback, Log: a.log,
	})
}

// complained counts a complaint for the warm-up of an account.
func (a *App) complained(ctx context.Context, name string) error {
	zone, _ := a.Config.Location()
	return a.days.Count(ctx, name, account.Date(time.Now(), zone), throttle.Day{Complained: 1})
}
