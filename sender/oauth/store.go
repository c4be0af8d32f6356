package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/configs"
	"broadside/internal/outage"
	"broadside/internal/sealed"
)

// The names under which things of an account or a mailbox are kept.
const (
	accessKey  = "oauth"
	refreshKey = "oauth-refresh"
	leaseKey   = "oauth-lease"
)

const (
	// leaseTime is longer than one renewal with both refresh tokens takes.
	leaseTime = 2*grantTime + 5*time.Second
	// refreshLife is how long a refresh token is kept after its last use: longer than
	// providers let an unused one live (90 to 180 days).
	refreshLife = 200 * 24 * time.Hour
)

// unlockSource gives a lease back, if it is still the caller's.
const unlockSource = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`

// A Store keeps access tokens for all processes of an installation.
type Store struct {
	rdb    redis.UniversalClient // nil: tokens are for this process alone
	prefix string
	seal   sealed.Keys
	unlock *redis.Script
	client *http.Client
	log    *slog.Logger
}

// New returns a Store in Redis. The keys begin with prefix, secrets are those of the
// installation, and lua makes a script of its source. Without secrets nothing can be
// sealed, and tokens are for this process alone.
func New(rdb redis.UniversalClient, prefix string, secrets []string, lua func(string) *redis.Script, log *slog.Logger) (*Store, error) {
	seal, err := sealed.New(secrets, "broadside oauth seal")
	if err != nil {
		return nil, err
	}
	s := Alone(log)
	if len(seal) > 0 {
		s.rdb, s.prefix, s.seal, s.unlock = rdb, prefix, seal, lua(unlockSource)
	}
	return s, nil
}

// Alone returns a Store for this process alone: for commands that have no Redis.
func Alone(log *slog.Logger) *Store {
	return &Store{client: newClient(), log: log}
}

// Account returns the access tokens of an account. The error has everything that is
// wrong with the source.
func (s *Store) Account(name string, source Source) (*Tokens, error) {
	return s.tokens(owner{kind: "account", name: name, keys: "{acct:" + name + "}:", seal: name}, source)
}

// Mailbox returns the access tokens of a mailbox from which bounces are read. The error
// has everything that is wrong with its source.
func (s *Store) Mailbox(m configs.Mailbox) (*Tokens, error) {
	keys := "mailbox:" + m.ID() + ":"
	return s.tokens(owner{kind: "mailbox", name: m.String(), keys: keys, seal: keys}, SourceOf(*m.OAuth2))
}

func (s *Store) tokens(of owner, source Source) (*Tokens, error) {
	if err := source.check(); err != nil {
		return nil, err
	}
	log := s.log.With(of.kind, of.name)
	return &Tokens{
		store: s, owner: of, source: source, print: source.fingerprint(), renewing: make(chan struct{}, 1),
		notice: outage.NewNotice(log, "the access token cannot be renewed now", "the access token was renewed"),
	}, nil
}

// An owner is what logs in with the tokens: an account or a mailbox.
type owner struct {
	kind, name string // for people
	keys       string // what its keys begin with, behind the prefix
	seal       string // part of what is sealed: the tokens of another owner do not open
}

func (o owner) String() string { return o.kind + " " + o.name }

func (t *Tokens) key(what string) string { return t.store.prefix + ":" + t.owner.keys + what }

// load returns the token that the processes share; the zero token when there is none.
func (t *Tokens) load(ctx context.Context) (token, error) {
	var tok token
	err := t.get(ctx, accessKey, &tok)
	return tok, err
}

// rotated returns the refresh token that replaced the configured one; empty when none did.
func (t *Tokens) rotated(ctx context.Context) (string, error) {
	var refresh string
	err := t.get(ctx, refreshKey, &refresh)
	return refresh, err
}

// get reads a sealed value. One that does not open is as good as none: it is of another
// configuration.
func (t *Tokens) get(ctx context.Context, what string, to any) error {
	if t.store.rdb == nil {
		return nil
	}
	stored, err := t.store.rdb.Get(ctx, t.key(what)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", what, t.owner, err)
	}
	value, err := t.store.seal.Open(stored, t.about(what))
	if err != nil {
		return nil
	}
	if err := json.Unmarshal(value, to); err != nil {
		return fmt.Errorf("read %s of %s: what is stored is of another form", what, t.owner)
	}
	return nil
}

// put stores a value for a time.
func (t *Tokens) put(ctx context.Context, what string, value any, life time.Duration) error {
	if t.store.rdb == nil || life <= 0 {
		return nil
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("keep %s of %s: %w", what, t.owner, err)
	}
	stored := t.store.seal.Seal(plain, t.about(what))
	if err := t.store.rdb.Set(ctx, t.key(what), stored, life).Err(); err != nil {
		return fmt.Errorf("keep %s of %s: %w", what, t.owner, err)
	}
	return nil
}

// remove forgets a value.
func (t *Tokens) remove(ctx context.Context, what string) error {
	if t.store.rdb == nil {
		return nil
	}
	if err := t.store.rdb.Del(ctx, t.key(what)).Err(); err != nil {
		return fmt.Errorf("remove %s of %s: %w", what, t.owner, err)
	}
	return nil
}

func (t *Tokens) about(what string) string { return t.owner.seal + "\x00" + what + "\x00" + t.print }

// lease asks for the right to renew, and returns how to give it back. Where Redis does
// not answer everyone has it: the lease only saves requests.
func (t *Tokens) lease(ctx context.Context) (release func(), ok bool) {
	if t.store.rdb == nil {
		return func() {}, true
	}
	mine := rand.Text()
	ok, err := t.store.rdb.SetNX(ctx, t.key(leaseKey), mine, leaseTime).Result()
	if err != nil {
		return func() {}, true
	}
	if !ok {
		return func() {}, false
	}
	return func() {
		// Also when ctx has ended. What cannot be given back ends by itself.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = t.store.unlock.Run(ctx, t.store.rdb, []string{t.key(leaseKey)}, mine).Err()
	}, true
}
