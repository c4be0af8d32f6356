package scheduler

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
	"broadside/internal/outage"
)

const (
	// leaseTime is how long a feeder's lease of a run lasts without renewal, which
	// comes every second at least. When a feeder dies the run stands still for no
	// longer than that and lookEvery: less than two seconds.
	leaseTime = 1500 * time.Millisecond
	// lookEvery is how often active runs are listed.
	lookEvery = 250 * time.Millisecond
	// recordWait is how long a run in the list of active ones may have no record.
	recordWait = 6 * time.Second
	// abandonedAfter is when an expansion that never became ready has failed:
	// what it wrote has expired by then.
	abandonedAfter = time.Hour
	// pruneEvery is how often the lists of runs lose those that have expired.
	pruneEvery = time.Hour
	// restAfter is the pause after trouble with Redis.
	restAfter = time.Second
)

// A Queue takes recipients for the workers.
type Queue interface {
	Enqueue(ctx context.Context, tasks []campaign.Task, issued time.Time) error
}

// FeederConfig is what a Feeder needs in addition to the ledger and the queue.
type FeederConfig struct {
	// ShutUntil returns until when none of a run's accounts takes the recipients of a
	// part; the zero time when one does.
	ShutUntil func(accounts []string, part int) time.Time
	// KeepRuns and KeepAddresses are the retention of runs that are over.
	KeepRuns, KeepAddresses time.Duration
	// Told is set where somebody is told of the ends of runs: they are put on a list.
	Told bool
	// High takes the recipients of runs of high priority; nil: all go to one queue.
	High Queue
	Log  *slog.Logger
}

// A Feeder feeds every active run whose lease it gets.
type Feeder struct {
	ledger *ledger.Ledger
	queue  Queue
	cfg    FeederConfig
	holder string
	crash  *crash.Reporter

	mu      sync.Mutex
	feeding map[string]bool
}

// NewFeeder returns a feeder.
func NewFeeder(l *ledger.Ledger, q Queue, cfg FeederConfig) *Feeder {
	return &Feeder{ledger: l, queue: q, cfg: cfg, holder: rand.Text(), crash: crash.NewReporter(cfg.Log), feeding: map[string]bool{}}
}

