package token_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"broadside/campaign/token"

	"github.com/google/go-cmp/cmp"
)

const (
	secretA = "a: 32 bytes of a secret for tests"
	secretB = "b: 32 bytes of a secret for tests"
)

func keys(t testing.TB, secrets ...string) *token.Keys {
	t.Helper()
	k, err := token.NewKeys(secrets)
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}
	return k
}

var unsubscribes = []struct {
	name string
	u    token.Unsubscribe
}{
	{"usual", token.Unsubscribe{Topic: "newsletter", Run: "october-news-20261001T070000Z", Address: "Reader@example.com"}},
	{"test link", token.Unsubscribe{Topic: "newsletter", Run: "test", Address: "me@example.com", Test: true}},
	{"no run", token.Unsubscribe{Topic: "news", Address: "a@example.com"}},
	{"empty", token.Unsubscribe{}},
	{"utf-8", token.Unsubscribe{Topic: "nachrichten für alle", Run: "r", Address: "jürgen@example.com"}},
	{"long", token.Unsubscribe{Topic: strings.Repeat("t", 64), Run: strings.Repeat("r", 128), Address: strings.Repeat("l", 64) + "@" + strings.Repeat("d", 190)}},
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA, secretB)
	alphabet := regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	for _, tt := range unsubscribes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := k.Seal(tt.u)
			if !alphabet.MatchString(s) {
				t.Errorf("token %q is not safe in a URL", s)
			}

			got, err := k.Open(s)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}

			if diff := cmp.Diff(tt.u, got); diff != "" {
				t.Errorf("opened (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"", ""}, {"aZ0-_", "aZ0-_"}, {"a>", "a"}, {"<a>", "a"}, {"a b", "a"}, {"/./a", "a"}, {"a%", "a"}, {"a=", "a"}, {"aé", "a"}, {"éa", "a"}, {"a\xff", "a"}, {"\xffa", "a"}, {"...", ""},
	} {
		if got := token.Cut(tt.text); got != tt.want {
			t.Errorf("Cut(%q): got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestTokensAreDeterministic(t *testing.T) {
	t.Parallel()
	u := unsubscribes[0].u
	if a, b := keys(t, secretA).Seal(u), keys(t, secretA).Seal(u); a != b {
		t.Errorf("two processes sealed\n%s\n%s", a, b)
	}
	if a, b := keys(t, secretA).Message("run", 1, 2), keys(t, secretA).Message("run", 1, 2); a != b {
		t.Errorf("two processes signed %s and %s", a, b)
	}
}

// Links in mail that is already delivered must outlive an upgrade: these
// tokens were made by version 1 and must open for ever.
func TestOldTokensStillOpen(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	const sealed = "EZVKvUJJYAoDboyE4_NuFtkouDUB4THARJFVNSFIY0_xzb9vH-CF8HWJARBe3LBP87pZBjGsj2WWSx-zfqnXZoH0dBjXCf0DUV7iYW_dialqYiboFJFvvUC9fw"
	got, err := k.Open(sealed)
	if err != nil {
		t.Fatalf("Open: %v (now it would be %s)", err, k.Seal(unsubscribes[0].u))
	}

	if diff := cmp.Diff(unsubscribes[0].u, got); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}

	const message = "cgk3owrkumydjsonamaacelqz3oksajibthqmyb2"
	m, err := k.ParseMessage(message)
	if err != nil {
		t.Fatalf("ParseMessage: %v (now it would be %s)", err, k.Message("october-news-20261001T070000Z", 3, 70000))
	}

	if diff := cmp.Diff(token.Message{Ref: token.Ref("october-news-20261001T070000Z"), Part: 3, Index: 70000}, m); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
}

// A retry after an upgrade must send the message that was meant before it; and
// those who make tokens at the same time get their own.
func TestTokensStayTheSame(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, tt := range unsubscribes {
				want := k.Seal(tt.u)
				if got := string(k.AppendSeal([]byte("before"), tt.u)); got != "before"+want {
					t.Errorf("%s: appended %q, want %q", tt.name, got, want)
				}
			}

			for index := range 100 {
				want := k.Message("run", 3, index)
				if got := string(k.AppendMessage(make([]byte, 0, 1000), "run", 3, index)); got != want {
					t.Errorf("message %d: appended %q, want %q", index, got, want)
				}
				if m, err := k.ParseMessage(want); err != nil || m.Index != index {
					t.Errorf("message %d: parsed as %v, %v", index, m, err)
				}
			}

			const sealed = "EZVKvUJJYAoDboyE4_NuFtkouDUB4THARJFVNSFIY0_xzb9vH-CF8HWJARBe3LBP87pZBjGsj2WWSx-zfqnXZoH0dBjXCf0DUV7iYW_dialqYiboFJFvvUC9fw"
			if got := k.Seal(unsubscribes[0].u); got != sealed {
				t.Errorf("sealed %s, want %s", got, sealed)
			}

			const message = "cgk3owrkumydjsonamaacelqz3oksajibthqmyb2"
			if got := k.Message("october-news-20261001T070000Z", 3, 70000); got != message {
				t.Errorf("signed %s, want %s", got, message)
			}
		})
	}

	all.Wait()
}

