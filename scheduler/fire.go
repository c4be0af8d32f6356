package scheduler

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/feed"
	"broadside/campaign/sources"
	"broadside/internal/crash"
	"broadside/internal/outage"
)

const (
	// pollEvery is how often a Firer looks for what is due.
	pollEvery = 250 * time.Millisecond
	// claimLease is how long an occurrence is left to a scheduler that gives
	// no sign of life.
	claimLease = 10 * time.Second
	// maxFirings is how many occurrences one Firer works on at once, each of a
	// different schedule.
	maxFirings = 4
	// troublePause is how long an occurrence that cannot be fired now has to wait.
	troublePause = 2 * time.Second
	// sourcePause is how long it waits when its audience, which is elsewhere, could not be
	// read: each try is a request to somebody's server.
	sourcePause = 15 * time.Second
	// roomPause is how long it waits when Redis has no memory for its run. It is
	// longer, because the whole audience is read before that is known.
	roomPause = 30 * time.Second
)

// What ends the firing of an occurrence before its run is ready.
var (
	ErrLate = errors.New("later than max_lateness")
	ErrGone = errors.New("the campaign was unscheduled")
	// ErrTaken: this process gave no sign for too long, another goes on.
	ErrTaken = errors.New("another scheduler has the occurrence")
)

// A Firing is an occurrence that this process makes a run of.
type Firing struct {
	Schedule
	Occurrence time.Time
	now        time.Time // when it was claimed
	holder     string
	told       bool // others are told when it is missed
}

// A Made is what finally became of an occurrence.
type Made struct {
	Run     string // empty: none was made
	Failure string // why the run could not be made ready; empty: it is
	Skipped string // why none was to be made; empty: one was
}

// Campaigns reads what a scheduled campaign is made from, when its time has come.
type Campaigns interface {
	// Open checks a campaign as it was stored, with its files, and opens its audience.
	Open(ctx context.Context, s *Schedule) (campaign.RunSpec, OpenInput, error)
	// IsFault reports whether an error is the fault of the campaign, its files or its
	// accounts, so that trying again would not help.
	IsFault(ctx context.Context, err error) bool
}

// An OpenInput is an Input that is closed after use.
type OpenInput struct {
	Input
	Close func()
}

// FirerConfig is what a Firer needs in addition to the schedules.
type FirerConfig struct {
	Maker     *Maker
	Campaigns Campaigns
	Told      bool // others are told what was missed
	Log       *slog.Logger
}

// A Firer fires each occurrence exactly once, however many Firers run. It claims an
// occurrence, makes its run, whose id follows from campaign and time and is taken
// once, and only then goes on to the next one. When a Firer dies in between, another
// one continues its work.
type Firer struct {
	schedules *Schedules
	cfg       FirerConfig
	// makeRun is MakeRun, except in tests.
	makeRun func(ctx context.Context, o Firing, renewClaim func(context.Context) error) (Made, error)
	pause   time.Duration // after trouble
	wake    chan struct{} // an occurrence was dealt with: the next may be due
	crash   *crash.Reporter

	mu       sync.Mutex
	troubled map[string]*outage.Notice // by schedule: those whose occurrence could not be fired; guarded by mu
}

// NewFirer returns a Firer.
func NewFirer(s *Schedules, cfg FirerConfig) *Firer {
	f := &Firer{
		schedules: s, cfg: cfg, pause: troublePause, wake: make(chan struct{}, 1),
		crash: crash.NewReporter(cfg.Log), troubled: map[string]*outage.Notice{},
	}
	f.makeRun = f.MakeRun
	return f
}

