// Package feedback records what readers and servers report after a message was
// accepted: unsubscribes, bounces, complaints, deliveries.
//
// What comes by any road, a bounce mailbox, a webhook, the page behind an unsubscribe
// link, is a [campaign.Notice], and all of them go through [Recorder.Record]. It finds
// out what the notice means, whose message it is about and what that is proven by; then
// it suppresses, settles and counts. When it returns nil, all of that is stored and will
// last. After an error nothing is lost if the notices come again: each step is
// idempotent, however often a notice comes and by how many roads.
//
//   - Only a proven notice suppresses: by a token of ours that only the message's
//     recipient could give back, or by the signature of a provider. A notice that
//     proves nothing is counted, and changes nothing.
//   - Blocked and delayed messages never suppress. Returned messages to an address that
//     may be in use suppress when they come again and again; those with a reply that the
//     rules want confirmed are counted together with such replies while sending.
//
// A suppression that was acknowledged stays on the list. A store can forget what it
// acknowledged: the last second before a crash, or what a replica had not received when
// it took over. So a recorder remembers the entries of its last ten minutes, at most
// 10,000 (one for each address and scope, however often it comes). Every second it asks
// which Redis it talks to. When that is another one it adds the entries again, unless
// they were removed in the meantime. An entry is lost only when Redis and every process
// that acknowledged it die within the same second.
package feedback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
)

// A Suppressor is the suppression list; *suppression.Store is one.
type Suppressor interface {
	AddLasting(ctx context.Context, b suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error)
	Replay(ctx context.Context, b suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error)
	ConfirmReturns(ctx context.Context, wanted []int, returns []suppression.Return) ([]bool, error)
	CountReturns(ctx context.Context, limit suppression.SoftLimit, returns []suppression.Return) ([]bool, error)
}

// A Ledger has the runs; *ledger.Ledger is one.
type Ledger interface {
	List(ctx context.Context, campaign string) ([]string, error)
	Record(ctx context.Context, id string) (*ledger.Record, error)
	Chunk(ctx context.Context, r *ledger.Run, part, first int) ([]byte, error)
	Left(ctx context.Context, r *ledger.Run, places []ledger.Place) ([]bool, error)
	CountAfter(ctx context.Context, r *ledger.Run, all []ledger.After) ([]bool, error)
}

// Config is what a Recorder works with.
type Config struct {
	Suppression Suppressor
	Ledger      Ledger

	// Keys open the tokens of messages and links. Without them only notices that are
	// signed are trusted.
	Keys *token.Keys

	// Judge says what a notice comes to, why, and how many messages like it make the
	// address dead (0: this one decides by itself); bounce.Judge with the reply rules is
	// one. Without it a notice is what it claims to be.
	Judge func(campaign.Notice) (class campaign.Class, reason string, confirm int)

	// Decode reads the notices out of a message that was mailed to us, for Ingest.
	Decode func(message io.Reader, envelope ...string) ([]campaign.Notice, error)

	// Soft says when returned messages to an address that may be in use are too many.
	// Zero: they never are.
	Soft suppression.SoftLimit

	// Complained is told the account of each message that a reader called spam. Without
	// it no one is told.
	Complained func(ctx context.Context, account string) error

	// Announcer tells others what came back; Marks shows what was told before. Without
	// them no one is told.
	Announcer Announcer
	Marks     Marks

	// Server says which Redis is behind the list, by an id that changes with each
	// of its starts, and what it offers against forgetting. Without it nothing is
	// replayed.
	Server func(context.Context) (id string, b suppression.Barrier, err error)

	// Journal keeps what came by which road. Without it no one can look.
	Journal *Journal

	Log *slog.Logger
}

// A Recorder records notices. It is safe for concurrent use.
type Recorder struct {
	cfg      Config
	runs     *runs
	people   *people
	replayer *replayer
	log      *slog.Logger
}

// New returns a recorder.
func New(cfg Config) *Recorder {
	if cfg.Judge == nil {
		cfg.Judge = func(n campaign.Notice) (campaign.Class, string, int) { return n.Class, string(n.Class), 0 }
	}
	return &Recorder{
		cfg:      cfg,
		runs:     newRuns(cfg.Ledger),
		people:   newPeople(cfg.Ledger),
		replayer: newReplayer(cfg.Suppression, cfg.Server, cfg.Log),
		log:      cfg.Log,
	}
}

// Run replays what Redis has forgotten until ctx ends.
func (r *Recorder) Run(ctx context.Context) { r.replayer.run(ctx) }

// Ingest records what a message says that was mailed to us; source is the road it came
// by, envelope the recipients of its envelope, if they are known. The error wraps that of
// Config.Decode when it is about the message itself.
func (r *Recorder) Ingest(ctx context.Context, source string, message io.Reader, envelope ...string) error {
	notices, err := r.cfg.Decode(message, envelope...)
	if err != nil {
		return fmt.Errorf("read message from %s: %w", source, err)
	}
	for i := range notices {
		notices[i].Source = source
	}
	return r.Record(ctx, notices)
}

// applyWithin bounds what Apply does for a reader who may have gone.
const applyWithin = 10 * time.Second

// Apply suppresses the address of an unsubscribe whose link was opened, and counts it for
// its run. Without an error the suppression is in force, and will be. Neither ends with
// ctx: a reader who closes the page has pressed the button.
//
// What could not be counted or told to others is only logged: the suppression stands.
func (r *Recorder) Apply(ctx context.Context, e campaign.Event) error {
	if e.Kind != campaign.EventUnsubscribed {
		return fmt.Errorf("apply event %q from %s: expected %q", e.Kind, e.Source, campaign.EventUnsubscribed)
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyWithin)
	defer cancel()

	f := &finding{
		notice: campaign.Notice{Source: e.Source, At: e.At, Recipient: e.Recipient}, came: time.Now(),
		class: campaign.ClassUnsubscribed, runID: e.Run, index: -1,
		address: e.Recipient, topic: e.Topic, trusted: true, proven: true,
	}
	err := r.suppress(ctx, []*finding{f})
	if err != nil {
		return err
	}

	if f.run, err = r.runs.record(ctx, e.Run); err == nil {
		err = errors.Join(r.announce(ctx, []*finding{f}), r.count(ctx, []*finding{f}))
	}
	err = errors.Join(err, r.addUp(ctx, []*finding{f}), r.note(ctx, []*finding{f}))
	if err != nil {
		r.log.WarnContext(ctx, "event not counted for its run", "kind", string(e.Kind), "run", e.Run, "err", err)
	}
	return nil
}