func TestEveryChangeIsRefused(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	for _, tt := range unsubscribes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := k.Seal(tt.u)
			changes(s, func(changed string) {
				if _, err := k.Open(changed); !errors.Is(err, token.ErrToken) {
					t.Errorf("Open(%q) of the changed %q: got %v, want ErrToken", changed, s, err)
				}
			})
			raw, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				t.Fatalf("decode: %v", err)
			}

			for i := range raw {
				raw[i] ^= 0x10
				if _, err := k.Open(base64.RawURLEncoding.EncodeToString(raw)); !errors.Is(err, token.ErrToken) {
					t.Errorf("Open with byte %d changed: got %v, want ErrToken", i, err)
				}
				raw[i] ^= 0x10
			}
		})
	}

	t.Run("message", func(t *testing.T) {
		t.Parallel()
		s := k.Message("run", 2, 77)
		changes(s, func(changed string) {
			if strings.EqualFold(changed, s) {
				return
			}
			if _, err := k.ParseMessage(changed); !errors.Is(err, token.ErrToken) {
				t.Errorf("ParseMessage(%q) of the changed %q: got %v, want ErrToken", changed, s, err)
			}
		})
	})
}

// changes calls f with s cut, prolonged, and with each character replaced.
func changes(s string, f func(string)) {
	for i := range len(s) {
		for _, b := range []byte("aA2_-=. \n\x00\xff") {
			if s[i] != b {
				f(s[:i] + string([]byte{b}) + s[i+1:])
			}
		}
		f(s[:i])
		f(s[:i] + s[i+1:])
	}

	for _, tail := range []string{"A", "=", "==", "\n", "\r", " ", "/"} {
		f(s + tail)
		f(tail + s)
	}

	f(s + s)
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	u := unsubscribes[0].u
	old := keys(t, secretA)
	sealed := old.Seal(u)
	signed := old.Message("run", 0, 1)

	for name, k := range map[string]*token.Keys{
		"new first": keys(t, secretB, secretA),
		"old first": keys(t, secretA, secretB),
		"doubled":   keys(t, secretB, secretB, secretA),
	} {
		if got, err := k.Open(sealed); err != nil || got != u {
			t.Errorf("%s: Open of the old token: got %+v, %v", name, got, err)
		}
		if _, err := k.ParseMessage(signed); err != nil {
			t.Errorf("%s: ParseMessage of the old token: %v", name, err)
		}
	}

	if keys(t, secretB, secretA).Seal(u) == sealed {
		t.Error("the first secret does not seal")
	}

	gone := keys(t, secretB)
	if _, err := gone.Open(sealed); !errors.Is(err, token.ErrToken) {
		t.Errorf("Open without the old secret: got %v, want ErrToken", err)
	}
	if _, err := gone.ParseMessage(signed); !errors.Is(err, token.ErrToken) {
		t.Errorf("ParseMessage without the old secret: got %v, want ErrToken", err)
	}
}

