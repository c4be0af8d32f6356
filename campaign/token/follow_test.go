package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/token"
)

var (
	sent  = time.Unix(1_790_000_000, 0)
	links = []token.Link{
		{Number: 1, Of: 1, Target: "https://acme.example/"},
		{Number: 3, Of: 12, Target: "https://acme.example/a/b?c=d&e=%20#f"},
		{Number: 250, Of: 250, Target: "http://acme.example/" + strings.Repeat("x", token.MaxTarget-20)},
	}
)

// A click on a link leads to its target, and names its reader.
func TestClickOpens(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA, secretB)
	reader := string(k.AppendReader([]byte("before"), "october-20261001T070000Z", 3, 70_000, sent))[len("before"):]
	want := token.Reader{Ref: token.Ref("october-20261001T070000Z"), Part: 3, Index: 70_000, Sent: sent}
	if got, err := k.ParseReader(reader); err != nil || got != want || len(reader) != 40 {
		t.Errorf("ParseReader(%s): got %+v, %v, want %+v of 40 characters", reader, got, err, want)
	}

	for _, l := range links {
		text := reader + string(k.AppendLink(nil, l))
		got, err := keys(t, secretB, secretA).OpenClick(text)
		if diff := cmp.Diff(token.Click{Link: l, Reader: want, Known: true}, got); diff != "" || err != nil {
			t.Errorf("OpenClick: %v (-want +got):\n%s", err, diff)
		}
		if len(text) > 1500 {
			t.Errorf("a link of %d bytes has tokens of %d", len(l.Target), len(text))
		}

		// The link leads on although the reader is not known.
		for _, changed := range []string{strings.Repeat("A", 40), reader[:39] + "!", "x" + reader[1:]} {
			got, err := k.OpenClick(changed + text[40:])
			if err != nil || got.Target != l.Target || got.Known {
				t.Errorf("OpenClick of the reader %q: got %+v, %v", changed, got, err)
			}
		}
	}
}

func TestEveryChangeOfALinkIsRefused(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	sealed := string(k.AppendLink(nil, links[1]))
	changes(sealed, func(changed string) {
		if got, err := k.OpenLink(changed); !errors.Is(err, token.ErrToken) || got.Target != "" {
			t.Errorf("OpenLink(%q) of the changed %q: got %+v, %v", changed, sealed, got, err)
		}
	})
	reader := string(k.AppendReader(nil, "run", 1, 2, sent))
	changes(reader, func(changed string) {
		if _, err := k.ParseReader(changed); !errors.Is(err, token.ErrToken) {
			t.Errorf("ParseReader(%q) of the changed %q: got %v", changed, reader, err)
		}
	})
	if _, err := keys(t, secretB).OpenLink(sealed); !errors.Is(err, token.ErrToken) {
		t.Errorf("OpenLink with another secret: got %v", err)
	}
	for _, text := range []string{"", "A", strings.Repeat("A", 40), strings.Repeat("A", 5000)} {
		if _, err := k.OpenClick(text); !errors.Is(err, token.ErrToken) {
			t.Errorf("OpenClick(%q): got %v", text, err)
		}
	}
}

// Links are published. A stranger who has one must not be able to return the message, or to
// unsubscribe its reader.
func TestPurposesOfLinksDoNotMix(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	link := string(k.AppendLink(nil, links[0]))
	reader := string(k.AppendReader(nil, "run", 0, 0, sent))
	for _, text := range []string{link, reader, reader + link, k.Message("run", 0, 0), k.Seal(unsubscribes[0].u)} {
		_, unsubscribe := k.Open(text)
		_, message := k.ParseMessage(text)
		_, asLink := k.OpenLink(text)
		_, asReader := k.ParseReader(text)
		opens := 0
		for _, err := range []error{unsubscribe, message, asLink, asReader} {
			if err == nil {
				opens++
			}
		}
		if opens > 1 || opens == 0 && text != reader+link {
			t.Errorf("%q opens as %d kinds of tokens", text, opens)
		}
	}
}

