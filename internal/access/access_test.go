package access_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/internal/access"
	"broadside/internal/failure"
	"broadside/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTokens(t *testing.T) (*access.Tokens, *redis.Client) {
	t.Helper()
	opts, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	return access.New(rdb, "bs"), rdb
}

func TestTokens(t *testing.T) {
	t.Parallel()
	tokens, rdb := newTokens(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	made, text, err := tokens.Create(t.Context(), "shop", []string{access.Send, access.Send}, now)
	if err != nil || made.Name != "shop" || !slices.Equal(made.Scopes, []string{access.Send}) || !strings.HasPrefix(text, "bs_"+made.ID+"_") {
		t.Fatalf("got %+v, %q, %v", made, text, err)
	}
	_, other, err := tokens.Create(t.Context(), "", []string{access.Send}, now.Add(time.Second))
	if err != nil || other == text {
		t.Fatalf("got %q, %v", other, err)
	}

	// Nothing in Redis can be used as a token.
	secret := text[len("bs_")+len(made.ID)+1:]
	if stored := fmt.Sprint(rdb.HGetAll(t.Context(), "bs:tokens").Val()); strings.Contains(stored, secret) {
		t.Errorf("stored: %s", stored)
	}

	for name, tt := range map[string]struct {
		text, scope string
		want        error
	}{
		"good":               {text, access.Send, nil},
		"for another thing":  {text, "read", access.ErrScope},
		"another secret":     {text[:len(text)-1] + flipped(text), access.Send, access.ErrUnknown},
		"another id":         {"bs_" + strings.Repeat("a", 8) + text[11:], access.Send, access.ErrUnknown},
		"secret of another":  {text[:12] + other[12:], access.Send, access.ErrUnknown},
		"nothing":            {"", access.Send, access.ErrUnknown},
		"cut":                {text[:len(text)-1], access.Send, access.ErrUnknown},
		"longer":             {text + "a", access.Send, access.ErrUnknown},
		"in capitals":        {strings.ToUpper(text), access.Send, access.ErrUnknown},
		"the stored hash":    {"bs_" + made.ID + "_" + strings.Repeat("a", 52), access.Send, access.ErrUnknown},
		"with a line break":  {text[:20] + "\n" + text[21:], access.Send, access.ErrUnknown},
		"the id without end": {"bs_" + made.ID, access.Send, access.ErrUnknown},
	} {
		got, err := tokens.Check(t.Context(), tt.text, tt.scope, now)
		if !errors.Is(err, tt.want) || tt.want == nil && got.ID != made.ID {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, tt.want)
		}
	}

	all, err := tokens.List(t.Context())
	if err != nil || len(all) != 2 || all[0].ID != made.ID || !all[0].Used.Equal(now) || !all[1].Used.IsZero() {
		t.Errorf("list: %+v, %v", all, err)
	}
	// When it was used is written once a minute.
	for _, tt := range []struct{ at, want time.Duration }{{30 * time.Second, 0}, {90 * time.Second, 90 * time.Second}} {
		if _, err := tokens.Check(t.Context(), text, access.Send, now.Add(tt.at)); err != nil {
			t.Fatal(err)
		}
		if all, err := tokens.List(t.Context()); err != nil || all[0].Used.Sub(now) != tt.want {
			t.Errorf("used after %s: got %s, %v, want %s", tt.at, all[0].Used.Sub(now), err, tt.want)
		}
	}

	if _, err := tokens.Revoke(t.Context(), "nothing"); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("revoke nothing: %v", err)
	}
	if _, err := tokens.Revoke(t.Context(), ""); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("revoke every one: %v", err)
	}
	if gone, err := tokens.Revoke(t.Context(), made.ID[:7]); err != nil || gone.ID != made.ID {
		t.Errorf("revoke: %+v, %v", gone, err)
	}
	if _, err := tokens.Check(t.Context(), text, access.Send, now); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("after it was revoked: %v", err)
	}
	if _, err := tokens.Check(t.Context(), other, access.Send, now); err != nil {
		t.Errorf("the other: %v", err)
	}
}

// flipped returns another last character.
func flipped(text string) string {
	if strings.HasSuffix(text, "a") {
		return "b"
	}
	return "a"
}

func TestNewTokensAreChecked(t *testing.T) {
	t.Parallel()
	tokens, _ := newTokens(t)
	for want, tt := range map[string]struct {
		name   string
		scopes []string
	}{
		"scope of a token: missing": {"shop", nil},
		"did you mean send?":        {"shop", []string{"sned"}},
		"name of a token":           {"a\nb", []string{access.Send}},
		"at most 100 bytes":         {strings.Repeat("x", 101), []string{access.Send}},
	} {
		if _, _, err := tokens.Create(t.Context(), tt.name, tt.scopes, time.Now()); !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A token that cannot be read is trouble, and lets no one in.
func TestADamagedToken(t *testing.T) {
	t.Parallel()
	tokens, rdb := newTokens(t)
	made, text, err := tokens.Create(t.Context(), "", []string{access.Send}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.HSet(t.Context(), "bs:tokens", made.ID, "{").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Check(t.Context(), text, access.Send, time.Now()); err == nil || !strings.Contains(err.Error(), made.ID) {
		t.Errorf("got %v", err)
	}
}
