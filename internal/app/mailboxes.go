package app

import (
	"context"
	"fmt"
	"net"
	"sync"

	"broadside/campaign"
	"broadside/internal/mailbox"
	"broadside/internal/mailbox/listener"
)

// poller returns what reads the configured mailboxes.
func (a *App) poller(sink mailbox.Sink) *mailbox.Poller {
	return mailbox.New(mailbox.Config{
		Mailboxes: a.Config.Feedback.Mailbox, Every: a.Config.Feedback.Every,
		Sink: sink, Register: a.Mailboxes, Tokens: a.Tokens, Quarantined: a.Feedback.Quarantined, Log: a.log,
	})
}

// PollMailboxes reads all mailboxes now, once.
func (a *App) PollMailboxes(ctx context.Context) []mailbox.Result {
	return a.poller(bounces{a.recorder()}).Poll(ctx)
}

// readMailboxes reads the mailboxes until ctx ends.
func (a *App) readMailboxes(ctx context.Context) error {
	recorder := a.recorder()
	var replays sync.WaitGroup
	replays.Go(func() { recorder.Run(ctx) })
	defer replays.Wait()
	a.poller(bounces{recorder}).Run(ctx)
	return nil
}

// takeBounces takes bounces by SMTP and LMTP until ctx ends, where that is configured.
func (a *App) takeBounces(ctx context.Context, sink mailbox.Sink) error {
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
	return listener.New(listener.Config{Domain: domain, Sink: sink, Log: a.log}).Run(ctx, ln)
}
