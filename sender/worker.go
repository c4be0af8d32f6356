package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/crash"
	"broadside/internal/outage"
	"broadside/sender/reply"
	"broadside/throttle"
)

// Config is what a Worker works with.
type Config struct {
	Ledger      *ledger.Ledger
	Line        *ledger.Line
	Member      *ledger.Member
	Suppression *suppression.Store
	Pacer       *throttle.Pacer
	Conns       *throttle.Conns
	Accounts    *throttle.Accounts
	Lanes       *throttle.Lanes
	Days        *throttle.Days
	Storm       StormLimit
	Rules       *reply.Rules // nil: the built-in ones
	Keys        *token.Keys
	Ways        []AccountConfig // the accounts of this process
	// Tasks serves tasks until its context ends, and has no handler under way
	// when it returns.
	Tasks func(ctx context.Context, handle func(context.Context, campaign.Task)) error
	// Ready waits while Redis refuses what sending needs, or until ctx ends, whose
	// error it returns: an envelope whose recipient cannot be claimed then costs a
	// connection. nil: it never does.
	Ready func(ctx context.Context) error
	// Drain is how long bodies on the wire may take after the end of Run's
	// context, before they are uncertain; Rest is how long it may then take to
	// say so and to close what is open, 3 s by default.
	Drain, Rest time.Duration
	Log         *slog.Logger
}

// A Worker takes recipients from the queue and sends to them.
type Worker struct {
	cfg        Config
	life       *lifetime
	crash      *crash.Reporter
	runs       *runs
	accounts   map[string]*account
	recipients *recipients

	reading, claiming *outage.Notice // of tasks, of recipients
}

// New returns a Worker.
func New(cfg Config) *Worker {
	if cfg.Rest == 0 {
		cfg.Rest = 3 * time.Second
	}
	if cfg.Ready == nil {
		cfg.Ready = context.Cause
	}

	w := &Worker{
		cfg: cfg, life: newLifetime(cfg.Drain, cfg.Rest), crash: crash.NewReporter(cfg.Log),
		runs: newRuns(cfg.Ledger, cfg.Keys, cfg.Log), accounts: map[string]*account{},
		reading:  outage.NewNotice(cfg.Log, "tasks are dropped, their recipients are issued again later", "tasks are taken again"),
		claiming: outage.NewNotice(cfg.Log, "recipients cannot be claimed, and nothing is sent", "recipients can be claimed again"),
	}
	for _, way := range cfg.Ways {
		w.accounts[way.Name] = newAccount(&w.cfg, w.life, way)
	}

	w.recipients = newRecipients(&w.cfg, w.life, w.accounts)
	return w
}

// Run works until ctx ends. Then it stops taking tasks, gives back what waits,
// lets the bodies on the wire finish within Drain, settles and closes its
// connections within Rest: a server that does not answer by then is left alone.
func (w *Worker) Run(ctx context.Context) error {
	life := w.life
	defer life.abandon()
	defer context.AfterFunc(ctx, life.end)()

	var background, senders sync.WaitGroup
	tending, stopTending := context.WithCancel(life.finish)
	defer stopTending()
	background.Go(func() { w.recipients.giveBacks.run(tending) })
	background.Go(func() { w.followRuns(tending) })
	background.Go(func() { w.followAccounts(tending) })
	for _, a := range w.accounts {
		background.Go(func() { a.route.pool.Run(tending) })
		background.Go(func() { w.giveBackStale(tending, a) })
		background.Go(func() { w.tend(tending, a) })
		for range a.cfg.Connections {
			senders.Go(func() { w.serve(a) })
		}
	}

	// A lane that is closed is known to be before the first recipient comes.
	err := w.readAccounts(ctx)
	if err != nil && ctx.Err() == nil {
		w.cfg.Log.Warn("the state of accounts and lanes cannot be read", "err", err)
	}
	err = w.cfg.Tasks(life.begin, w.handle)
	life.end() // also when there are no tasks to be had any more
	w.giveBackWaiting()
	senders.Wait()
	w.giveBackWaiting() // what the senders have put back
	stopTending()
	background.Wait()

	last, cancel := life.within(context.Background(), lastTime)
	defer cancel()
	if err := w.recipients.giveBacks.flush(last); err != nil {
		w.cfg.Log.Warn("some recipients could not be given back: they are issued again later", "err", err)
	}

	for _, a := range w.accounts {
		if err := a.writeWarming(last, w.cfg.Days, time.Now()); err != nil {
			a.log.Warn("messages of a warm-up could not be counted", "err", err)
		}
		a.route.pool.Close(last)
	}

	return err
}