// Run fires until ctx ends. Trouble with Redis is logged once per change and
// waited out.
func (f *Firer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	busy := make(chan struct{}, maxFirings)
	notice := outage.NewNotice(f.cfg.Log, "schedules cannot be read", "schedules can be read again")
	for {
		err := f.poll(ctx, &wg, busy)
		if ctx.Err() != nil {
			return nil
		}
		notice.Note(err)
		if err != nil {
			pause(ctx, restAfter)
		}
		select {
		case <-t.C:
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// poll starts firing everything that is due, up to maxFirings at once.
func (f *Firer) poll(ctx context.Context, wg *sync.WaitGroup, busy chan struct{}) error {
	for {
		if ctx.Err() != nil {
			return ctx.Err() // what was just given back is for another process
		}
		select {
		case busy <- struct{}{}:
		default:
			return nil
		}

		firing, err := f.schedules.next(ctx, rand.Text())
		if campaign.IsBroken(err) {
			<-busy
			f.cfg.Log.Error("schedule cannot be fired", "err", err)
			continue // it stays claimed for a while: the others get their turn first
		}

		if err != nil || firing == nil {
			<-busy
			return err
		}

		firing.told = f.cfg.Told
		wg.Go(func() {
			defer func() {
				<-busy
				select {
				case f.wake <- struct{}{}:
				default:
				}
			}()
			f.fire(ctx, *firing)
		})
	}
}

// fire deals with one occurrence. After a panic its claim ends by itself.
func (f *Firer) fire(ctx context.Context, o Firing) {
	defer f.crash.Recover(nil, "campaign", o.ID, "occurrence", o.Occurrence)
	log := f.cfg.Log.With("campaign", o.ID, "occurrence", o.Occurrence)
	notice := f.notice(o.ID)
	began := time.Now()
	err := f.deal(ctx, o, log)
	if errors.Is(err, ErrGone) || errors.Is(err, ErrTaken) {
		f.forget(o.ID)
		log.Info("occurrence given up", "err", err)
		return
	}

	if err == nil {
		f.forget(o.ID)
		notice.Note(nil)
		return
	}

	// It stays due. The next scheduler goes on from where this one stopped.
	pause := f.pauseAfter(o, time.Since(began), err)
	trouble := address.Redact(err.Error())
	if ctx.Err() != nil {
		pause = 0
		trouble = ""
	} else {
		// What a server or a database says may have addresses in it.
		notice.Note(errors.New(trouble), "occurrence", o.Occurrence)
	}

	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := f.schedules.giveBack(late, o, pause, trouble); err != nil {
		log.Warn("claim of an occurrence could not be given back, it ends by itself", "err", err)
	}
}

// pauseAfter returns how long an occurrence waits after it could not be fired, some time
// after it was claimed. That is not longer than it may be late, when it is missed and
// recorded so.
func (f *Firer) pauseAfter(o Firing, tried time.Duration, err error) time.Duration {
	pause := f.pause
	_, ofSource := errors.AsType[*sources.Trouble](err)
	_, ofFeed := errors.AsType[*feed.Error](err)
	if ofSource || ofFeed {
		pause = sourcePause
	}
	if errors.Is(err, ErrNoRoom) {
		pause = roomPause
	}
	left := o.Timing.MaxLateness - o.now.Sub(o.Timing.LastMoment(o.Occurrence)) - tried
	return max(f.pause, min(pause, left))
}

// deal makes the run of an occurrence, unless it is too late or left out, and records
// what became of it.
func (f *Firer) deal(ctx context.Context, o Firing, log *slog.Logger) error {
	skipped, err := f.schedules.Skipped(ctx, o.ID, o.Occurrence)
	if err != nil {
		return err
	}
	if skipped[0] {
		return f.skip(ctx, o, log)
	}

	made, err := f.make(ctx, o)
	switch {
	case err == nil:
		return f.done(ctx, o, made, log)
	case errors.Is(err, ErrLate):
		return f.miss(ctx, o, log)
	}
	return err
}

// notice returns the Notice that logs, over several tries, that occurrences of a
// campaign cannot be fired.
func (f *Firer) notice(id string) *outage.Notice {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.troubled[id]
	if n == nil {
		n = outage.NewNotice(f.cfg.Log.With("campaign", id), "occurrence cannot be fired now", "occurrence was dealt with")
		f.troubled[id] = n
	}
	return n
}

func (f *Firer) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.troubled, id)
}

// make makes the run, and renews the claim while it does. When ctx ended before the
// claim was answered, it makes nothing.
func (f *Firer) make(ctx context.Context, o Firing) (Made, error) {
	if err := context.Cause(ctx); err != nil {
		return Made{}, err
	}

	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(f.schedules.lease / 4)
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
			if err := f.schedules.renewClaim(ctx, o); errors.Is(err, ErrGone) || errors.Is(err, ErrTaken) {
				stop(err)
				return
			}
		}
	})
	made, err := f.safely(ctx, o)
	stop(nil)
	wg.Wait()
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, ErrGone) || errors.Is(cause, ErrTaken)) {
		err = cause
	}

	return made, err
}

// safely is makeRun; a panic in it is trouble with this occurrence alone.
func (f *Firer) safely(ctx context.Context, o Firing) (made Made, err error) {
	defer f.crash.Recover(func(c *crash.Fault) { err = c }, "campaign", o.ID, "occurrence", o.Occurrence)
	return f.makeRun(ctx, o, func(ctx context.Context) error { return f.schedules.renewClaim(ctx, o) })
}

func (f *Firer) done(ctx context.Context, o Firing, made Made, log *slog.Logger) error {
	next, err := o.Timing.Next(o.Occurrence)
	if err != nil {
		return err
	}

	entry := Occurrence{At: o.Occurrence, Outcome: Fired, Run: made.Run, Reason: made.Failure}
	if made.Failure != "" {
		entry.Outcome = Failed
	}
	if made.Skipped != "" {
		entry = Occurrence{At: o.Occurrence, Outcome: Skipped, Reason: made.Skipped}
	}

	kept, err := f.schedules.record(ctx, o, entry, next)
	switch {
	case err != nil || !kept:
	case made.Failure != "":
		log.Warn("occurrence failed, nothing was sent", "run", made.Run, "reason", made.Failure)
	case made.Skipped != "":
		log.Info("occurrence skipped, nothing was sent", "reason", made.Skipped)
	default:
		log.Info("occurrence fired", "run", made.Run)
	}

	return err
}

