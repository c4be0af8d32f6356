package outgoing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/crash"
	"broadside/internal/outage"
	"broadside/internal/report"
)

const (
	// lookEvery is how often the runs are looked at.
	lookEvery = 2 * time.Second
	// tellerTime is how long the right to tell lasts without renewal. When a process dies
	// another one goes on after that.
	tellerTime = 15 * time.Second
	// scanEvery is how often the recipients of a run that goes on are looked through for
	// bounces. A part of a million has 5 MB of states.
	scanEvery = 10 * time.Second
	// bouncesAtOnce is how many bounces of a run go to a receiver's queue in one round.
	bouncesAtOnce = 1000
	// erasedDomain is the domain that `person erase` leaves in place of an address.
	erasedDomain = "erased.invalid"
)

// AnnouncerConfig is what an Announcer needs.
type AnnouncerConfig struct {
	Ledger  *ledger.Ledger
	Missed  MissedOccurrences
	Summary func(ctx context.Context, run string) (report.Run, error)
	Outbox  *Outbox
	Log     *slog.Logger
}

// MissedOccurrences are those of schedules that others are still to be told of.
type MissedOccurrences interface {
	Untold(ctx context.Context) ([]campaign.MissedOccurrence, error)
	NoteTold(ctx context.Context, o campaign.MissedOccurrence) error
}

// An Announcer reads in the ledger what became of runs, and of schedules what was missed,
// and tells it.
type Announcer struct {
	cfg    AnnouncerConfig
	holder string
	crash  *crash.Reporter
	fails  *outage.Notice

	scanned map[scan]scanState // of the rounds before
}

// A scan is the search for the bounces of one run, for one receiver.
type scan struct{ receiver, run string }

type scanState struct {
	at      time.Time
	bounced int64 // by the counts, when everybody was told about who had bounced by then
	done    bool
}

// NewAnnouncer returns an announcer.
func NewAnnouncer(cfg AnnouncerConfig) *Announcer {
	return &Announcer{
		cfg: cfg, holder: rand.Text(), crash: crash.NewReporter(cfg.Log), scanned: map[scan]scanState{},
		fails: outage.NewNotice(cfg.Log, "what runs went through cannot be told now", "what runs went through is told again"),
	}
}

// Run tells until ctx ends. Of several processes one does.
func (a *Announcer) Run(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		err := a.safely(ctx)
		if ctx.Err() == nil {
			a.fails.Note(err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_, _ = a.cfg.Ledger.Teller(leave, a.holder, 0) // it ends by itself, too
			return nil
		}
	}
}

// safely is round; a panic in it is trouble with this round alone.
func (a *Announcer) safely(ctx context.Context) (err error) {
	defer a.crash.Recover(func(c *crash.Fault) { err = c })
	return a.round(ctx)
}

// round tells what is new, once. Trouble with one run does not keep the others untold.
func (a *Announcer) round(ctx context.Context) error {
	held, err := a.cfg.Ledger.Teller(ctx, a.holder, tellerTime)
	if err != nil || !held {
		return err
	}
	untold, err := a.cfg.Ledger.Untold(ctx)
	if err != nil {
		return err
	}
	active, err := a.cfg.Ledger.Active(ctx)
	if err != nil {
		return err
	}

	errs := []error{a.tellMissed(ctx)}
	known := map[string]bool{}
	for _, id := range append(active, untold...) {
		if known[id] {
			continue
		}
		known[id] = true
		if held, err := a.cfg.Ledger.Teller(ctx, a.holder, tellerTime); err != nil || !held {
			return errors.Join(append(errs, err)...)
		}
		if err := a.tell(ctx, id, slices.Contains(untold, id)); err != nil {
			errs = append(errs, fmt.Errorf("tell about run %s: %w", id, err))
		}
	}
	maps.DeleteFunc(a.scanned, func(s scan, _ scanState) bool { return !known[s.run] })
	return errors.Join(errs...)
}