// handle takes one task. It never waits for a lane. A panic drops it.
func (w *Worker) handle(ctx context.Context, t campaign.Task) {
	var rcpt *recipient
	defer w.crash.Recover(func(*crash.Fault) {
		if rcpt != nil {
			w.recipients.forget(rcpt)
		}
	}, "run", t.Run, "part", t.Part, "index", t.Index)
	r, err := w.runs.get(ctx, t.Run)
	if err != nil {
		if !ledger.Gone(err) && ctx.Err() == nil {
			w.reading.Note(err, "run", t.Run)
		}
		return
	}

	ref := ledger.Ref{Run: r.handle, Part: t.Part, Index: t.Index}
	if !r.running.Load() {
		w.recipients.giveBacks.add(ref, 0)
		return
	}

	row, err := w.runs.row(ctx, r, t.Part, t.Index)
	if err != nil {
		if ctx.Err() == nil {
			w.reading.Note(err, "run", t.Run)
		}
		return
	}

	w.reading.Note(nil)
	if wait := r.hours.wait(row.Values, time.Now()); wait > 0 {
		w.recipients.giveBacks.add(ref, wait)
		return
	}

	rcpt = &recipient{run: r, ref: ref, row: row, suppressionKey: ledger.SuppressionKey{
		Topic: r.topic, Hash: suppression.Key(keyOf(row.Address.Hash())), Domain: row.Address.Domain,
	}}
	if w.recipients.take(rcpt) {
		w.recipients.end(rcpt, w.recipients.offer(time.Now(), rcpt))
	}
}

func keyOf(hash [32]byte) (k [16]byte) {
	copy(k[:], hash[:])
	return k
}

// serve sends over one connection of an account until the lifetime ends.
func (w *Worker) serve(a *account) {
	d := w.newDelivery(a)
	for {
		if d.current == nil {
			rcpt, err := a.take(w.life.begin)
			if err != nil {
				return
			}
			d.begin(rcpt)
		}
		lane, probe := d.current.rcpt.lane, d.current.rcpt.probe // another one may be current afterwards
		d.began = time.Time{}
		d.attempt()
		a.leave(lane, probe, d.began, d.nextRecipient())
		a.cede(w.life.finish, lane)
		d.rest()
	}
}

func (w *Worker) newDelivery(a *account) *delivery {
	return &delivery{tools: tools{
		a: a, recipients: w.recipients, life: w.life, line: w.cfg.Line, member: w.cfg.Member,
		waitReady: w.cfg.Ready, claiming: w.claiming, crash: w.crash,
	}}
}

// followRuns lets go of the runs that are paused, cancelled or over, until ctx
// ends.
func (w *Worker) followRuns(ctx context.Context) {
	for sleep(ctx, stateEvery) {
		stopped, err := w.runs.refresh(ctx, time.Now())
		for _, s := range stopped {
			if codes.Of(s.reason) == codes.SameFailure {
				w.recipients.reopen(ctx, s.run) // another worker has seen one too many
			}
			w.recipients.halt(s.run)
		}
		if err != nil {
			sleep(ctx, settleRest)
		}
	}
}

// giveBackStale gives back what has waited too long for an account, and what a slow lane
// has no use for, until ctx ends.
func (w *Worker) giveBackStale(ctx context.Context, a *account) {
	for sleep(ctx, time.Second) {
		crowd, waits := a.crowd(time.Now())
		for i, rcpt := range crowd {
			w.recipients.end(rcpt, giveBack(waits[i]))
		}
		limit := time.Now().Add(-staleAfter)
		w.recipients.giveBackAll(a.drain(func(rcpt *recipient) bool { return rcpt.since.Before(limit) }), 0)
	}
}

// giveBackWaiting gives back what waits for any account.
func (w *Worker) giveBackWaiting() {
	for _, a := range w.accounts {
		w.recipients.giveBackAll(a.drain(all), 0)
	}
}
