package throttle

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

//go:embed lua/close.lua
var closeSource string

// MaxClosed is the longest that an account or a lane stays closed unless it is
// closed again: nothing is closed for good.
const MaxClosed = 24 * time.Hour

// The keys of an account: a hash of one closing, and a hash of closings by lane.
const (
	stateKey = "state"
	lanesKey = "lanes"
)

// A State is why an account, or a lane of it, is closed.
type State struct {
	Code   string    // stable code, for `explain`
	Reason string    // one line for people, without secrets
	Worker string    // who closed it
	Since  time.Time // when it was closed first
	Until  time.Time // when it opens by itself
}

// A Closing is an account, or one lane of it, that is closed.
type Closing struct {
	Account  string
	Provider string // of the lane; empty: the whole account is closed
	State
}

// Accounts remembers which accounts and lanes are closed, for all processes.
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
	first, err = a.close(ctx, a.key(account, stateKey), "", until, code, reason)
	if err != nil {
		return false, fmt.Errorf("close account %s: %w", account, err)
	}
	return first, nil
}

// CloseLane is Close for one lane of the account.
func (a *Accounts) CloseLane(ctx context.Context, account, provider string, until time.Time, code, reason string) (first bool, err error) {
	first, err = a.close(ctx, a.key(account, lanesKey), provider, until, code, reason)
	if err != nil {
		return false, fmt.Errorf("close lane %s/%s: %w", account, provider, err)
	}
	return first, nil
}

func (a *Accounts) close(ctx context.Context, key, provider string, until time.Time, code, reason string) (first bool, err error) {
	now := time.Now()
	latest := now.Add(MaxClosed)
	if until.IsZero() || until.After(latest) {
		until = latest
	}

	if !until.After(now) {
		return false, nil
	}

	lifetime := MaxClosed // of the closings of several lanes
	if provider == "" {
		lifetime = max(until.Sub(now), time.Millisecond)
	}

	return a.closing.Run(ctx, a.rdb, []string{key},
		provider, until.UnixMilli(), now.UnixMilli(), code, a.worker, reason, lifetime.Milliseconds()).Bool()
}

// Open opens the account now.
func (a *Accounts) Open(ctx context.Context, account string) error {
	if err := a.rdb.Del(ctx, a.key(account, stateKey)).Err(); err != nil {
		return fmt.Errorf("open account %s: %w", account, err)
	}
	return nil
}

// OpenLane opens one lane of the account now.
func (a *Accounts) OpenLane(ctx context.Context, account, provider string) error {
	if err := a.rdb.HDel(ctx, a.key(account, lanesKey), provider).Err(); err != nil {
		return fmt.Errorf("open lane %s/%s: %w", account, provider, err)
	}
	return nil
}

// States returns the state of those of the accounts that are closed. One that
// cannot be read has the code BS-BROKEN-STATE, the reason and no times: it closes
// nothing, and the next closing of the account overwrites it.
func (a *Accounts) States(ctx context.Context, accounts ...string) (map[string]State, error) {
	closings, err := a.read(ctx, accounts, stateKey)
	if err != nil {
		return nil, err
	}

	states := map[string]State{}
	for _, c := range closings {
		states[c.Account] = c.State
	}
	return states, nil
}

// Closings returns what is closed of the accounts now, in their order: of each
// the account itself, then its lanes by name. An entry that cannot be read is
// returned as States does.
func (a *Accounts) Closings(ctx context.Context, accounts ...string) ([]Closing, error) {
	return a.read(ctx, accounts, stateKey, lanesKey)
}

// read returns the closings in some of the keys of each account, in one round
// trip.
func (a *Accounts) read(ctx context.Context, accounts []string, keys ...string) ([]Closing, error) {
	if len(accounts) == 0 {
		return nil, nil
	}

	pipe := a.rdb.Pipeline()
	var replies []*redis.MapStringStringCmd
	for _, account := range accounts {
		for _, key := range keys {
			replies = append(replies, pipe.HGetAll(ctx, a.key(account, key)))
		}
	}

	_, err := pipe.Exec(ctx)
	if err != nil && !campaign.IsWrongType(err) {
		return nil, fmt.Errorf("read what is closed of %d accounts: %w", len(accounts), err)
	}

	var all []Closing
	for i, reply := range replies {
		account := accounts[i/len(keys)]
		lanes := keys[i%len(keys)] == lanesKey
		fields, err := reply.Result()
		switch {
		case err != nil && !campaign.IsWrongType(err):
			return nil, fmt.Errorf("read what is closed of account %s: %w", account, err)
		case err != nil && lanes:
			all = append(all, a.broken(account, "", lanesKey, "the list of closed lanes", err))
		case err != nil:
			all = append(all, a.broken(account, "", stateKey, "the state of the account", err))
		case lanes:
			all = append(all, a.closedLanes(account, fields)...)
		case len(fields) > 0:
			all = append(all, a.closedAccount(account, fields))
		}
	}

	return all, nil
}

func (a *Accounts) closedAccount(account string, fields map[string]string) Closing {
	state, err := parseState(fields["until"], fields["since"], fields["code"], fields["worker"], fields["reason"])
	if err != nil {
		return a.broken(account, "", stateKey, "the state of the account", err)
	}
	return Closing{Account: account, State: state}
}

// closedLanes returns those of the lanes that have not opened by themselves.
func (a *Accounts) closedLanes(account string, lanes map[string]string) []Closing {
	var closed []Closing
	now := time.Now()
	for _, provider := range slices.Sorted(maps.Keys(lanes)) {
		state, err := parseState(strings.SplitN(lanes[provider], "\t", 5)...)
		switch {
		case err != nil:
			closed = append(closed, a.broken(account, provider, lanesKey, "the closing of lane "+provider, err))
		case state.Until.After(now):
			closed = append(closed, Closing{Account: account, Provider: provider, State: state})
		}
	}
	return closed
}

// parseState reads what close.lua has written: until, since, code, worker and
// reason.
func parseState(fields ...string) (State, error) {
	if len(fields) != 5 {
		return State{}, fmt.Errorf("found %d fields, expected 5", len(fields))
	}

	until, err := millis(fields[0])
	if err != nil {
		return State{}, fmt.Errorf("until: %w", err)
	}

	since, err := millis(fields[1])
	if err != nil {
		return State{}, fmt.Errorf("since: %w", err)
	}

	return State{Code: fields[2], Worker: fields[3], Reason: fields[4], Since: since, Until: until}, nil
}

func millis(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(n).UTC(), nil
}

// broken stands for an entry in Redis that cannot be read.
func (a *Accounts) broken(account, provider, key, what string, err error) Closing {
	e := &campaign.BrokenError{What: what, Key: a.key(account, key), Err: err}
	state := State{Code: string(codes.BrokenState), Reason: e.Error()}
	return Closing{Account: account, Provider: provider, State: state}
}

func (a *Accounts) key(account, what string) string { return accountKey(a.prefix, account, what) }
