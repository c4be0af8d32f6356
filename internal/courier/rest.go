package courier

import (
	"fmt"
	"sync"
	"time"
)

const (
	firstRest = 15 * time.Second
	maxRest   = 5 * time.Minute
)

// rests are the accounts to which this process got no connection lately. It is safe for
// concurrent use.
type rests struct {
	mu sync.Mutex
	of map[string]rest // guarded by mu
}

// A rest is how long an account is left alone.
type rest struct {
	length time.Duration
	until  time.Time
	cause  error
}

// check reports why an account is left alone.
func (r *rests) check(account string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.of[account]; s.until.After(now) {
		return fmt.Errorf("account %s is left alone until %s: %w: %w", account, s.until.UTC().Format(time.RFC3339), ErrLater, s.cause)
	}
	return nil
}

// note takes in how the opening of a connection went; nil is a success.
func (r *rests) note(account string, now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.of, account)
		return
	}
	if r.of == nil {
		r.of = map[string]rest{}
	}
	s := r.of[account]
	if s.until.After(now) {
		return // another message has found that out at the same moment
	}
	s.length = min(max(2*s.length, firstRest), maxRest)
	s.until = now.Add(s.length)
	s.cause = err
	r.of[account] = s
}
