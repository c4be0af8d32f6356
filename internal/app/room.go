package app

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/scheduler"
)

// A need is what takes Redis' memory, and what to do when there is too little.
type need struct{ what, fix string }

var (
	ofRun  = need{"the run", "raise maxmemory or take a larger plan, shorten retention.runs, or send in parts (--limit, then --again --exclude run:CAMPAIGN); nothing was sent"}
	ofList = need{"the list", "raise maxmemory or take a larger plan, or take lists away (list rm); nothing was changed"}
)

// room refuses a run that needs more of Redis' memory than there is, which
// would otherwise fail half way, and every other run with it.
func (a *App) room(ctx context.Context, bytes int64) error { return a.roomFor(ctx, ofRun, bytes) }

func (a *App) roomFor(ctx context.Context, n need, bytes int64) error {
	m, err := a.store.Memory(ctx)
	if err != nil || m.Fits(bytes) {
		return err
	}
	limit := "maxmemory"
	if m.Machine {
		limit = "the memory of its machine"
	}
	return failure.New(ErrRefused, codes.RedisMemory.Reason(
		"%s needs about %s of Redis' memory and %s are free: %s of %s (%s) are in use, and a tenth is kept for outcomes and unsubscribes; %s", n.what,
		units.FormatBytes(bytes), units.FormatBytes(m.Free()), units.FormatBytes(m.Used), units.FormatBytes(m.Limit), limit, n.fix), scheduler.ErrNoRoom)
}

// full says what Redis' refusal of a write of a run for lack of memory means;
// other errors stay as they are.
func full(err error) error { return ofRun.full(err) }

func (n need) full(err error) error {
	if !redis.IsOOMError(err) {
		return err
	}
	return failure.New(ErrRefused, codes.RedisMemory.Reason("Redis has no memory left for %s (%v); %s", n.what, err, n.fix), scheduler.ErrNoRoom)
}

// ImportList is Lists.Import that leaves Redis the memory that runs need.
func (a *App) ImportList(ctx context.Context, name string, rows *audience.Reader, o audience.ImportOptions) (audience.Imported, error) {
	o.Room = func(ctx context.Context, bytes int64) error { return a.roomFor(ctx, ofList, bytes) }
	sum, err := a.Lists.Import(ctx, name, rows, o)
	return sum, ofList.full(err)
}

// discard removes what an expansion has written that comes to nothing.
func (a *App) discard(ctx context.Context, run string, e *ledger.Expansion) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := e.Discard(ctx); err != nil {
		a.log.Warn("what was written of a run that is not made stays in Redis for an hour", "run", run, "err", err)
	}
}
