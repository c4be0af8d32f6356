package throttle

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

//go:embed lua/closelane.lua
var closeLaneSource string

// A Closing is an account, or one lane of it, that is closed.
type Closing struct {
	Account  string
	Provider string // of the lane; empty: the whole account is closed
	State
}

// CloseLane closes one lane of the account until then, at most for MaxClosed
// (which the zero time stands for). A lane that is closed for longer already
// stays as it is. It reports whether the lane was open before: the time to say so
// in the log.
func (a *Accounts) CloseLane(ctx context.Context, account, provider string, until time.Time, code, reason string) (first bool, err error) {
	now := time.Now()
	until = bounded(until, now)
	if !until.After(now) {
		return false, nil
	}
	first, err = a.closingLane.Run(ctx, a.rdb, []string{a.lanesKey(account)},
		provider, until.UnixMilli(), now.UnixMilli(), code, a.worker, reason, MaxClosed.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("close lane %s/%s: %w", account, provider, err)
	}
	return first, nil
}

// OpenLane opens one lane of the account now.
func (a *Accounts) OpenLane(ctx context.Context, account, provider string) error {
	if err := a.rdb.HDel(ctx, a.lanesKey(account), provider).Err(); err != nil {
		return fmt.Errorf("open lane %s/%s: %w", account, provider, err)
	}
	return nil
}

// Closings returns what is closed of the accounts now, in their order: of each
// the account itself, then its lanes by name. An entry that cannot be read is
// returned with the code BS-BROKEN-STATE, the reason and no times.
func (a *Accounts) Closings(ctx context.Context, accounts ...string) ([]Closing, error) {
	states, err := a.States(ctx, accounts...)
	if err != nil {
		return nil, err
	}
	lanes, err := a.closedLanes(ctx, accounts)
	if err != nil {
		return nil, err
	}
	var out []Closing
	for i, account := range accounts {
		if state, closed := states[account]; closed {
			out = append(out, Closing{Account: account, State: state})
		}
		out = append(out, lanes[i]...)
	}
	return out, nil
}

// closedLanes returns the closed lanes of each of the accounts.
func (a *Accounts) closedLanes(ctx context.Context, accounts []string) ([][]Closing, error) {
	replies, err := a.hashes(ctx, accounts, a.lanesKey)
	if err != nil {
		return nil, fmt.Errorf("read the closed lanes of %d accounts: %w", len(accounts), err)
	}
	out := make([][]Closing, len(accounts))
	now := time.Now()
	for i, reply := range replies {
		if err := reply.Err(); err != nil {
			out[i] = []Closing{{Account: accounts[i], State: broken("the list of closed lanes", a.lanesKey(accounts[i]), err)}}
			continue
		}
		for provider, value := range reply.Val() {
			state, err := parseLane(value)
			if err != nil {
				state = broken("the closing of lane "+provider, a.lanesKey(accounts[i]), err)
			} else if !state.Until.After(now) {
				continue
			}
			out[i] = append(out[i], Closing{Account: accounts[i], Provider: provider, State: state})
		}
		slices.SortFunc(out[i], func(a, b Closing) int { return cmp.Compare(a.Provider, b.Provider) })
	}
	return out, nil
}

// parseLane reads what closelane.lua has written of one lane.
func parseLane(value string) (State, error) {
	fields := strings.SplitN(value, "\t", 5)
	if len(fields) < 5 {
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

// broken is the state of something whose entry in Redis cannot be read.
func broken(what, key string, err error) State {
	e := &campaign.BrokenError{What: what, Key: key, Err: err}
	return State{Code: string(codes.BrokenState), Reason: e.Error()}
}

// hashes reads one hash of each account in one round trip. Of the replies some
// may have failed by themselves; the error is about Redis as a whole.
func (a *Accounts) hashes(ctx context.Context, accounts []string, key func(string) string) ([]*redis.MapStringStringCmd, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	pipe := a.rdb.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(accounts))
	for i, account := range accounts {
		replies[i] = pipe.HGetAll(ctx, key(account))
	}
	if _, err := pipe.Exec(ctx); err != nil && !campaign.IsWrongType(err) {
		return nil, err
	}
	for _, reply := range replies {
		if err := reply.Err(); err != nil && !campaign.IsWrongType(err) {
			return nil, err
		}
	}
	return replies, nil
}

func (a *Accounts) lanesKey(account string) string { return accountKey(a.prefix, account, "lanes") }
