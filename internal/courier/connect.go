package courier

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/configs"
	"broadside/throttle"
)

const (
	// askAgain is how often a connection is asked for.
	askAgain = 250 * time.Millisecond
	// aliveFor is how long a courier counts as alive after it was asked for a connection:
	// longer than one message takes.
	aliveFor = 6 * time.Minute
	// holderPrefix begins the names under which couriers count connections.
	holderPrefix = "single-"
)

// connect counts a connection for the account, and for the lane where it has a limit of
// its own, when it may be opened. release gives both back.
func (c *Courier) connect(ctx context.Context, acct configs.Account, l lane) (release func(), err error) {
	if rate := acct.Limits.ConnectionRate; rate > 0 {
		slot, err := c.slot(ctx, []throttle.Limit{{Account: acct.Name, Opens: true, Rate: rate}})
		if err != nil {
			return nil, err
		}
		if err := sleep(ctx, time.Until(slot)); err != nil {
			return nil, err
		}
	}
	if err := c.alive.show(ctx); err != nil {
		return nil, err
	}

	workers, err := c.cfg.Workers(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.acquire(ctx, acct.Name, acct.Limits.Connections, workers+1); err != nil {
		return nil, err
	}
	if l.connections == 0 {
		return func() { c.release(ctx, acct.Name) }, nil
	}
	ofLane := acct.Name + "/" + l.name
	if err := c.acquire(ctx, ofLane, l.connections, workers+1); err != nil {
		c.release(ctx, acct.Name)
		return nil, err
	}
	return func() {
		c.release(ctx, ofLane)
		c.release(ctx, acct.Name)
	}, nil
}

// acquire counts one connection under a name, for which it waits for a while.
func (c *Courier) acquire(ctx context.Context, name string, limit, sharers int) error {
	for latest := time.Now().Add(waitFor); ; {
		got, err := c.cfg.Conns.Acquire(ctx, name, c.alive.holder, limit, sharers)
		if got || err != nil {
			return err
		}
		if err := c.forgetDead(ctx, name); err != nil {
			return err
		}
		if time.Now().After(latest) {
			return fmt.Errorf("%s: all of the %d connections are in use: %w", name, limit, ErrLater)
		}
		if err := sleep(ctx, askAgain); err != nil {
			return err
		}
	}
}

func (c *Courier) release(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countWithin)
	defer cancel()
	_ = c.cfg.Conns.Release(ctx, name, c.alive.holder) // else the next message puts the count right
}

// sweepEvery is how often the connections of couriers that were killed are looked for:
// until then workers cannot have them.
const sweepEvery = time.Minute

// Sweep takes away the connections of couriers that were killed, until ctx ends.
func (c *Courier) Sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		c.sweep(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep does so once. What fails is tried again with the next, and by those who miss a
// connection.
func (c *Courier) sweep(ctx context.Context) {
	for name, acct := range c.cfg.Settings.Accounts {
		if acct.Limits.Connections > 0 {
			_ = c.forgetDead(ctx, name)
		}
		for lane, limit := range acct.Lanes {
			if limit.Connections > 0 {
				_ = c.forgetDead(ctx, name+"/"+lane)
			}
		}
	}
}

// forgetDead gives back the connections of couriers that were killed.
func (c *Courier) forgetDead(ctx context.Context, name string) error {
	counts, err := c.cfg.Conns.Counts(ctx, name)
	if err != nil {
		return err
	}
	for holder, n := range counts {
		if n == 0 || holder == c.alive.holder || !strings.HasPrefix(holder, holderPrefix) {
			continue
		}
		lives, err := c.alive.lives(ctx, holder)
		if err != nil {
			return err
		}
		if !lives {
			if err := c.cfg.Conns.Forget(ctx, holder, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// alive is the sign of life of a courier: a key that ends a while after its last message.
type alive struct {
	rdb    redis.UniversalClient
	prefix string
	holder string // under which its connections count
}

func newAlive(rdb redis.UniversalClient, prefix string) *alive {
	return &alive{rdb, prefix, holderPrefix + rand.Text()[:12]}
}

func (a *alive) key(holder string) string { return a.prefix + ":courier:" + holder }

func (a *alive) show(ctx context.Context) error {
	if err := a.rdb.Set(ctx, a.key(a.holder), "1", aliveFor).Err(); err != nil {
		return fmt.Errorf("show that single messages are being sent: %w", err)
	}
	return nil
}

func (a *alive) lives(ctx context.Context, holder string) (bool, error) {
	n, err := a.rdb.Exists(ctx, a.key(holder)).Result()
	if err != nil {
		return false, fmt.Errorf("look whether %s is alive: %w", holder, err)
	}
	return n > 0, nil
}
