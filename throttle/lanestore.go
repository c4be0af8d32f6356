package throttle

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

//go:embed lua/pace.lua
var paceSource string

const (
	// maxLanes is how many lanes an account may have; see pace.lua.
	maxLanes = 10_000
	// laneLife is how long the lanes of an account are kept after the last change, and
	// learntLife how long limits that were learnt are.
	laneLife   = 48 * time.Hour
	learntLife = 24 * time.Hour
	// changes is how often a change is tried while others change the same lane, and
	// changePause the longest wait between two tries.
	changes     = 50
	changePause = 5 * time.Millisecond

	paceKey   = "pace"
	learntKey = "learnt"
)

// Lanes holds, for all processes, what was learnt about the lanes of accounts. A lane
// is named after a mailbox provider or, in the long tail, after a domain. It is safe
// for concurrent use.
type Lanes struct {
	rdb    redis.UniversalClient
	prefix string
	pace   *redis.Script
	tempo  *Tempo
	now    func() time.Time
	most   int
}

// NewLanes returns the lanes on rdb, which change by the default times; lua is as in New.
func NewLanes(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script) *Lanes {
	return &Lanes{rdb: rdb, prefix: prefix, pace: lua(paceSource), now: time.Now, most: maxLanes}
}

// WithTempo returns the same lanes, which change by other times.
func (s *Lanes) WithTempo(t Tempo) *Lanes {
	other := *s
	other.tempo = &t
	return &other
}

// New returns a lane that nothing was learnt about.
func (s *Lanes) New() Lane { return Lane{tempo: s.tempo} }

// Read returns what is known of the lanes of the accounts, in one round trip; a lane
// that is missing is open. One that cannot be read has the code BS-BROKEN-STATE and
// the reason, is open, and is overwritten by its next change. Where all lanes of an
// account cannot be read they are one such lane with no name.
func (s *Lanes) Read(ctx context.Context, accounts ...string) (map[string]map[string]Lane, error) {
	all := map[string]map[string]Lane{}
	if len(accounts) == 0 {
		return all, nil
	}

	pipe := s.rdb.Pipeline()
	replies := map[string]*redis.MapStringStringCmd{}
	for _, account := range accounts {
		replies[account] = pipe.HGetAll(ctx, accountKey(s.prefix, account, paceKey))
	}
	_, err := pipe.Exec(ctx)
	if err != nil && !campaign.IsWrongType(err) {
		return nil, fmt.Errorf("read the lanes of %d accounts: %w", len(accounts), err)
	}

	for account, reply := range replies {
		texts, err := reply.Result()
		lanes := map[string]Lane{}
		switch {
		case campaign.IsWrongType(err):
			lanes[""] = s.broken(account, "the lanes of account "+account, err)
		case err != nil:
			return nil, fmt.Errorf("read the lanes of account %s: %w", account, err)
		}
		for name, text := range texts {
			lanes[name] = s.parse(account, name, text)
		}
		all[account] = lanes
	}
	return all, nil
}

// parse returns the lane that text describes, or one that says that it is broken.
func (s *Lanes) parse(account, name, text string) Lane {
	l, err := parseLane(text)
	if err != nil {
		return s.broken(account, fmt.Sprintf("lane %s/%s", account, name), err)
	}
	l.tempo = s.tempo
	return l
}

func (s *Lanes) broken(account, what string, err error) Lane {
	e := &campaign.BrokenError{What: what, Key: accountKey(s.prefix, account, paceKey), Err: err}
	return Lane{Code: string(codes.BrokenState), Reason: e.Error(), tempo: s.tempo}
}

// errContended says that others changed a lane each time that it was tried.
var errContended = errors.New("other processes changed it each time")

