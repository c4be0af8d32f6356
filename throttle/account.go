package throttle

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/close.lua
var closeSource string

// MaxClosed is the longest that an account stays closed unless it is closed
// again: nothing is closed for good.
const MaxClosed = 24 * time.Hour

// A State is why an account is closed.
type State struct {
	Code   string    // stable code, for `explain`
	Reason string    // one line for people, without secrets
	Worker string    // who closed it
	Since  time.Time // when it was closed first
	Until  time.Time // when it opens by itself
}

// Accounts remembers which accounts are closed, for all processes.
type Accounts struct {
	rdb            redis.UniversalClient
	prefix, worker string
	closing        *redis.Script
}

// NewAccounts returns the state of accounts on rdb as worker sees and writes it;
// lua is as in New.
func NewAccounts(rdb redis.UniversalClient, prefix, worker string, lua func(string) *redis.Script) *Accounts {
	return &Accounts{rdb: rdb, prefix: prefix, worker: worker, closing: lua(closeSource)}
}

// Close closes the account until then, at most for MaxClosed (which the zero time
// stands for). An account that is closed for longer already stays as it is. It
// reports whether the account was open before: the time to say so in the log.
func (a *Accounts) Close(ctx context.Context, account string, until time.Time, code, reason string) (first bool, err error) {
	now := time.Now()
	if latest := now.Add(MaxClosed); until.IsZero() || until.After(latest) {
		until = latest
	}
	if !until.After(now) {
		return false, nil
	}
	ttl := max(until.Sub(now).Milliseconds(), 1)
	first, err = a.closing.Run(ctx, a.rdb, []string{a.key(account)},
		code, reason, a.worker, now.UnixMilli(), until.UnixMilli(), ttl).Bool()
	if err != nil {
		return false, fmt.Errorf("close account %s: %w", account, err)
	}
	return first, nil
}

// Open opens the account now.
func (a *Accounts) Open(ctx context.Context, account string) error {
	if err := a.rdb.Del(ctx, a.key(account)).Err(); err != nil {
		return fmt.Errorf("open account %s: %w", account, err)
	}
	return nil
}

// States returns the state of those of the accounts that are closed.
func (a *Accounts) States(ctx context.Context, accounts ...string) (map[string]State, error) {
	pipe := a.rdb.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(accounts))
	for i, account := range accounts {
		replies[i] = pipe.HGetAll(ctx, a.key(account))
	}
	states := map[string]State{}
	if len(accounts) == 0 {
		return states, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read the state of %d accounts: %w", len(accounts), err)
	}
	for i, reply := range replies {
		m := reply.Val()
		if len(m) == 0 {
			continue
		}
		since, err := millis(m["since"])
		if err != nil {
			return nil, fmt.Errorf("read the state of account %s: since: %w", accounts[i], err)
		}
		until, err := millis(m["until"])
		if err != nil {
			return nil, fmt.Errorf("read the state of account %s: until: %w", accounts[i], err)
		}
		states[accounts[i]] = State{Code: m["code"], Reason: m["reason"], Worker: m["worker"], Since: since, Until: until}
	}
	return states, nil
}

func millis(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(n).UTC(), nil
}

func (a *Accounts) key(account string) string { return accountKey(a.prefix, account, "state") }
