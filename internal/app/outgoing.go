package app

import (
	"context"

	"golang.org/x/sync/errgroup"

	"broadside/internal/outgoing"
)

// outbox returns what puts events into the queues of outgoing webhooks. The embedded
// store forgets them before anybody could be told: there it has no receivers.
func (a *App) outbox() *outgoing.Outbox {
	receivers := a.Config.Webhooks
	if a.Embedded() {
		receivers = nil
	}
	return outgoing.NewOutbox(a.Config.Namespace, receivers, a.Webhooks.Deliveries, a.Webhooks.Register, a.log)
}

// told reports whether somebody is told what happens.
func (a *App) told() bool { return len(a.Config.Webhooks) > 0 && !a.Embedded() }

// tellOthers tells by webhook what happens until ctx ends, where that is configured. The
// scheduler does it: it has the time to wait for others, and sends no mail.
func (a *App) tellOthers(ctx context.Context) error {
	if !a.told() {
		return nil
	}
	sender, err := outgoing.NewSender(a.Config.Webhooks, a.Webhooks.Deliveries, a.Webhooks.Register, a.log)
	if err != nil {
		return err
	}
	announcer := outgoing.NewAnnouncer(outgoing.AnnouncerConfig{
		Ledger: a.Ledger, Missed: a.Schedules.Stored, Summary: a.Runs.Summary, Outbox: a.outbox(), Log: a.log,
	})

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sender.Run(ctx) })
	g.Go(func() error { return announcer.Run(ctx) })
	return g.Wait()
}
