package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"broadside/campaign/token"

	"github.com/google/go-cmp/cmp"
)

var asked = token.Subscribe{
	Form: "newsletter", Address: "Ada@example.org", Fields: map[string]string{"first_name": "Ada <&\"é"}, Text: "0123456789ab", Language: "de",
	Source: "page", Network: "192.0.2.0/24", Asked: time.Date(2026, 10, 1, 7, 0, 0, 123e6, time.UTC),
}

func sealed(t testing.TB, k *token.Keys, s token.Subscribe) string {
	t.Helper()
	text, err := k.SealSubscribe(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSubscribeOpens(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]token.Subscribe{"full": asked, "bare": {Form: "n", Address: "a@example.org", Asked: asked.Asked}} {
		text := sealed(t, keys(t, secretA), s)
		got, err := keys(t, secretB, secretA).OpenSubscribe(text) // the secret that made it comes second by now
		if diff := cmp.Diff(s, got); err != nil || diff != "" {
			t.Errorf("%s: %v, opened (-want +got):\n%s", name, err, diff)
		}
		if again := sealed(t, keys(t, secretA), s); again != text {
			t.Errorf("%s: sealed again as %s, want %s", name, again, text)
		}
		if strings.Contains(text, "=") || token.Cut(text) != text {
			t.Errorf("%s: %s is not safe in a link", name, text)
		}
	}
}

// Every change of a token, and every token of another kind or secret, gets one answer.
func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	s := sealed(t, k, asked)
	changes(s, func(changed string) {
		if _, err := k.OpenSubscribe(changed); !errors.Is(err, token.ErrToken) {
			t.Errorf("OpenSubscribe(%q): got %v, want ErrToken", changed, err)
		}
	})
	for name, other := range map[string]string{
		"empty": "", "unsubscribe": k.Seal(unsubscribes[0].u), "message": k.Message("run", 1, 2), "another secret": sealed(t, keys(t, secretB), asked),
	} {
		if _, err := k.OpenSubscribe(other); !errors.Is(err, token.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", name, err)
		}
	}
	if _, err := k.Open(s); !errors.Is(err, token.ErrToken) {
		t.Errorf("it opens as an unsubscribe link: %v", err)
	}
	long := asked
	long.Fields = map[string]string{"first_name": strings.Repeat("x", 2000)}
	if text, err := k.SealSubscribe(long); err == nil {
		t.Errorf("sealed %d characters, which do not open again", len(text))
	}
}

// What opens was sealed, and comes out as it went in.
func FuzzOpenSubscribe(f *testing.F) {
	k := keys(f, secretA)
	f.Add(sealed(f, k, asked))
	f.Add("")
	f.Add(k.Seal(unsubscribes[0].u))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := k.OpenSubscribe(text)
		if err != nil {
			if !errors.Is(err, token.ErrToken) {
				t.Fatalf("got %v, want ErrToken", err)
			}
			return
		}
		if again := sealed(t, k, s); again != text {
			t.Errorf("%q opens, and is sealed again as %q", text, again)
		}
	})
}
