package sender

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/crash"
	"broadside/internal/outage"
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
	cfg      Config
	crash    *crash.Reporter
	runs     *runs
	returns  *returns
	accounts map[string]*account

	mu     sync.Mutex
	inHand map[recipientKey]bool // recipients between task and outcome: twins are dropped

	reading, claiming, recording *outage.Notice // of tasks, of recipients, of outcomes

	end atomic.Pointer[time.Time] // of the shutdown under way
}

// New returns a Worker.
func New(cfg Config) *Worker {
	w := &Worker{
		cfg: cfg, crash: crash.NewReporter(cfg.Log), runs: newRuns(cfg.Ledger, cfg.Keys, cfg.Log), returns: newReturns(cfg.Line, cfg.Log),
		accounts: map[string]*account{}, inHand: map[recipientKey]bool{},
		reading:   outage.NewNotice(cfg.Log, "tasks are dropped, their recipients are issued again later", "tasks are taken again"),
		claiming:  outage.NewNotice(cfg.Log, "recipients cannot be claimed, nothing is sent meanwhile", "recipients can be claimed again"),
		recording: outage.NewNotice(cfg.Log, "outcomes cannot be recorded yet", "outcomes are recorded again"),
	}
	if w.cfg.Rest == 0 {
		w.cfg.Rest = 3 * time.Second
	}
	if w.cfg.Ready == nil {
		w.cfg.Ready = context.Cause
	}
	for _, way := range cfg.Ways {
		w.accounts[way.Name] = newAccount(w, way)
	}
	return w
}

// Run works until ctx ends. Then it stops taking tasks, gives back what waits,
// lets the bodies on the wire finish within Drain, settles and closes its
// connections within Rest: whoever does not answer by then is left alone.
func (w *Worker) Run(ctx context.Context) error {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	hard, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() {
		last := time.Now().Add(w.cfg.Drain + w.cfg.Rest)
		w.end.Store(&last)
		time.AfterFunc(w.cfg.Drain, end)
	})
	defer stop()

	var background, senders sync.WaitGroup
	tending, stopTending := context.WithCancel(hard)
	defer stopTending()
	background.Go(func() { w.returns.run(tending) })
	background.Go(func() {
		w.runs.watch(tending, func(r *run, reason string) {
			if codes.Of(reason) == codes.SameFailure {
				w.reopen(tending, r) // another worker has seen one too many
			}
			w.stopped(r)
		})
	})
	for _, a := range w.accounts {
		background.Go(func() { a.pool.Run(tending) })
		background.Go(func() { a.tend(tending) })
		for range a.cfg.Connections {
			senders.Go(func() { a.serve(ctx, hard) })
		}
	}
	err := w.cfg.Tasks(ctx, w.handle)
	quit() // also when there are no tasks to be had any more
	for _, a := range w.accounts {
		a.release(0, func(*item) bool { return true })
	}
	senders.Wait()
	for _, a := range w.accounts {
		a.release(0, func(*item) bool { return true }) // what came back meanwhile
	}
	stopTending()
	background.Wait()
	last, cancel := w.within(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if err := w.returns.flush(last); err != nil {
		w.cfg.Log.Warn("some recipients could not be given back: they are issued again later", "err", err)
	}
	for _, a := range w.accounts {
		a.pool.Close(last)
	}
	return err
}

// within bounds a step by limit, and by what is left of a shutdown.
func (w *Worker) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(limit)
	if end := w.end.Load(); end != nil && end.Before(until) {
		until = *end
	}
	return context.WithDeadline(ctx, until)
}