// tellMissed tells which occurrences of schedules were missed. After a crash between the
// two steps the same event is told once more.
func (a *Announcer) tellMissed(ctx context.Context) error {
	all, err := a.cfg.Missed.Untold(ctx)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Campaign != "" && a.cfg.Outbox.Wants(campaign.WebhookRunMissed) {
			e, err := ofMissed(a.cfg.Outbox.namespace, o)
			if err != nil {
				return err
			}
			if err := a.cfg.Outbox.announceRun(ctx, e); err != nil {
				return err
			}
		}
		if err := a.cfg.Missed.NoteTold(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// tell tells what is new of one run. over: the run is on the list of those that ended.
func (a *Announcer) tell(ctx context.Context, id string, over bool) error {
	rec, err := a.cfg.Ledger.Record(ctx, id)
	if over && (errors.Is(err, ledger.ErrNoRun) || campaign.IsBroken(err)) {
		a.cfg.Log.WarnContext(ctx, "the end of a run is not told by webhook: its record is gone or cannot be read", "run", id)
		return a.cfg.Ledger.RemoveUntold(ctx, id)
	}
	if campaign.IsBroken(err) {
		return nil // `run list` shows it
	}
	if errors.Is(err, ledger.ErrNoRun) {
		return nil // it is being made, or has expired
	}
	if err != nil {
		return err
	}

	if err := a.tellTurns(ctx, rec); err != nil {
		return err
	}
	// Its feeder may have died, or have been a launch that waited for no more than that.
	if ended(rec) {
		if err := a.tellEnd(ctx, rec); err != nil {
			return err
		}
	}
	told, err := a.tellBounces(ctx, rec, over)
	if err != nil || !told || !over {
		return err
	}
	return a.cfg.Ledger.RemoveUntold(ctx, id)
}

// ended reports whether everybody in a run has an outcome. A cancelled run may still have
// messages on the wire.
func ended(rec *ledger.Record) bool {
	return rec.State.Over() && (rec.State != campaign.RunCancelled || !rec.Finished.IsZero())
}

// tellTurns tells that a run was stopped.
func (a *Announcer) tellTurns(ctx context.Context, rec *ledger.Record) error {
	turns := rec.Telling.Turns
	if len(turns) == 0 {
		return nil
	}
	if a.cfg.Outbox.Wants(campaign.WebhookRunPaused, campaign.WebhookRunHeld) {
		run, err := a.cfg.Summary(ctx, rec.ID)
		if err != nil {
			return err
		}
		for _, turn := range turns {
			e, err := ofTurn(a.cfg.Outbox.namespace, run, turn, turn.At)
			if err != nil {
				return err
			}
			if err := a.cfg.Outbox.announceRun(ctx, e); err != nil {
				return err
			}
		}
	}
	return a.cfg.Ledger.NoteTurnTold(ctx, rec.ID, turns[len(turns)-1].Number)
}

// tellEnd tells that a run is over.
func (a *Announcer) tellEnd(ctx context.Context, rec *ledger.Record) error {
	if rec.EndTold() {
		return nil
	}
	if a.cfg.Outbox.Wants(typeOf(rec.State)) {
		run, err := a.cfg.Summary(ctx, rec.ID)
		if err != nil {
			return err
		}
		e, err := ofEnd(a.cfg.Outbox.namespace, run, a.cfg.Outbox.now())
		if err != nil {
			return err
		}
		if err := a.cfg.Outbox.announceRun(ctx, e); err != nil {
			return err
		}
	}
	return a.cfg.Ledger.NoteEndTold(ctx, rec)
}

// tellBounces tells who of a run bounced while it was sent, to each receiver that wants
// to know. It reports whether all of them know all.
func (a *Announcer) tellBounces(ctx context.Context, rec *ledger.Record, over bool) (all bool, err error) {
	run := rec.Handle()
	if run == nil || !a.cfg.Outbox.Wants(campaign.WebhookBounced) {
		return true, nil
	}
	tally, err := a.cfg.Ledger.Counts(ctx, rec.ID)
	if err != nil {
		return false, err
	}

	all = true
	bounced := tally.Counts[campaign.Bounced]
	for _, w := range a.cfg.Outbox.receivers {
		name := scan{w.ID(), rec.ID}
		before := a.scanned[name]
		switch {
		case !w.Wants(campaign.WebhookBounced), bounced == 0, before.done && before.bounced == bounced:
			continue
		case before.done && !over && time.Since(before.at) < scanEvery:
			all = false
			continue
		}

		b := &bounces{announcer: a, rec: rec, run: run, to: w}
		done, err := b.tell(ctx, tally)
		if err != nil {
			return false, err
		}
		a.scanned[name] = scanState{at: time.Now(), bounced: bounced, done: done}
		all = all && done
	}
	return all, nil
}

// bounces tells one receiver about the bounces of one run, once.
type bounces struct {
	announcer *Announcer
	rec       *ledger.Record
	run       *ledger.Run
	to        configs.Webhook
	room      int // for how many more events there is room in this round
}

// tell tells about those who are not told yet, as far as there is room, and reports
// whether these were all.
func (b *bounces) tell(ctx context.Context, tally *ledger.Tally) (done bool, err error) {
	room, err := b.announcer.cfg.Outbox.room(ctx, b.to)
	if err != nil {
		return false, err
	}
	if room == 0 {
		return false, nil
	}
	b.room = min(room, bouncesAtOnce)

	done = true
	for _, p := range b.run.Sizes {
		if tally.Parts[p.Part][campaign.Bounced] == 0 {
			continue
		}
		part, err := b.tellPart(ctx, p)
		if err != nil {
			return false, err
		}
		done = done && part
	}
	return done, nil
}

func (b *bounces) tellPart(ctx context.Context, p ledger.PartSize) (done bool, err error) {
	l := b.announcer.cfg.Ledger
	told, err := l.Told(ctx, b.run, b.to.ID(), p.Part)
	if err != nil {
		return false, err
	}
	// Of those who were uncertain a message has come back: that was told when it came.
	later, err := l.CameBack(ctx, b.run, campaign.EventBounced, p.Part)
	if err != nil {
		return false, err
	}

	done = true
	changed := false
	var now []ledger.Place
	for page := 0; page*ledger.PageCells < p.Size; page++ {
		cells, err := l.Page(ctx, b.run, p.Part, page)
		if ledger.Gone(err) {
			break // of a run that is being removed
		}
		if err != nil {
			return false, err
		}
		for i, cell := range cells {
			index := page*ledger.PageCells + i
			switch {
			case cell.State != campaign.Bounced || told.Has(index):
			case later.Has(index):
				told = told.With(index)
				changed = true
			case len(now) < b.room:
				now = append(now, ledger.Place{Part: p.Part, Index: index})
				told = told.With(index)
				changed = true
			default:
				done = false
			}
		}
	}

	if !changed {
		return done, nil
	}
	b.room -= len(now)
	if err := b.put(ctx, now); err != nil {
		return false, err
	}
	return done, l.NoteTold(ctx, b.run, b.to.ID(), p.Part, told)
}

// put puts the bounces of some recipients into the queue of the receiver.
func (b *bounces) put(ctx context.Context, places []ledger.Place) error {
	if len(places) == 0 {
		return nil
	}
	replies, err := b.announcer.cfg.Ledger.RepliesOf(ctx, b.run, places)
	if err != nil {
		return err
	}

	var all []campaign.RecipientEvent
	gone := 0
	var chunk *audience.Chunk
	first := -1
	for i, at := range places {
		if begins := at.Index - at.Index%audience.ChunkSize; begins != first {
			first = begins
			if chunk, err = b.chunk(ctx, at.Part, first); err != nil {
				return err
			}
		}
		if chunk == nil || at.Index-first >= chunk.Len() {
			gone++
			continue
		}

		who := chunk.Row(at.Index - first).Address
		if who.Domain == erasedDomain {
			continue
		}
		reply := replies[i]
		e := campaign.RecipientEvent{
			Event: campaign.WebhookBounced, Run: b.rec.ID, Part: at.Part, Index: at.Index,
			Address: who.String(), Topic: b.rec.Topic, Account: reply.Account,
			Code: reply.Code, Enhanced: reply.Enhanced, Reply: reply.Text,
			Permanent: true, At: reply.At, Source: "smtp",
		}
		if e.At.IsZero() {
			e.At = b.announcer.cfg.Outbox.now()
		}
		all = append(all, e)
	}

	if gone > 0 {
		b.announcer.cfg.Log.WarnContext(ctx, "bounces were not told by webhook: the addresses of their run are not kept any more",
			"run", b.rec.ID, "recipients", gone, "webhook", b.to.String())
		if err := b.announcer.cfg.Outbox.register.dropped(ctx, b.to, gone); err != nil {
			return err
		}
	}
	events, err := b.announcer.cfg.Outbox.eventsOf(all)
	if err != nil {
		return err
	}
	return b.announcer.cfg.Outbox.put(ctx, b.to, events)
}

// chunk returns the recipients of a part from one on; nil when the addresses of the run
// are not kept any more.
func (b *bounces) chunk(ctx context.Context, part, first int) (*audience.Chunk, error) {
	data, err := b.announcer.cfg.Ledger.Chunk(ctx, b.run, part, first)
	if ledger.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		return nil, fmt.Errorf("decode recipients of run %s: %w", b.run.ID, err)
	}
	return chunk, nil
}
