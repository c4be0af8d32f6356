package throttle

import (
	"context"
	"fmt"
	"time"
)

// The answers of acquire.lua, in addition to 0 for an account at its limit.
const (
	granted       = 1
	keptForOthers = -1
)

const (
	// grace is how long the shares of workers that do not ask for them are kept:
	// at the beginning of a run each of them is about to.
	grace = 2 * time.Second
	// demandGap is how long a worker may pause between two requests and still
	// counts as wanting more than its share all the time.
	demandGap = time.Second
)

// A demand is the time for which a worker has wanted more than its share of an
// account; zero while it does not.
type demand struct {
	began, latest time.Time
}

// refused notes that what the worker asked for is kept for others.
func (d *demand) refused(now time.Time) {
	if d.began.IsZero() {
		d.began = now
	}
	d.latest = now
}

// expire ends the demand of a worker that holds no more than its share and has not
// asked for more lately. The next demand waits from its own beginning.
func (d *demand) expire(now time.Time, held, share int) {
	if held <= share && now.Sub(d.latest) > demandGap {
		*d = demand{}
	}
}

// due reports whether the others have had the time to ask for their shares.
func (d *demand) due(now time.Time) bool {
	return !d.began.IsZero() && now.Sub(d.began) >= grace
}

// kept returns for how many other workers a share is kept even if they do not ask
// for it, and how much of it at most. A process that has just begun cannot know
// which others begin at the same time: it leaves one connection, with which another
// can go on if this one dies. A few seconds later the list of workers has them all.
func (c *Conns) kept(h *holding, now time.Time, limit, workers int) (others, most int) {
	workers = max(workers, 1)
	h.demand.expire(now, h.count, max(1, limit/workers))
	if h.demand.due(now) {
		return 0, 0
	}

	if workers == 1 && now.Sub(c.began) < grace {
		return 1, 1
	}
	return workers - 1, limit
}

// Excess reports whether another worker was refused a connection of the account
// in the last 5 s: idle connections should then end soon. excess is by how many
// the worker is above its share of limit while those that wait are below theirs:
// so many of its connections should end at once, those in use after their messages.
func (c *Conns) Excess(ctx context.Context, account, worker string, limit int) (wanted bool, excess int, err error) {
	answer, err := c.excess.Run(ctx, c.rdb, c.keys(account), worker, limit).Int64Slice()
	if err != nil {
		return false, 0, fmt.Errorf("ask which workers wait for a connection of account %s: %w", account, err)
	}
	if len(answer) != 2 {
		return false, 0, fmt.Errorf("ask which workers wait for a connection of account %s: found %d numbers, expected 2", account, len(answer))
	}
	return answer[0] == 1, int(answer[1]), nil
}
