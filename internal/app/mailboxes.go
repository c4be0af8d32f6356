package app

import (
	"context"
	"errors"
	"io"

	"broadside/internal/mailbox"
)

// poller returns what reads the configured mailboxes into a sink.
func (a *App) poller(sink mailbox.Sink) *mailbox.Poller {
	return mailbox.New(mailbox.Config{
		Mailboxes: a.Config.Feedback.Mailbox, Every: a.Config.Feedback.Every,
		Sink: sink, Register: a.Mailboxes, Log: a.log,
	})
}

// bounces is where messages from mailboxes go: the one place that says who stores them.
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

// notIngested stores nothing and says so: the messages stay where they are.
type notIngested struct{}

func (notIngested) Ingest(context.Context, string, io.Reader) error {
	return errors.New("bounces are not stored by this version")
}
