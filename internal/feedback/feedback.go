// Package feedback applies what readers and servers report after a message was
// accepted. Only unsubscribes are handled so far: Apply refuses all other kinds.
//
// An event that [Recorder.Apply] has acknowledged is on the suppression list,
// and stays there. A store can forget what it acknowledged: the last second
// before a crash, or what a replica had not received when it took over. So a
// recorder remembers the events of its last ten minutes, at most 10,000 (one for
// each address and scope, however often it comes). Every second it asks which
// Redis it talks to. When that is another one it adds the events again, unless they
// were removed in the meantime. An event is lost only when Redis and every process
// that acknowledged it die within the same second.
package feedback

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"broadside/campaign"
	"broadside/campaign/suppression"
)

const (
	addWithin   = 5 * time.Second // for the suppression
	countWithin = 2 * time.Second // for the counter of the run
)

// A Suppressor adds to the suppression list; *suppression.Store is one.
type Suppressor interface {
	AddLasting(ctx context.Context, b suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error)
	Replay(ctx context.Context, b suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error)
}

// A Counter counts events for the report of a run; *ledger.Ledger is one.
type Counter interface {
	CountAfter(ctx context.Context, run string, kind campaign.EventKind) error
}

// Config is what a Recorder works with.
type Config struct {
	Suppression Suppressor
	Counter     Counter

	// Server says which Redis is behind the list, by an id that changes with each
	// of its starts, and what it offers against forgetting. Without it nothing is
	// replayed.
	Server func(context.Context) (id string, b suppression.Barrier, err error)

	Log *slog.Logger
}

// A Recorder applies events. It is safe for concurrent use.
type Recorder struct {
	suppression Suppressor
	counter     Counter
	replayer    *replayer
	log         *slog.Logger
}

// New returns a recorder.
func New(cfg Config) *Recorder {
	return &Recorder{
		suppression: cfg.Suppression,
		counter:     cfg.Counter,
		replayer:    newReplayer(cfg.Suppression, cfg.Server, cfg.Log),
		log:         cfg.Log,
	}
}

// Run replays what Redis has forgotten until ctx ends.
func (r *Recorder) Run(ctx context.Context) { r.replayer.run(ctx) }

// Apply suppresses the address of an event, and counts the event for its run if
// the address was not suppressed before. Without an error the suppression is in
// force, and will be. Neither ends with ctx: a reader who closes the page has
// pressed the button.
//
// An event that could not be counted is only logged: the suppression stands.
func (r *Recorder) Apply(ctx context.Context, e campaign.Event) error {
	entry, err := entryOf(e)
	if err != nil {
		return err
	}

	ctx = context.WithoutCancel(ctx)

	barrier, server := r.replayer.current()
	noted, err := r.add(ctx, barrier, entry)
	if err != nil {
		return err
	}

	entry.At = noted.At
	added := noted.Added > 0
	first := r.replayer.remember(ctx, entry, server, noted)

	if first || added {
		r.log.InfoContext(ctx, string(e.Kind), "run", e.Run, "topic", e.Topic, "source", e.Source, "new", added)
	}

	if added && e.Run != "" {
		r.count(ctx, e)
	}

	return nil
}

func (r *Recorder) add(ctx context.Context, b suppression.Barrier, e suppression.Entry) (suppression.Noted, error) {
	ctx, cancel := context.WithTimeout(ctx, addWithin)
	defer cancel()
	return r.suppression.AddLasting(ctx, b, e)
}

func (r *Recorder) count(ctx context.Context, e campaign.Event) {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	if err := r.counter.CountAfter(ctx, e.Run, e.Kind); err != nil {
		r.log.WarnContext(ctx, "event not counted for its run", "kind", string(e.Kind), "run", e.Run, "err", err)
	}
}

// entryOf returns the suppression that an event leads to.
func entryOf(e campaign.Event) (suppression.Entry, error) {
	if e.Kind != campaign.EventUnsubscribed {
		return suppression.Entry{}, fmt.Errorf("apply event %q from %s: expected %q", e.Kind, e.Source, campaign.EventUnsubscribed)
	}

	scope := suppression.All
	if e.Topic != "" {
		scope = suppression.Topic(e.Topic)
	}
	return suppression.Entry{
		Address: e.Recipient,
		Reason:  suppression.ReasonUnsubscribe,
		Scope:   scope,
		Source:  e.Source,
		Run:     e.Run,
		At:      e.At,
	}, nil
}