func TestMessageFitsInALocalPart(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	long := strings.Repeat("campaign", 10) + "-20261001T070000Z"
	for _, tt := range []struct {
		run         string
		part, index int
	}{
		{"r", 0, 0}, {long, 11, 999_999}, {long, 255, 1<<32 - 1},
	} {
		s := k.Message(tt.run, tt.part, tt.index)
		if len(token.Prefix+s) > 64 || !regexp.MustCompile(`^[0-9a-z]{40}$`).MatchString(s) {
			t.Errorf("token %q: not 40 of [0-9a-z]", s)
		}

		want := token.Message{Ref: token.Ref(tt.run), Part: tt.part, Index: tt.index}
		for _, form := range []string{s, strings.ToUpper(s), strings.ToUpper(s[:7]) + s[7:]} {
			got, err := k.ParseMessage(form)
			if err != nil {
				t.Errorf("ParseMessage(%q): %v", form, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("parsed %q (-want +got):\n%s", form, diff)
			}
		}
	}
}

// A return path that opened as an unsubscribe link (or the other way round)
// would let a bounce unsubscribe its reader.
func TestPurposesDoNotMix(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	if _, err := k.Open(k.Message("run", 0, 0)); !errors.Is(err, token.ErrToken) {
		t.Errorf("Open of a message token: got %v, want ErrToken", err)
	}
	if _, err := k.ParseMessage(k.Seal(unsubscribes[0].u)); !errors.Is(err, token.ErrToken) {
		t.Errorf("ParseMessage of an unsubscribe token: got %v, want ErrToken", err)
	}
}

func TestNewKeysRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		secrets []string
		want    string
	}{
		{"none", nil, "no secret is configured"},
		{"short", []string{secretA, "short"}, "secret 2 has 5 bytes, expected at least 32"},
		{"empty", []string{""}, "secret 1 has 0 bytes, expected at least 32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := token.NewKeys(tt.secrets)
			if err == nil || err.Error() != tt.want {
				t.Errorf("NewKeys: got %v, want %q", err, tt.want)
			}
		})
	}
}

// What opens must seal to the same text: there is exactly one token for a
// content under a key.
func FuzzOpen(f *testing.F) {
	k := keys(f, secretA)
	for _, tt := range unsubscribes {
		s := k.Seal(tt.u)
		f.Add(s)
		f.Add(s[:len(s)-1])
		f.Add(s + "\n")
	}

	f.Add("")
	f.Add("====")
	f.Add(strings.Repeat("A", 4096))
	f.Fuzz(func(t *testing.T, s string) {
		u, err := k.Open(s)
		if err != nil {
			if !errors.Is(err, token.ErrToken) || u != (token.Unsubscribe{}) {
				t.Fatalf("Open(%q): got %+v, %v", s, u, err)
			}
			return
		}

		if again := k.Seal(u); again != s {
			t.Fatalf("%q opens, but its content seals to %q", s, again)
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	k := keys(f, secretA)
	for _, s := range []string{k.Message("run", 0, 0), k.Message("run", 255, 1<<32-1)} {
		f.Add(s)
		f.Add(strings.ToUpper(s))
		f.Add(s[1:])
		f.Add(token.Prefix + s)
	}

	f.Add("")
	f.Add(strings.Repeat("a", 39) + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := k.ParseMessage(s)
		if err != nil {
			if !errors.Is(err, token.ErrToken) || m != (token.Message{}) {
				t.Fatalf("ParseMessage(%q): got %+v, %v", s, m, err)
			}
			return
		}

		if again := k.Message("run", m.Part, m.Index); m.Ref == token.Ref("run") && again != strings.ToLower(s) {
			t.Fatalf("%q parses, but its content signs to %q", s, again)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := keys(b, secretA)
	b.ReportAllocs()
	for b.Loop() {
		k.Seal(unsubscribes[0].u)
	}
}

func BenchmarkMessage(b *testing.B) {
	k := keys(b, secretA)
	b.ReportAllocs()
	for b.Loop() {
		k.Message("october-news-20261001T070000Z", 1, 12345)
	}
}
