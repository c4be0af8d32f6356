package app

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/scheduler"
)

const makeRoom = "raise maxmemory or take a larger plan, shorten retention.runs, or send in parts (--limit, then --exclude run:RUN); nothing was sent"

// room refuses a run that needs more of Redis' memory than there is, which
// would otherwise fail half way, and every other run with it.
func (a *App) room(ctx context.Context, bytes int64) error {
	m, err := a.store.Memory(ctx)
	if err != nil || m.Fits(bytes) {
		return err
	}
	limit := "maxmemory"
	if m.Machine {
		limit = "the memory of its machine"
	}
	return &kindError{ErrRefused, campaign.CodeRedisMemory.Reason(
		"the run needs about %s of Redis' memory and %s are free: %s of %s (%s) are in use, and a tenth is kept for outcomes and unsubscribes; %s",
		configs.FormatBytes(bytes), configs.FormatBytes(m.Free()), configs.FormatBytes(m.Used), configs.FormatBytes(m.Limit), limit, makeRoom), scheduler.ErrNoRoom}
}

// full says what Redis' refusal of a write for lack of memory means; other
// errors stay as they are.
func full(err error) error {
	if !redis.IsOOMError(err) {
		return err
	}
	return &kindError{ErrRefused, campaign.CodeRedisMemory.Reason("Redis has no memory left for the run (%v); %s", err, makeRoom), scheduler.ErrNoRoom}
}

// discard removes what an expansion has written that comes to nothing.
func (a *App) discard(ctx context.Context, run string, e *ledger.Expansion) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := e.Discard(ctx); err != nil {
		a.log.Warn("what was written of a run that is not made stays in Redis for an hour", "run", run, "err", err)
	}
}