func (f *Firer) miss(ctx context.Context, o Firing, log *slog.Logger) error {
	now, err := f.schedules.Now(ctx)
	if err != nil {
		return err
	}

	e, err := f.schedules.Get(ctx, o.ID)
	if err != nil {
		if errors.Is(err, ErrNoSchedule) {
			return nil
		}
		return err
	}

	entry, next, err := missed(o.Timing, o.Occurrence, now, e.Trouble)
	if err != nil {
		return err
	}

	kept, err := f.schedules.record(ctx, o, entry, next)
	if kept {
		log.Warn("occurrence missed, nothing was sent", "times", entry.Times(), "reason", entry.Reason)
	}

	return err
}

// next claims the first due occurrence; nil when nothing is due.
func (s *Schedules) next(ctx context.Context, holder string) (*Firing, error) {
	res, err := s.claim.Run(ctx, s.rdb, []string{s.key("due")}, holder, s.lease.Milliseconds(), s.of("")).Slice()
	if err != nil {
		return nil, fmt.Errorf("claim an occurrence: %w", err)
	}

	if len(res) == 0 {
		return nil, nil
	}

	text := func(i int) string { t, _ := res[i].(string); return t }
	now, _ := res[3].(int64)
	o := &Firing{Occurrence: fromMillis(text(2)), now: time.UnixMilli(now).UTC(), holder: holder}
	if err := json.Unmarshal([]byte(text(4)), &o.Schedule); err != nil {
		return nil, &campaign.BrokenError{What: "schedule " + text(0), Key: s.of(text(0)), Err: err}
	}

	return o, nil
}

// renewClaim renews the claim, and returns an error when the occurrence must not be
// fired any more.
func (s *Schedules) renewClaim(ctx context.Context, o Firing) error {
	res, err := s.hold.Run(ctx, s.rdb, []string{s.of(o.ID)}, o.holder, s.lease.Milliseconds()).Int64Slice()
	if err != nil {
		return fmt.Errorf("keep an occurrence of %s: %w", o.ID, err)
	}

	switch {
	case res[0] < 0:
		return ErrGone
	case res[0] == 0:
		return ErrTaken
	case time.UnixMilli(res[1]).Sub(o.Timing.LastMoment(o.Occurrence)) > o.Timing.MaxLateness:
		return ErrLate
	}

	return nil
}

func (s *Schedules) giveBack(ctx context.Context, o Firing, pause time.Duration, trouble string) error {
	if err := s.release.Run(ctx, s.rdb, []string{s.of(o.ID)}, o.holder, pause.Milliseconds(), trouble).Err(); err != nil {
		return fmt.Errorf("give back an occurrence of %s: %w", o.ID, err)
	}
	return nil
}

// record records what became of an occurrence, and goes on to next; the zero
// time ends the schedule. It reports false when the claim was lost: then
// another has recorded it, or will.
func (s *Schedules) record(ctx context.Context, o Firing, entry Occurrence, next time.Time) (bool, error) {
	var err error
	if entry.Recorded.IsZero() {
		if entry.Recorded, err = s.Now(ctx); err != nil {
			return false, err
		}
	}

	text, err := json.Marshal(entry)
	if err != nil {
		return false, fmt.Errorf("record an occurrence of %s: %w", o.ID, err)
	}

	ms := ""
	if !next.IsZero() {
		ms = fmt.Sprint(next.UnixMilli())
	}

	run := entry.Run
	if entry.Outcome != Fired {
		run = ""
	}

	args := []any{o.ID, o.Version, o.holder, ms, text, keepOccurrences, run, entry.Outcome, entry.Times(), keepUntold}
	if o.told && entry.Outcome == Missed {
		untold, err := json.Marshal(missedOccurrence(o, entry))
		if err != nil {
			return false, fmt.Errorf("record an occurrence of %s: %w", o.ID, err)
		}
		args = append(args, untold)
	}
	n, err := s.settle.Run(ctx, s.rdb, []string{s.key("due"), s.of(o.ID), s.key("history:" + o.ID), s.untoldKey()}, args...).Int()
	if err != nil {
		return false, fmt.Errorf("record an occurrence of %s: %w", o.ID, err)
	}

	return n == 1, nil
}

// Late reports whether the occurrence was due longer ago than it may be sent.
func (f Firing) Late() bool {
	return f.now.Sub(f.Timing.LastMoment(f.Occurrence)) > f.Timing.MaxLateness
}