// Nothing but an absolute web address ever becomes a redirect, even in a token that is
// authentic.
func TestOnlyWebAddressesAreTargets(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	for target, want := range map[string]bool{
		"https://acme.example": true, "HTTP://acme.example/x": true, "https://[2001:db8::1]/": true, "https://a.example/?u=https://b.example": true,
		"": false, "acme.example": false, "/path": false, "//acme.example": false, "javascript:alert(1)": false, "ftp://acme.example/": false,
		"mailto:a@acme.example": false, "https:acme.example": false, "https://": false, "https:///x": false,
		"https://acme.example/\r\nSet-Cookie: a=b": false, "https://acme.example/a b": false, "https://acme.example/ü": false, "https://acme.example/\x00": false,
		"https://acme.example/" + strings.Repeat("x", token.MaxTarget): false,
	} {
		if got := token.IsTarget(target); got != want {
			t.Errorf("IsTarget(%q): got %t", target, got)
		}
		_, err := k.OpenLink(string(k.AppendLink(nil, token.Link{Number: 1, Of: 1, Target: target})))
		if (err == nil) != want {
			t.Errorf("OpenLink of a token for %q: got %v", target, err)
		}
	}
}

func FuzzOpenClick(f *testing.F) {
	k := keys(f, secretA)
	reader := string(k.AppendReader(nil, "run", 1, 2, sent))
	for _, l := range links {
		link := string(k.AppendLink(nil, l))
		f.Add(reader + link)
		f.Add(link)
		f.Add(reader + link[:len(link)-1])
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := k.OpenClick(s)
		if err != nil {
			if !errors.Is(err, token.ErrToken) || c != (token.Click{}) {
				t.Fatalf("OpenClick(%q): got %+v, %v", s, c, err)
			}
			return
		}
		if !token.IsTarget(c.Target) || !strings.HasSuffix(s, string(k.AppendLink(nil, c.Link))) {
			t.Fatalf("%q opens as %+v, which seals to another text", s, c)
		}
		if c.Known && string(k.AppendReader(nil, "run", c.Reader.Part, c.Reader.Index, c.Reader.Sent)) != s[:40] && c.Reader.Ref == token.Ref("run") {
			t.Fatalf("%q names %+v, which signs to another text", s, c.Reader)
		}
	})
}

func FuzzParseReader(f *testing.F) {
	k := keys(f, secretA)
	f.Add(string(k.AppendReader(nil, "run", 0, 0, sent)))
	f.Add(string(k.AppendReader(nil, "run", 255, 1<<32-1, time.Unix(1<<32-1, 0))))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := k.ParseReader(s)
		if err != nil {
			if !errors.Is(err, token.ErrToken) || r != (token.Reader{}) {
				t.Fatalf("ParseReader(%q): got %+v, %v", s, r, err)
			}
			return
		}
		if r.Ref == token.Ref("run") && string(k.AppendReader(nil, "run", r.Part, r.Index, r.Sent)) != s {
			t.Fatalf("%q parses as %+v, which signs to another text", s, r)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	k := keys(b, secretA)
	dst := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		k.AppendReader(dst[:0], "october-news-20261001T070000Z", 1, 12345, sent)
	}
}

// Links in letters that are delivered must outlive an upgrade: these tokens were made by
// version 1 and must open for ever.
func TestOldLinksStillOpen(t *testing.T) {
	t.Parallel()
	k := keys(t, secretA)
	const text = "EZW3WiqjMDTJzQMAARFwarE7gJzweuT49Y2PF_-A" +
		"EZVMdjVXpzkJU9Qj3iLafjITRjU618-XIIlriZkf-7P0hec2HZbcDd1kpckPwUegygoSzq3elo-9McwKV0Cij491SmQ"
	want := token.Click{
		Link: links[1], Known: true,
		Reader: token.Reader{Ref: token.Ref("october-news-20261001T070000Z"), Part: 3, Index: 70_000, Sent: sent},
	}
	got, err := k.OpenClick(text)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		now := k.AppendLink(k.AppendReader(nil, "october-news-20261001T070000Z", 3, 70_000, sent), links[1])
		t.Errorf("OpenClick: %v (now it would be %s) (-want +got):\n%s", err, now, diff)
	}
}