// handle takes one task. It never waits for a lane. A panic drops it.
func (w *Worker) handle(ctx context.Context, t campaign.Task) {
	var it *item
	defer w.crash.Recover(func(*crash.Fault) {
		if it != nil {
			w.drop(it)
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
		w.returns.add(ref, 0)
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
	it = &item{run: r, ref: ref, row: row, person: ledger.Person{
		Topic: r.topic, Hash: suppression.Key(keyOf(row.Address.Hash())),
	}}
	if !w.hold(it) {
		return
	}
	if delay, ok := w.offer(it); !ok {
		w.giveBack(it, delay)
	}
}

func keyOf(hash [32]byte) (k [16]byte) {
	copy(k[:], hash[:])
	return k
}

// offer binds the item to one of the run's accounts whose lane is open and has
// room, drawn at random; else it returns when to try again.
func (w *Worker) offer(it *item) (time.Duration, bool) {
	names := it.run.accounts
	wait := 30 * time.Second // of an account that this process does not know
	start := rand.IntN(len(names))
	for k := range names {
		a := w.accounts[names[(start+k)%len(names)]]
		if a == nil {
			continue
		}
		ok, delay := a.offer(it)
		if ok {
			return 0, true
		}
		wait = min(wait, delay)
	}
	return wait, false
}

// hold notes that an item is in this worker's hands; false for a twin.
func (w *Worker) hold(it *item) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inHand[it.key()] {
		return false
	}
	w.inHand[it.key()] = true
	return true
}

// drop lets go of an item about which there is nothing to say.
func (w *Worker) drop(it *item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.inHand, it.key())
}

// giveBack returns an item to the ledger, unclaimed.
func (w *Worker) giveBack(it *item, delay time.Duration) {
	w.drop(it)
	w.returns.add(it.ref, delay)
}

// stopped lets go of a run that is paused, cancelled or over.
func (w *Worker) stopped(r *run) {
	for _, a := range w.accounts {
		a.forget(r)
	}
}

// refuse records an outcome without a claim, as long as it takes Redis to
// answer. What cannot be recorded is tried again by the feeder. A failure that is one
// too many of its kind ends nobody: its run is paused instead.
func (w *Worker) refuse(ctx context.Context, it *item, o ledger.Outcome) {
	o, pause := it.run.failing.add(it.ref, o)
	if pause {
		w.pauseForFailures(ctx, it.run, o)
	}
	if o.State == campaign.Pending {
		w.giveBack(it, 0)
		return
	}
	defer w.drop(it)
	w.insist(ctx, it, func(ctx context.Context) error {
		_, err := w.cfg.Line.Refuse(ctx, it.ref, o)
		return err
	})
}

// settle records the outcome of a claim, as long as it takes Redis to answer.
// The journal has it too: what cannot be recorded here is made up by the heartbeat,
// or is uncertain when this process ends first.
func (w *Worker) settle(ctx context.Context, it *item, token string, o ledger.Outcome) {
	defer w.drop(it)
	w.insist(ctx, it, func(ctx context.Context) error {
		_, err := w.cfg.Line.Settle(ctx, it.ref, token, o)
		return err
	})
}

// insist tries until it succeeds or ctx ends, at least once: what is known at
// the very end of a shutdown is still recorded.
func (w *Worker) insist(ctx context.Context, it *item, try func(context.Context) error) {
	for {
		once, cancel := w.within(context.WithoutCancel(ctx), settleTime)
		err := try(once)
		cancel()
		w.recording.Note(err, "run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index)
		if err == nil || !sleep(ctx, settleRest) {
			return
		}
	}
}

// confirmDead counts a reply that speaks of a dead address and has to be confirmed
// so many times. The last one makes of the failure a bounce. A sign that Redis does
// not take is not counted: the next one will be.
func (w *Worker) confirmDead(ctx context.Context, it *item, wanted int, o ledger.Outcome) ledger.Outcome {
	if wanted < 2 || o.State != campaign.Failed {
		return o
	}
	once, cancel := w.within(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	confirmed, err := w.cfg.Suppression.Confirm(once, it.row.Address.Canonical(), wanted)
	if err != nil {
		w.cfg.Log.Warn("sign of a dead address is not counted", "run", it.ref.Run.ID, "part", it.ref.Part, "index", it.ref.Index, "err", err)
	}
	if confirmed {
		o.State = campaign.Bounced
	}
	return o
}

// suppress puts an address that does not exist on the suppression list, before
// its outcome is recorded: no crash between the two can lose it.
func (w *Worker) suppress(ctx context.Context, it *item) {
	w.insist(ctx, it, func(ctx context.Context) error {
		_, err := w.cfg.Suppression.Add(ctx, suppressionOf(it))
		return err
	})
}
