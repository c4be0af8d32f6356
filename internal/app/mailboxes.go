package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"broadside/campaign"
	"broadside/internal/mailbox"
	"broadside/internal/mailbox/listener"
)

// poller returns what reads the configured mailboxes into a sink.
func (a *App) poller(sink mailbox.Sink) *mailbox.Poller {
	return mailbox.New(mailbox.Config{
		Mailboxes: a.Config.Feedback.Mailbox, Every: a.Config.Feedback.Every,
		Sink: sink, Register: a.Mailboxes, Log: a.log,
	})
}

// bounces is where messages from mailboxes and from feedback.listen go: the one place that says who stores them.
func (a *App) bounces() mailbox.Sink { return notIngested{} }

// PollMailboxes reads all mailboxes now, once.
func (a *App) PollMailboxes(ctx context.Context) []mailbox.Result {
	return a.poller(a.bounces()).Poll(ctx)
}

// readMailboxes reads the mailboxes until ctx ends.
func (a *App) readMailboxes(ctx context.Context) error {
	a.poller(a.bounces()).Run(ctx)
	return nil
}

// takeBounces takes bounces by SMTP and LMTP until ctx ends, where that is configured.
func (a *App) takeBounces(ctx context.Context) error {
	cfg := a.Config.Feedback
	if cfg.Listen == "" {
		return nil
	}

	domain, ok := campaign.Domain(cfg.ReturnPath)
	if !ok {
		return fmt.Errorf("listen for bounces: found feedback.return_path %q, expected a domain", cfg.ReturnPath)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for bounces (feedback.listen): %w", err)
	}
	a.log.Info("bounces are taken by SMTP and LMTP", "listen", ln.Addr().String(), "domain", domain)
	return listener.New(listener.Config{Domain: domain, Sink: a.bounces(), Log: a.log}).Run(ctx, ln)
}

// notIngested stores nothing and says so: the messages stay where they are.
type notIngested struct{}

func (notIngested) Ingest(context.Context, string, io.Reader) error {
	return errors.New("bounces are not stored by this version")
}
