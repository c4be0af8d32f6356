package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// Send is the scope that may send single messages.
const Send = "send"

// Scopes lists what a token can be good for.
var Scopes = []string{Send}

const (
	mark    = "bs_"
	idSize  = 8
	secret  = 52 // base32 characters of 256 bits
	maxName = 100
	// usedEvery is how exactly it is known when a token was used last.
	usedEvery = time.Minute
)

// What is wrong with the token of a request.
var (
	ErrUnknown = errors.New("no such token, or it was revoked")
	ErrScope   = errors.New("the token is not for this")
)

// A Token is what is known of a token. Its JSON is that of `token ls --json`.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"-"`
	Used    time.Time `json:"-"` // to the minute; zero: never
}

// Tokens is where they are kept. It is safe for concurrent use.
type Tokens struct {
	rdb    redis.UniversalClient
	prefix string
}

// New returns the tokens under prefix.
func New(rdb redis.UniversalClient, prefix string) *Tokens { return &Tokens{rdb, prefix} }

func (t *Tokens) key() string  { return t.prefix + ":tokens" }
func (t *Tokens) used() string { return t.prefix + ":tokens:used" }

// stored is a token in Redis.
type stored struct {
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	Hash    string   `json:"sha256"`
	Created int64    `json:"created"`
}

// Create makes a token, and returns the text that a program sends, which nothing can show
// again.
func (t *Tokens) Create(ctx context.Context, name string, scopes []string, now time.Time) (Token, string, error) {
	if err := checkNew(name, scopes); err != nil {
		return Token{}, "", err
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	now = now.UTC().Truncate(time.Millisecond)

	random := strings.ToLower(rand.Text() + rand.Text() + rand.Text()) // 3 x 26 characters of 5 bits
	id := random[:idSize]
	text := mark + id + "_" + random[idSize:idSize+secret]
	value, err := json.Marshal(stored{Name: name, Scopes: scopes, Hash: hashOf(text), Created: now.UnixMilli()})
	if err != nil {
		return Token{}, "", fmt.Errorf("make a token: %w", err)
	}
	fresh, err := t.rdb.HSetNX(ctx, t.key(), id, value).Result()
	if err == nil && !fresh {
		err = errors.New("its id is taken: try again")
	}
	if err != nil {
		return Token{}, "", fmt.Errorf("make a token: %w", err)
	}
	return Token{ID: id, Name: name, Scopes: scopes, Created: now}, text, nil
}

func checkNew(name string, scopes []string) error {
	if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return failure.Invalid(fmt.Sprintf("name of a token: expected one line of at most %d bytes", maxName))
	}
	if len(scopes) == 0 {
		return failure.Invalid("scope of a token: missing, expected one of " + strings.Join(Scopes, ", "))
	}
	for _, s := range scopes {
		if slices.Contains(Scopes, s) {
			continue
		}
		text := fmt.Sprintf("scope of a token: found %q, expected one of %s", s, strings.Join(Scopes, ", "))
		if meant := strictyaml.Suggest(s, Scopes); meant != "" {
			text += "; did you mean " + meant + "?"
		}
		return failure.Invalid(text)
	}
	return nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Check returns the token that a program has sent, if it may do what scope is. The error is
// ErrUnknown, ErrScope, or one of Redis. That it was used is noted, to the minute.
func (t *Tokens) Check(ctx context.Context, text, scope string, now time.Time) (Token, error) {
	id, ok := idOf(text)
	if !ok {
		return Token{}, ErrUnknown
	}
	pipe := t.rdb.Pipeline()
	value := pipe.HGet(ctx, t.key(), id)
	used := pipe.HGet(ctx, t.used(), id)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return Token{}, fmt.Errorf("look up a token: %w", err)
	}
	if errors.Is(value.Err(), redis.Nil) {
		return Token{}, ErrUnknown
	}

	token, hash, err := t.parse(id, value.Val(), used.Val())
	if err != nil {
		return Token{}, err
	}
	if subtle.ConstantTimeCompare([]byte(hash), []byte(hashOf(text))) != 1 {
		return Token{}, ErrUnknown
	}
	if !slices.Contains(token.Scopes, scope) {
		return token, ErrScope
	}
	if now.Sub(token.Used) >= usedEvery {
		// Only `token ls` shows it: a request does not fail for it.
		_ = t.rdb.HSet(ctx, t.used(), id, now.UnixMilli()).Err()
	}
	return token, nil
}

// idOf returns the id that a text has, if it has the form of a token.
func idOf(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, mark)
	if !ok || len(rest) != idSize+1+secret || rest[idSize] != '_' {
		return "", false
	}
	for i := range len(rest) {
		c := rest[i]
		if i != idSize && (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return rest[:idSize], true
}

// parse reads a token as it is stored.
func (t *Tokens) parse(id, value, used string) (token Token, hash string, err error) {
	var s stored
	if err := json.Unmarshal([]byte(value), &s); err != nil {
		return Token{}, "", &campaign.BrokenError{What: "token " + id, Key: t.key(), Err: err}
	}
	token = Token{ID: id, Name: s.Name, Scopes: s.Scopes, Created: time.UnixMilli(s.Created).UTC()}
	if ms, err := strconv.ParseInt(used, 10, 64); err == nil {
		token.Used = time.UnixMilli(ms).UTC()
	}
	return token, s.Hash, nil
}

// List returns all tokens, the oldest first.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	values, err := t.rdb.HGetAll(ctx, t.key()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the tokens", t.key())
	}
	used, err := t.rdb.HGetAll(ctx, t.used()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "when tokens were used", t.used())
	}
	all := []Token{}
	for id, value := range values {
		token, _, err := t.parse(id, value, used[id])
		if err != nil {
			return nil, err
		}
		all = append(all, token)
	}
	slices.SortFunc(all, func(a, b Token) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return all, nil
}

// Revoke takes a token away, by its id or a unique beginning of it. The error is of the
// kind failure.ErrInvalid when there is none.
func (t *Tokens) Revoke(ctx context.Context, prefix string) (Token, error) {
	all, err := t.List(ctx)
	if err != nil {
		return Token{}, err
	}
	var found []Token
	for _, token := range all {
		if prefix != "" && strings.HasPrefix(token.ID, prefix) {
			found = append(found, token)
		}
	}
	switch {
	case len(found) == 0:
		return Token{}, failure.Invalid(fmt.Sprintf("no token %q: broadside token ls lists them", prefix))
	case len(found) > 1:
		return Token{}, failure.Invalid(fmt.Sprintf("%d tokens begin with %q: write more of the id", len(found), prefix))
	}
	token := found[0]
	if err := t.rdb.HDel(ctx, t.key(), token.ID).Err(); err != nil {
		return Token{}, fmt.Errorf("revoke token %s: %w", token.ID, err)
	}
	_ = t.rdb.HDel(ctx, t.used(), token.ID).Err() // it is of no use, and does no harm
	return token, nil
}
