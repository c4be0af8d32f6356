package app

import (
	"context"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/scheduler"
)

// A need is what takes Redis' memory, and what to do when there is too little.
type need struct{ what, fix string }

var (
	ofRun  = need{"the run", "raise maxmemory or take a larger plan, shorten retention.runs, or send in parts (--limit, then --again --exclude run:CAMPAIGN); nothing was sent"}
	ofList = need{"the list", "raise maxmemory or take a larger plan, or take lists away (list rm); nothing was changed"}
)

// A room refuses what needs more of Redis' memory than there is. It would otherwise
// fail half way, and every run with it.
type room struct {
	store *store.Store
	need  need
}

// Check refuses what needs more bytes than there are.
func (r room) Check(ctx context.Context, bytes int64) error {
	m, err := r.store.Memory(ctx)
	if err != nil || m.Fits(bytes) {
		return err
	}
	limit := "maxmemory"
	if m.Machine {
		limit = "the memory of its machine"
	}
	return failure.New(ErrRefused, codes.RedisMemory.Reason(
		"%s needs about %s of Redis' memory and %s are free: %s of %s (%s) are in use, and a tenth is kept for outcomes and unsubscribes; %s", r.need.what,
		units.FormatBytes(bytes), units.FormatBytes(m.Free()), units.FormatBytes(m.Used), units.FormatBytes(m.Limit), limit, r.need.fix), scheduler.ErrNoRoom)
}

// Explain says what Redis' refusal of a write for lack of memory means. Other errors
// stay as they are.
func (r room) Explain(err error) error {
	if !redis.IsOOMError(err) {
		return err
	}
	return failure.New(ErrRefused, codes.RedisMemory.Reason("Redis has no memory left for %s (%v); %s", r.need.what, err, r.need.fix), scheduler.ErrNoRoom)
}

// ImportList is Lists.Import that leaves Redis the memory that runs need.
func (a *App) ImportList(ctx context.Context, name string, rows *audience.Reader, o audience.ImportOptions) (audience.Imported, error) {
	free := room{a.store, ofList}
	o.Room = free.Check
	sum, err := a.Lists.Import(ctx, name, rows, o)
	return sum, free.Explain(err)
}
