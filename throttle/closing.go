package throttle

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

//go:embed lua/close.lua
var closeSource string

// MaxClosed is the longest that an account stays closed unless it is closed again:
// nothing is closed for good.
const MaxClosed = 24 * time.Hour

// stateKey is the hash of the closing of an account.
const stateKey = "state"

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
	latest := now.Add(MaxClosed)
	if until.IsZero() || until.After(latest) {
		until = latest
	}
	if !until.After(now) {
		return false, nil
	}

	life := max(until.Sub(now), time.Millisecond)
	first, err = a.closing.Run(ctx, a.rdb, []string{a.key(account)},
		until.UnixMilli(), now.UnixMilli(), code, a.worker, reason, life.Milliseconds()).Bool()
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

// States returns the state of those of the accounts that are closed, in one round
// trip. One that cannot be read has the code BS-BROKEN-STATE, the reason and no
// times: it closes nothing, and the next closing of the account overwrites it.
func (a *Accounts) States(ctx context.Context, accounts ...string) (map[string]State, error) {
	states := map[string]State{}
	if len(accounts) == 0 {
		return states, nil
	}

	pipe := a.rdb.Pipeline()
	replies := map[string]*redis.MapStringStringCmd{}
	for _, account := range accounts {
		replies[account] = pipe.HGetAll(ctx, a.key(account))
	}
	_, err := pipe.Exec(ctx)
	if err != nil && !campaign.IsWrongType(err) {
		return nil, fmt.Errorf("read what is closed of %d accounts: %w", len(accounts), err)
	}

	for account, reply := range replies {
		fields, err := reply.Result()
		switch {
		case campaign.IsWrongType(err):
			states[account] = a.broken(account, err)
		case err != nil:
			return nil, fmt.Errorf("read what is closed of account %s: %w", account, err)
		case len(fields) > 0:
			states[account] = a.parse(account, fields)
		}
	}
	return states, nil
}

// parse reads what close.lua has written.
func (a *Accounts) parse(account string, fields map[string]string) State {
	until, err := millis(fields["until"])
	if err != nil {
		return a.broken(account, fmt.Errorf("until: %w", err))
	}

	since, err := millis(fields["since"])
	if err != nil {
		return a.broken(account, fmt.Errorf("since: %w", err))
	}

	return State{Code: fields["code"], Worker: fields["worker"], Reason: fields["reason"], Since: since, Until: until}
}

func millis(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(n).UTC(), nil
}

// broken stands for an entry in Redis that cannot be read.
func (a *Accounts) broken(account string, err error) State {
	e := &campaign.BrokenError{What: "the state of account " + account, Key: a.key(account), Err: err}
	return State{Code: string(codes.BrokenState), Reason: e.Error()}
}

func (a *Accounts) key(account string) string { return accountKey(a.prefix, account, stateKey) }
