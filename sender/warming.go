package sender

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// heldEvery is how often a worker looks how many steps of a warm-up are not taken.
const heldEvery = time.Minute

// A Warming is how an account is warmed up: what became of its messages decides
// whether the next step is taken.
type Warming struct {
	Date func(now time.Time) string                                // names the day of a moment
	Held func(days map[string]throttle.Day, now time.Time) (n int) // how many steps were not taken
}

// warming is what a worker counts for the warm-up of an account.
type warming struct {
	counts throttle.Day // not written yet
	held   int
	read   time.Time
}

// warms counts an answer to a message for the warm-up.
func (a *account) warms(state campaign.State) {
	if a.cfg.Warming == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.warming.counts.Sent++
	if state == campaign.Deferred || state == campaign.Pending {
		a.warming.counts.Deferred++
	}
}

// warmUp writes what was counted, and now and then reads how many steps are not
// taken.
func (a *account) warmUp(ctx context.Context, days *throttle.Days, now time.Time) error {
	if a.cfg.Warming == nil {
		return nil
	}

	err := a.writeWarming(ctx, days, now)
	if err != nil || !a.warmingIsDue(now) {
		return err
	}

	all, err := days.Read(ctx, a.cfg.Name)
	if err == nil {
		a.hold(now, a.cfg.Warming.Held(all, now))
	}
	return err
}

// writeWarming writes what was counted. What Redis did not take is written with the
// next counts.
func (a *account) writeWarming(ctx context.Context, days *throttle.Days, now time.Time) error {
	a.mu.Lock()
	counts := a.warming.counts
	a.warming.counts = throttle.Day{}
	a.mu.Unlock()
	if counts == (throttle.Day{}) {
		return nil
	}

	err := days.Count(ctx, a.cfg.Name, a.cfg.Warming.Date(now), counts)
	if err != nil {
		a.mu.Lock()
		a.warming.counts.Sent += counts.Sent
		a.warming.counts.Deferred += counts.Deferred
		a.mu.Unlock()
	}
	return err
}

// warmingIsDue reports whether it is time to read how many steps are not taken: it is
// another day, or a while has gone by.
func (a *account) warmingIsDue(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	read := a.warming.read
	return a.cfg.Warming.Date(now) != a.cfg.Warming.Date(read) || now.Sub(read) >= heldEvery
}

// hold notes how many steps of the warm-up are not taken.
func (a *account) hold(now time.Time, held int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held > a.warming.held {
		a.log.Warn("step of the warm-up is not taken: too much was deferred or complained about", "steps_held", held)
	}
	a.warming.held = held
	a.warming.read = now
}