// Change replaces a lane by what f makes of it, and returns both. f is called again
// when another process has changed the lane in between, so it must do nothing else.
// Where it changes nothing nothing is written.
func (s *Lanes) Change(ctx context.Context, account, lane string, f func(Lane) Lane) (before, after Lane, err error) {
	if lane == "" {
		return Lane{}, Lane{}, fmt.Errorf("change a lane of account %s: found no name, expected that of a mailbox provider or of a domain", account)
	}
	key := accountKey(s.prefix, account, paceKey)
	for range changes {
		old, err := s.rdb.HGet(ctx, key, lane).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return Lane{}, Lane{}, campaign.ReadError(err, fmt.Sprintf("lane %s/%s", account, lane), key)
		}
		before = s.New()
		if old != "" {
			before = s.parse(account, lane, old)
		}
		after = f(cleanOf(before))

		text := ""
		if !after.isNew(s.now()) {
			text = after.text()
		}
		if text == old {
			return before, after, nil
		}
		written, err := s.pace.Run(ctx, s.rdb, []string{key}, lane, old, text, laneLife.Milliseconds(), s.most).Bool()
		if err != nil {
			return Lane{}, Lane{}, fmt.Errorf("change lane %s/%s: %w", account, lane, err)
		}
		if written {
			return before, after, nil
		}
		err = standBack(ctx)
		if err != nil {
			return Lane{}, Lane{}, fmt.Errorf("change lane %s/%s: %w", account, lane, err)
		}
	}
	return Lane{}, Lane{}, fmt.Errorf("change lane %s/%s: %w", account, lane, errContended)
}

// standBack waits for a moment, so that those who change one lane get out of step.
func standBack(ctx context.Context) error {
	wait := time.NewTimer(rand.N(changePause))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cleanOf returns the lane without what says that it is broken.
func cleanOf(l Lane) Lane {
	if l.Code == string(codes.BrokenState) {
		return l.Reset()
	}
	return l
}

// Learnt is what servers have shown of the limits of an account.
type Learnt struct {
	Connections           int // open at a time; 0: not known
	MessagesPerConnection int // 0: not known
	Until                 time.Time
}

// Learn keeps for all processes what was learnt about an account, until then or for
// a day (the zero time). What is not known in l stays as it was.
func (s *Lanes) Learn(ctx context.Context, account string, l Learnt) error {
	latest := s.now().Add(learntLife)
	until := l.Until
	if until.IsZero() || until.After(latest) {
		until = latest
	}
	values := []any{"until", until.UnixMilli()}
	if l.Connections > 0 {
		values = append(values, "connections", l.Connections)
	}
	if l.MessagesPerConnection > 0 {
		values = append(values, "messages", l.MessagesPerConnection)
	}

	key := accountKey(s.prefix, account, learntKey)
	pipe := s.rdb.TxPipeline()
	pipe.HSet(ctx, key, values...)
	pipe.PExpire(ctx, key, max(until.Sub(s.now()), time.Millisecond))
	_, err := pipe.Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep what was learnt about account %s: %w", account, err)
	}
	return nil
}

// Learnt returns what was learnt about an account; the zero value for nothing.
func (s *Lanes) Learnt(ctx context.Context, account string) (Learnt, error) {
	key := accountKey(s.prefix, account, learntKey)
	what := "what was learnt about account " + account
	fields, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return Learnt{}, campaign.ReadError(err, what, key)
	}
	if len(fields) == 0 {
		return Learnt{}, nil
	}

	var l Learnt
	var errs []error
	for name, to := range map[string]*int{"connections": &l.Connections, "messages": &l.MessagesPerConnection} {
		text, found := fields[name]
		if !found {
			continue
		}
		*to, err = strconv.Atoi(text)
		if err != nil || *to < 0 {
			errs = append(errs, fmt.Errorf("%s: found %.40q, expected a number", name, text))
		}
	}
	l.Until, err = millis(fields["until"])
	if err != nil {
		errs = append(errs, fmt.Errorf("until: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return Learnt{}, &campaign.BrokenError{What: what, Key: key, Err: err}
	}
	return l, nil
}

// One returns what is known of one lane; a lane that is missing, or cannot be read, is open.
func (s *Lanes) One(ctx context.Context, account, lane string) (Lane, error) {
	key := accountKey(s.prefix, account, paceKey)
	text, err := s.rdb.HGet(ctx, key, lane).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return s.New(), nil
	case campaign.IsWrongType(err):
		return s.broken(account, fmt.Sprintf("lane %s/%s", account, lane), err), nil
	case err != nil:
		return Lane{}, campaign.ReadError(err, fmt.Sprintf("lane %s/%s", account, lane), key)
	}
	return s.parse(account, lane, text), nil
}
