package throttle

import (
	"context"
	"fmt"
	"time"
)

// What acquire.lua answers, beside 0 for an account at its limit.
const (
	granted = 1
	kept    = -1
)

const (
	// grace is how long the shares of workers that do not ask for them are kept:
	// at the beginning of a run each of them is about to.
	grace = 2 * time.Second
	// pressGap is how long a worker may pause between two requests and still
	// counts as wanting more than its share all the time.
	pressGap = time.Second
)

// A patience is since when one worker wants more than its share of an account.
type patience struct {
	began, latest time.Time // zero: it does not
}

// press notes that what the worker asked for is kept for others.
func (p *patience) press(now time.Time) {
	if p.began.IsZero() {
		p.began = now
	}
	p.latest = now
}

// settle ends the wish of a worker that holds no more than its share and has not
// asked for more lately: the next time it waits anew.
func (p *patience) settle(now time.Time, held, share int) {
	if held <= share && now.Sub(p.latest) > pressGap {
		*p = patience{}
	}
}

// over reports whether the others have had the time to ask for their shares.
func (p *patience) over(now time.Time) bool {
	return !p.began.IsZero() && now.Sub(p.began) >= grace
}

// silent is for how many other workers a share must be kept even if they do not
// ask for it, and how much of it at most. A process that has just begun cannot know
// who begins beside it: it leaves one connection, with which the other can go on if
// this one dies, and a few seconds later the list of workers has both.
func (c *Conns) silent(h *holding, now time.Time, limit, workers int) (others, most int) {
	workers = max(workers, 1)
	h.patience.settle(now, h.count, max(1, limit/workers))
	if h.patience.over(now) {
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
		return false, 0, fmt.Errorf("ask who waits for a connection of account %s: %w", account, err)
	}
	if len(answer) != 2 {
		return false, 0, fmt.Errorf("ask who waits for a connection of account %s: found %d numbers, expected 2", account, len(answer))
	}
	return answer[0] == 1, int(answer[1]), nil
}
