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

// A State is why an account, or a lane of it, is closed.
type State struct {
	Code   string    // stable code, for `explain`
	Reason string    // one line for people, without secrets
	Worker string    // who closed it
	Since  time.Time // when it was closed first
	Until  time.Time // when it opens by itself
}

// Accounts remembers which accounts and lanes are closed, for all processes.
type Accounts struct {
	rdb            redis.UniversalClient
	prefix, worker string
	closing        *redis.Script
	closingLane    *redis.Script
}

// NewAccounts returns the state of accounts on rdb as worker sees and writes it;
// lua is as in New.
func NewAccounts(rdb redis.UniversalClient, prefix, worker string, lua func(string) *redis.Script) *Accounts {
	return &Accounts{rdb: rdb, prefix: prefix, worker: worker, closing: lua(closeSource), closingLane: lua(closeLaneSource)}
}

// Close closes the account until then, at most for MaxClosed (which the zero time
// stands for). An account that is closed for longer already stays as it is. It
// reports whether the account was open before: the time to say so in the log.
func (a *Accounts) Close(ctx context.Context, account string, until time.Time, code, reason string) (first bool, err error) {
	now := time.Now()
	until = bounded(until, now)
	if !until.After(now) {
		return false, nil
	}
	first, err = a.closing.Run(ctx, a.rdb, []string{a.key(account)},
		code, reason, a.worker, now.UnixMilli(), until.UnixMilli(), lifetime(until, now)).Bool()
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

// bounded returns until, or the latest time that something may be closed for.
func bounded(until, now time.Time) time.Time {
	if latest := now.Add(MaxClosed); until.IsZero() || until.After(latest) {
		return latest
	}
	return until
}

// lifetime returns the milliseconds that a key has to live until then.
func lifetime(until, now time.Time) int64 { return max(until.Sub(now).Milliseconds(), 1) }

// States returns the state of those of the accounts that are closed. One that
// cannot be read has the code BS-BROKEN-STATE, the reason and no times: it closes
// nothing, since whoever finds the account closed writes it anew.
func (a *Accounts) States(ctx context.Context, accounts ...string) (map[string]State, error) {
	replies, err := a.hashes(ctx, accounts, a.key)
	if err != nil {
		return nil, fmt.Errorf("read the state of %d accounts: %w", len(accounts), err)
	}
	states := map[string]State{}
	for i, reply := range replies {
		if err := reply.Err(); err != nil {
			states[accounts[i]] = broken("the state of the account", a.key(accounts[i]), err)
			continue
		}
		fields := reply.Val()
		if len(fields) == 0 {
			continue
		}
		state, err := parseState(fields)
		if err != nil {
			state = broken("the state of the account", a.key(accounts[i]), err)
		}
		states[accounts[i]] = state
	}
	return states, nil
}

// parseState reads what close.lua has written.
func parseState(fields map[string]string) (State, error) {
	since, err := millis(fields["since"])
	if err != nil {
		return State{}, fmt.Errorf("since: %w", err)
	}
	until, err := millis(fields["until"])
	if err != nil {
		return State{}, fmt.Errorf("until: %w", err)
	}
	return State{Code: fields["code"], Reason: fields["reason"], Worker: fields["worker"], Since: since, Until: until}, nil
}

func millis(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(n).UTC(), nil
}

func (a *Accounts) key(account string) string { return accountKey(a.prefix, account, "state") }
