package launch

import (
	"context"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/scheduler"
)

// A Room refuses anything that needs more of Redis' memory than is free. Otherwise the
// write would fail half way, and so would the writes of every active run.
type Room struct {
	Store *store.Store
	What  string // that needs the memory
	Fix   string // what to do when there is too little
}

// RoomForRun returns the Room for a run that is being made.
func RoomForRun(st *store.Store) Room {
	return Room{st, "the run", "raise maxmemory or take a larger plan, shorten retention.runs, or send in parts (--limit, then --again --exclude run:CAMPAIGN); nothing was sent"}
}

// RoomForList returns the Room for a list that is being imported.
func RoomForList(st *store.Store) Room {
	return Room{st, "the list", "raise maxmemory or take a larger plan, or remove lists (list rm); nothing was changed"}
}

// Check refuses a need of more bytes than are free.
func (r Room) Check(ctx context.Context, bytes int64) error {
	m, err := r.Store.Memory(ctx)
	if err != nil || m.Fits(bytes) {
		return err
	}
	limit := "maxmemory"
	if m.Machine {
		limit = "the memory of its machine"
	}
	return failure.New(failure.ErrRefused, codes.RedisMemory.Reason(
		"%s needs about %s of Redis' memory and %s are free: %s of %s (%s) are in use, and a tenth is kept for outcomes and unsubscribes; %s", r.What,
		units.FormatBytes(bytes), units.FormatBytes(m.Free()), units.FormatBytes(m.Used), units.FormatBytes(m.Limit), limit, r.Fix), scheduler.ErrNoRoom)
}

// Explain says what it means that Redis refused a write for lack of memory. Other errors
// it returns as they are.
func (r Room) Explain(err error) error {
	if !redis.IsOOMError(err) {
		return err
	}
	return failure.New(failure.ErrRefused, codes.RedisMemory.Reason("Redis has no memory left for %s (%v); %s", r.What, err, r.Fix), scheduler.ErrNoRoom)
}
