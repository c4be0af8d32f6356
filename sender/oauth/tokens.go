package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"broadside/internal/outage"
)

const (
	// margin is what the life of a token is cut by: for clocks that differ, and for the
	// login itself.
	margin = 15 * time.Second
	// restAfterFailure is how long an endpoint that gave no token is left alone.
	restAfterFailure = 10 * time.Second
	// youth is the age below which a token that a server refuses is not replaced: a new
	// one would fare no better.
	youth = 5 * time.Minute
	// glance is how often a process looks for the token that another one is getting.
	glance = 100 * time.Millisecond
)

// A token is an access token with its life. Its form is that in Redis.
type token struct {
	Access  string    `json:"access"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
}

// valid reports whether a server would still take the token.
func (t token) valid(now time.Time) bool {
	return t.Access != "" && now.Before(t.Expires.Add(-t.slack()))
}

// fresh reports whether the token need not be renewed yet: less than four fifths of its
// life are over.
func (t token) fresh(now time.Time) bool {
	return t.Access != "" && now.Before(t.Issued.Add(t.Expires.Sub(t.Issued)*4/5))
}

// slack is margin, or less of a short life.
func (t token) slack() time.Duration { return min(margin, t.Expires.Sub(t.Issued)/10) }

// Tokens are the access tokens of one account or mailbox. It is safe for concurrent use.
type Tokens struct {
	store  *Store
	owner  owner
	source Source
	print  string // of source
	notice *outage.Notice

	// renewing has an entry while this process renews.
	renewing chan struct{}

	mu       sync.Mutex
	current  token     // guarded by mu
	replaced string    // refresh token in place of the configured one, for want of Redis; guarded by mu
	failed   error     // of the last renewal; nil: it went well; guarded by mu
	failedAt time.Time // guarded by mu
}

// Token returns an access token that is valid now. It asks the endpoint only when the
// token that the processes share is near its end, and goes on with that one when the
// endpoint gives no other. An *Error says why there is none; any other error is of ctx.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	tok, done, err := t.known(time.Now())
	if done {
		return tok.Access, err
	}

	select {
	case t.renewing <- struct{}{}:
	default:
		if tok.valid(time.Now()) {
			return tok.Access, nil // somebody is about to renew it
		}
		select {
		case t.renewing <- struct{}{}:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for an access token of %s: %w", t.owner, ctx.Err())
		}
	}
	defer func() { <-t.renewing }()

	tok, done, err = t.known(time.Now()) // another process may have renewed it
	if done {
		return tok.Access, err
	}
	return t.renew(ctx)
}

// known returns what can be said without asking anybody; not done: the token has to be
// renewed.
func (t *Tokens) known(now time.Time) (tok token, done bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	resting := t.failed != nil && now.Sub(t.failedAt) < restAfterFailure
	switch {
	case t.current.fresh(now), t.current.valid(now) && resting:
		return t.current, true, nil
	case resting:
		return token{}, true, t.failed
	}
	return t.current, false, nil
}

// renew returns the token that another process got, or gets one. The caller is the only
// one in this process.
func (t *Tokens) renew(ctx context.Context) (string, error) {
	for {
		shared, err := t.load(ctx)
		t.noteStore(err)
		now := time.Now()
		if shared.fresh(now) {
			t.adopt(shared)
			return shared.Access, nil
		}
		old := t.later(shared)

		release, ok := t.lease(ctx)
		if ok {
			defer release()
			return t.fetch(ctx, old)
		}
		if old.valid(now) {
			return old.Access, nil
		}

		select {
		case <-time.After(glance):
		case <-ctx.Done():
			return "", fmt.Errorf("wait for an access token of %s: %w", t.owner, ctx.Err())
		}
	}
}

// fetch gets a token from the endpoint. old is returned when that fails and it is still
// valid.
func (t *Tokens) fetch(ctx context.Context, old token) (string, error) {
	shared, _ := t.load(ctx) // the holder of the lease before may have renewed it
	if shared.fresh(time.Now()) {
		t.adopt(shared)
		return shared.Access, nil
	}

	asked := time.Now()
	g, err := t.exchange(ctx)
	if ctx.Err() != nil {
		return "", fmt.Errorf("get an access token of %s: %w", t.owner, ctx.Err())
	}
	t.remember(err)
	if err != nil {
		if old.valid(time.Now()) {
			return old.Access, nil
		}
		return "", err
	}

	tok := token{Access: g.access, Issued: asked, Expires: asked.Add(g.life)}
	t.adopt(tok)
	t.noteStore(t.put(ctx, accessKey, tok, time.Until(tok.Expires)-tok.slack()))
	if g.refresh != "" && g.refresh != t.source.RefreshToken {
		t.replace(g.refresh)
		t.noteStore(t.put(ctx, refreshKey, g.refresh, refreshLife))
	}
	return tok.Access, nil
}

// replace notes the refresh token that is due from now on; empty: the configured one.
func (t *Tokens) replace(refresh string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replaced = refresh
}

// replacement returns what replace noted.
func (t *Tokens) replacement() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.replaced
}

// exchange sends the refresh token that is due: the one that the endpoint gave last, and
// when that does not work the configured one.
func (t *Tokens) exchange(ctx context.Context) (grant, error) {
	rotated, err := t.rotated(ctx)
	t.noteStore(err)
	rotated = cmp.Or(rotated, t.replacement())
	g, err := t.source.exchange(ctx, t.store.client, cmp.Or(rotated, t.source.RefreshToken))
	var refused *Error
	if rotated == "" || !errors.As(err, &refused) || refused.Code != "invalid_grant" {
		return g, err
	}
	t.replace("")
	t.noteStore(t.remove(ctx, refreshKey))
	return t.source.exchange(ctx, t.store.client, t.source.RefreshToken)
}

// noteStore logs that tokens cannot be shared now. It works without: Redis being away is
// said by others, and this process has its own token.
func (t *Tokens) noteStore(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		t.store.log.Debug("access tokens are not shared now", t.owner.kind, t.owner.name, "err", err)
	}
}

// adopt makes a token the one that is used.
func (t *Tokens) adopt(tok token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = tok
	t.failed = nil
}

// later returns the token that ends last: ours or the shared one.
func (t *Tokens) later(shared token) token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shared.Expires.After(t.current.Expires) {
		t.current = shared
	}
	return t.current
}

// remember notes how a renewal went.
func (t *Tokens) remember(err error) {
	t.notice.Note(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = err
	t.failedAt = time.Now()
}

// Refused says that a server did not take a token. It reports whether another try is
// worth it: the token is dropped, for all processes, unless it is new. So a server that
// refuses every token costs one renewal in five minutes.
func (t *Tokens) Refused(ctx context.Context, access string) bool {
	t.mu.Lock()
	same := t.current.Access == access
	young := same && time.Since(t.current.Issued) < youth
	if same && !young {
		t.current = token{}
	}
	t.mu.Unlock()
	if young {
		return false
	}

	shared, err := t.load(ctx)
	t.noteStore(err)
	if shared.Access == access {
		t.noteStore(t.remove(ctx, accessKey))
	}
	return true
}