// Run feeds until ctx ends. Trouble with Redis is logged once per change and
// waited out.
func (f *Feeder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	listing := outage.NewNotice(f.cfg.Log, "runs cannot be listed", "runs can be listed again")
	var pruned time.Time
	for {
		if time.Since(pruned) > pruneEvery {
			pruned = time.Now()
			if err := f.ledger.Prune(ctx, pruned.Add(-f.cfg.KeepRuns)); err != nil && ctx.Err() == nil {
				f.cfg.Log.Warn("expired runs cannot be pruned now", "err", err)
			}
		}

		ids, err := f.ledger.Active(ctx)
		if ctx.Err() != nil {
			return nil
		}
		listing.Note(err)
		for _, id := range ids {
			if f.begin(id) {
				wg.Go(func() {
					defer f.end(id)
					f.attend(ctx, id)
				})
			}
		}

		if err != nil {
			pause(ctx, restAfter)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// attend feeds one run, through trouble too, until another feeder has it, it is
// over or ctx ends.
func (f *Feeder) attend(ctx context.Context, id string) {
	notice := outage.NewNotice(f.cfg.Log.With("run", id), "run cannot be fed now", "run is fed again")
	deaths := int64(-1) // seen so far: a worker that dies while Redis is away is still noticed
	for ctx.Err() == nil {
		err := f.safely(ctx, id, &deaths, notice)
		if err == nil || ctx.Err() != nil {
			return
		}
		notice.Note(err)
		pause(ctx, restAfter)
	}
}

// safely is feed; a panic in it is trouble with this run alone.
func (f *Feeder) safely(ctx context.Context, id string, deaths *int64, well *outage.Notice) (err error) {
	defer f.crash.Recover(func(c *crash.Fault) { err = c }, "run", id)
	return f.feed(ctx, id, deaths, well)
}

func (f *Feeder) begin(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feeding[id] {
		return false
	}
	f.feeding[id] = true
	return true
}

func (f *Feeder) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.feeding, id)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// feed feeds one run for as long as the lease is held and the run is active. It
// notes each round that went well, and in deaths how many workers were known to
// be dead by then; -1: it is not known.
func (f *Feeder) feed(ctx context.Context, id string, deaths *int64, well *outage.Notice) error {
	var s *sweep
	for ctx.Err() == nil {
		held, err := f.ledger.Lease(ctx, id, f.holder, leaseTime)
		if err != nil || !held {
			return err
		}

		rec, err := f.ledger.Record(ctx, id)
		if errors.Is(err, ledger.ErrNoRun) {
			return f.adopt(ctx, id)
		}
		if err != nil {
			return err
		}
		over, err := f.settleRun(ctx, rec)
		if err != nil || over {
			return err
		}

		wait := time.Second
		switch {
		case rec.State == campaign.Running && !rec.Window.Open(time.Now()):
			s = nil // as when it is paused
		case rec.State == campaign.Running:
			if s == nil {
				s = newSweep(rec)
				s.deaths = *deaths
			}

			wait, err = f.round(ctx, s, rec)
			if errors.Is(err, errDamaged) {
				wait, err = lookEvery, f.hold(ctx, rec.ID, err)
			}
			if err != nil {
				return err
			}
			if !s.forced() {
				*deaths = s.deaths
			}
		default:
			s = nil // what was remembered may be out of date by then
			if rec.State == campaign.Expanding {
				wait = lookEvery // its first message should not wait for us
			}
		}

		well.Note(nil)
		pause(ctx, wait)
	}

	return nil
}

// adopt drops a run without a record from the index. The record of a new run is
// written right after its entry in the index, or never.
func (f *Feeder) adopt(ctx context.Context, id string) error {
	pause(ctx, recordWait)
	if _, err := f.ledger.Record(ctx, id); !errors.Is(err, ledger.ErrNoRun) {
		return err
	}
	return f.ledger.Forget(ctx, id, campaign.OfRun(id))
}

// settleRun does what is due for a run as a whole: it finishes a cancellation,
// gives up an abandoned expansion, and retires a run that is over.
func (f *Feeder) settleRun(ctx context.Context, rec *ledger.Record) (over bool, err error) {
	switch rec.State {
	case campaign.Expanding:
		now, err := f.ledger.Now(ctx) // the clock that its record was made by
		if err != nil {
			return false, err
		}
		if now.Sub(rec.Created) > abandonedAfter {
			_, err := f.ledger.Turn(ctx, rec.ID, campaign.RunFailed, codes.Abandoned.Reason("the expansion was not completed"), campaign.Expanding)
			return false, err
		}
	case campaign.RunCancelled:
		if h := rec.Handle(); h != nil && rec.Finished.IsZero() {
			return false, f.sweepCancelled(ctx, h)
		}
		return true, f.retire(ctx, rec)
	case campaign.Finished, campaign.RunFailed:
		return true, f.retire(ctx, rec)
	}

	return false, nil
}

func (f *Feeder) retire(ctx context.Context, rec *ledger.Record) error {
	// First: once it is retired no one looks at it again.
	if f.cfg.Told {
		if err := f.ledger.AddUntold(ctx, rec.ID); err != nil {
			return err
		}
	}
	if err := f.ledger.Retire(ctx, rec, f.cfg.KeepRuns, f.cfg.KeepAddresses); err != nil {
		return err
	}

	tally, err := f.ledger.Counts(ctx, rec.ID)
	if err != nil {
		return err
	}

	f.cfg.Log.Info("run is over", "run", rec.ID, "state", string(rec.State), "reason", rec.Reason,
		"accepted", tally.Counts[campaign.Accepted], "bounced", tally.Counts[campaign.Bounced],
		"failed", tally.Counts[campaign.Failed], "suppressed", tally.Counts[campaign.Suppressed],
		"uncertain", tally.Counts[campaign.Uncertain], "cancelled", tally.Counts[campaign.Cancelled])
	return nil
}

// round issues what is due in each part, once, and returns how long to wait
// for the next round.
func (f *Feeder) round(ctx context.Context, s *sweep, rec *ledger.Record) (time.Duration, error) {
	deaths, err := f.ledger.Deaths(ctx)
	if err != nil {
		return 0, err
	}

	s.force(deaths)
	now, err := f.ledger.Now(ctx)
	if err != nil {
		return 0, err
	}

	tally, err := f.ledger.Counts(ctx, rec.ID)
	if err != nil {
		return 0, err
	}

	if paused, err := f.guard(ctx, s, rec, tally, now); err != nil || paused {
		return lookEvery, err
	}
	if err := s.counts.contradiction(s, tally.Counts, now); err != nil {
		return 0, err
	}

	busy := false
	more := false
	var issued [][]campaign.Task // by part
	var at time.Time
	for _, p := range s.parts {
		counts := tally.Parts[p.number]
		p.measure(counts, now)
		backlog := p.backlog()
		if !f.cfg.ShutUntil(rec.Accounts, p.number).IsZero() {
			backlog = 0
		}
		tasks, then, err := f.issue(ctx, s, p, backlog, int(counts[campaign.Issued]), now)
		if err != nil {
			return 0, err
		}

		if len(tasks) > 0 {
			issued = append(issued, tasks)
			at = then
		}

		more = more || p.more
		busy = busy || len(tasks) > 0 || counts[campaign.Issued] > 0 || counts[campaign.Sending] > 0
	}

	if tasks := mixed(issued); len(tasks) > 0 {
		if err := f.queueOf(rec).Enqueue(ctx, tasks, at); err != nil {
			return 0, fmt.Errorf("hand out %d recipients: %w", len(tasks), err)
		}
	}

	switch {
	case more: // a long list has many pages, and those that are due may be on the last
		return 2 * time.Millisecond, nil
	case busy:
		return 40 * time.Millisecond, nil
	}

	return 400 * time.Millisecond, nil
}

// queueOf returns the queue of a run.
func (f *Feeder) queueOf(rec *ledger.Record) Queue {
	if rec.High && f.cfg.High != nil {
		return f.cfg.High
	}
	return f.queue
}

// issue looks at one page of the part and hands out the recipients that are due there. It
// asks the ledger even when there is no recipient: the answer brings what was noted
// early.
func (f *Feeder) issue(ctx context.Context, s *sweep, p *partSweep, backlog, issued int, now time.Time) ([]campaign.Task, time.Time, error) {
	since := now.Sub(s.run.Created)
	room := backlog - issued
	forced := p.forced()
	// Below a quarter of the backlog another round trip is not worth it yet.
	if room < backlog/4 && !forced {
		room = 0
	}

	var ready []int
	page := p.next(since, forced)
	if page >= 0 {
		cells, err := f.page(ctx, s.run, p.number, page)
		if err != nil {
			return nil, now, err
		}
		ready = p.read(page, cells, since, room, forced, since >= s.expires)
		if err := p.unreadable.err(p.number); err != nil {
			return nil, now, err
		}
	}

	out, err := f.ledger.Issue(ctx, s.run, p.number, backlog, p.hold(backlog), forced, ready)
	if err != nil {
		return nil, now, err
	}

	s.note(out.Early)
	p.done(page)
	p.more = p.forced() || page >= 0 && len(ready) == 0 && room > 0 && p.waits(since) || since >= s.expires && len(ready) == maxExpired
	if len(out.Indexes) == 0 {
		return nil, now, nil
	}

	tasks := make([]campaign.Task, len(out.Indexes))
	for i, index := range out.Indexes {
		tasks[i] = campaign.Task{Run: s.run.ID, Part: p.number, Index: index}
	}

	return tasks, out.At, nil
}

// mixed lets parts take turns in proportion to their sizes: the queue is first
// in, first out, and a block of one part would make all others wait for it.
func mixed(parts [][]campaign.Task) []campaign.Task {
	total := 0
	longest := 0
	for _, p := range parts {
		total = total + len(p)
		longest = max(longest, len(p))
	}

	out := make([]campaign.Task, 0, total)
	for i := range longest {
		for _, p := range parts {
			// Position i of the longest is position i*len/longest of this one.
			for j := i * len(p) / longest; j < (i+1)*len(p)/longest; j++ {
				out = append(out, p[j])
			}
		}
	}

	return out
}
