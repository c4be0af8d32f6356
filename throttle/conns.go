package throttle

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/shares.lua
var sharesSource string

//go:embed lua/acquire.lua
var acquireSource string

//go:embed lua/excess.lua
var excessSource string

//go:embed lua/setcount.lua
var setCountSource string

// Conns is the budget of open connections of each account over all processes. The
// share of this process is kept here and written to Redis as a number; so a
// command that is sent twice, or whose reply is lost, is put right by the next
// one. It is safe for concurrent use. Each worker has a Conns of its own, also when
// its id changes.
type Conns struct {
	rdb                       redis.UniversalClient
	prefix                    string
	acquire, excess, setCount *redis.Script

	now   func() time.Time
	began time.Time

	mu   sync.Mutex
	held map[string]*holding // by account; guarded by mu, its values by their own turn
}

// A holding is how many connections the worker has to an account. Only the
// goroutine that has the turn may read or change it, so that commands about it go
// out one after the other.
type holding struct {
	turn   chan struct{}
	count  int
	worker string // the id under which the count stands in Redis
	demand demand
}

// NewConns returns the connection budget on rdb; lua is as in New.
func NewConns(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script) *Conns {
	return &Conns{
		rdb: rdb, prefix: prefix,
		acquire: lua(sharesSource + acquireSource), excess: lua(sharesSource + excessSource), setCount: lua(setCountSource),
		now: time.Now, began: time.Now(),
		held: map[string]*holding{},
	}
}

// Acquire counts one connection more for the worker, unless the account has limit
// open already (0: no limit), or the worker has its share of them and what is left
// is kept for the shares of others. workers is how many workers are alive, this one
// included: a share is kept for each of them at first, later only for those that ask.
// Excess reports a refusal to the others.
func (c *Conns) Acquire(ctx context.Context, account, worker string, limit, workers int) (bool, error) {
	h, err := c.take(ctx, account, worker)
	if err != nil {
		return false, err
	}
	defer h.leave()

	now := c.now()
	others, most := c.kept(h, now, limit, workers)
	answer, err := c.acquire.Run(ctx, c.rdb, c.keys(account), worker, limit, h.count, others, most).Int()
	if err != nil {
		return false, fmt.Errorf("acquire a connection of account %s: %w", account, err)
	}
	switch answer {
	case granted:
		h.count++
	case keptForOthers:
		h.demand.refused(now)
	}
	return answer == granted, nil
}

// Release counts one connection less for the worker. Call it when the connection
// is closed, not before. After an error the count in this process is right; Redis
// gets it with the next command about this account, at the latest from Restore.
func (c *Conns) Release(ctx context.Context, account, worker string) error {
	h, err := c.take(ctx, account, worker)
	if err != nil {
		return err
	}
	defer h.leave()
	h.count = max(h.count-1, 0)
	return c.write(ctx, account, worker, h.count)
}

// Restore writes all counts of the worker again, account by account: after Redis has
// been restarted, before anything new is acquired, and under a new worker id.
func (c *Conns) Restore(ctx context.Context, worker string, accounts ...string) error {
	for _, account := range accounts {
		if err := c.restore(ctx, account, worker); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conns) restore(ctx context.Context, account, worker string) error {
	h, err := c.take(ctx, account, worker)
	if err != nil {
		return err
	}
	defer h.leave()
	return c.write(ctx, account, worker, h.count)
}

// Forget gives back the connections to the accounts of a worker that was taken
// off the list: another one, or this one under an earlier id.
func (c *Conns) Forget(ctx context.Context, worker string, accounts ...string) error {
	for _, account := range accounts {
		if err := c.write(ctx, account, worker, 0); err != nil {
			return err
		}
	}
	return nil
}

// Counts returns how many connections each worker has to the account.
func (c *Conns) Counts(ctx context.Context, account string) (map[string]int, error) {
	all, err := c.rdb.HGetAll(ctx, c.key(account)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the connections of account %s: %w", account, err)
	}
	counts := make(map[string]int, len(all))
	for worker, text := range all {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("read the connections of account %s, worker %s: %w", account, worker, err)
		}
		counts[worker] = n
	}
	return counts, nil
}

func (c *Conns) write(ctx context.Context, account, worker string, n int) error {
	if err := c.setCount.Run(ctx, c.rdb, []string{c.key(account)}, worker, n).Err(); err != nil {
		return fmt.Errorf("count the connections of account %s: %w", account, err)
	}
	return nil
}

// take waits for the turn of a holding. A count under an earlier id of the
// worker is removed: a goroutine that read that id before it changed may have
// written it after Forget.
func (c *Conns) take(ctx context.Context, account, worker string) (*holding, error) {
	c.mu.Lock()
	h := c.held[account]
	if h == nil {
		h = &holding{turn: make(chan struct{}, 1), worker: worker}
		c.held[account] = h
	}
	c.mu.Unlock()

	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the connection count of account %s: %w", account, context.Cause(ctx))
	}

	if h.worker != worker {
		if err := c.write(ctx, account, h.worker, 0); err != nil {
			h.leave()
			return nil, err
		}
		h.worker = worker
	}
	return h, nil
}

func (h *holding) leave() { <-h.turn }

func (c *Conns) key(account string) string { return accountKey(c.prefix, account, "conns") }

// keys are those of the scripts that begin with shares.lua.
func (c *Conns) keys(account string) []string {
	return []string{c.key(account), accountKey(c.prefix, account, "requests")}
}
