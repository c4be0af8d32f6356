package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/token"
	"broadside/internal/web"
)

// Mail programs, proxies and trackers add to links; people copy them with what
// stands next to them.
func TestLengthenedLinksUnsubscribe(t *testing.T) {
	t.Parallel()
	s := newSite(t, web.Config{
		Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: "https://acme.example/n%C3%A9ws/letters",
	}, nil)
	sealed := s.keys.Seal(link)
	for _, path := range []string{
		"/u/TOKEN", "/u/TOKEN/", "/u/TOKEN//", "//u/TOKEN", "/u//TOKEN", "/u/./TOKEN", "/u/%20TOKEN", "/u/%3CTOKEN%3E",
		"/u/TOKEN>", "/u/TOKEN%3E", "/u/TOKEN%253E", "/u/TOKEN)", "/u/TOKEN).", "/u/TOKEN.", "/u/TOKEN,", "/u/TOKEN;", "/u/TOKEN%20", "/u/TOKEN%0D%0A",
		"/u/TOKEN%22", "/u/TOKEN'", "/u/TOKEN]", "/u/TOKEN=", "/u/TOKEN*", "/u/TOKEN%C2%A0", "/u/TOKEN%E2%80%8B", "/u/TOKEN%FF",
		"/u/TOKEN_", "/u/_TOKEN_", "/u/TOKEN--", "/u/TOKEN-.",
		"/u/TOKEN&fbclid=x", "/u/TOKEN&amp;utm_source=y", "/u/TOKEN?utm_source=x&utm_medium=y", "/u/TOKEN/?fbclid=x", "/u/TOKEN/more/of/it", "/u/TOKEN%3Futm=x",
		"/n%C3%A9ws/letters/u/TOKEN", "/n%c3%a9ws/letters/u/TOKEN%3E", "/n%C3%A9ws//letters//u//TOKEN/",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			res, text := s.do(t, "POST", strings.Replace(path, "TOKEN", sealed, 1), form, "List-Unsubscribe=One-Click")
			if res.StatusCode != 200 || !strings.Contains(text, "You are unsubscribed") {
				t.Errorf("got %d %q, want 200 and that it is done", res.StatusCode, text)
			}
		})
	}
}

// The path of public_url is one way in; a path that only looks like it is none.
func TestPathOfThePublicURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		public, path string
		status       int
	}{
		{"https://acme.example/news", "/news/u/TOKEN", 200},
		{"https://acme.example/news", "/u/TOKEN", 200},
		{"https://acme.example/news", "/newsletter/u/TOKEN", 404},
		{"https://acme.example/news", "/other/u/TOKEN", 404},
		{"https://acme.example/news", "/news", 404},
		{"https://acme.example/news", "/news/healthz", 200},
		{"https://acme.example/news", "/readyz", 200},
		{"https://acme.example/news/", "/news/u/TOKEN", 200},
		{"https://acme.example/u", "/u/u/TOKEN", 200},
		{"https://acme.example/u", "/u/TOKEN", 200},
		{"https://acme.example", "/news/u/TOKEN", 404},
	} {
		t.Run(tt.public+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: tt.public}, nil)
			res, _ := s.do(t, "GET", strings.Replace(tt.path, "TOKEN", s.keys.Seal(link), 1), "", "")
			if res.StatusCode != tt.status {
				t.Errorf("got %d, want %d", res.StatusCode, tt.status)
			}
		})
	}
}

// A webhook is found by its name, under the path of the public URL and without it.
func TestWebhooksAreHandedOn(t *testing.T) {
	t.Parallel()
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hook "+r.PathValue("name"))
	})
	for _, tt := range []struct {
		path   string
		hooks  http.Handler
		status int
		want   string
	}{
		{"/hooks/ses", named, 200, "hook ses"},
		{"/news/hooks/ses/", named, 200, "hook ses"},
		{"//hooks//mailgun", named, 200, "hook mailgun"},
		{"/hooks/", named, 200, "hook "},
		{"/hooks", named, 404, "not found\n"},
		{"/other/hooks/ses", named, 404, "not found\n"},
		{"/hooks/ses", nil, 404, "not found\n"},
	} {
		s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: "https://acme.example/news", Hooks: tt.hooks}, nil)
		res, text := s.do(t, "POST", tt.path, "application/json", "{}")
		if res.StatusCode != tt.status || text != tt.want {
			t.Errorf("%s: got %d %q, want %d %q", tt.path, res.StatusCode, text, tt.status, tt.want)
		}
	}
}

// A request of a program is handed on with its path.
func TestTheAPIIsHandedOn(t *testing.T) {
	t.Parallel()
	programs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("path"))
	})
	for _, tt := range []struct {
		path   string
		api    http.Handler
		status int
		want   string
	}{
		{"/api/v1/send", programs, 200, "v1/send"},
		{"/news/api/v1/send", programs, 200, "v1/send"},
		{"/api/v1/send", nil, 404, "not found\n"},
		{"/apiv1/send", programs, 404, "not found\n"},
	} {
		s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: "https://acme.example/news", API: tt.api}, nil)
		res, text := s.do(t, "POST", tt.path, "application/json", "{}")
		if res.StatusCode != tt.status || text != tt.want {
			t.Errorf("%s: got %d %q, want %d %q", tt.path, res.StatusCode, text, tt.status, tt.want)
		}
	}
}

// recorder keeps whose unsubscribe was added last.
type recorder struct {
	applier
	last *campaign.Event
}

func (r recorder) Apply(_ context.Context, e campaign.Event) error {
	*r.last = e
	return nil
}

// What is not of the alphabet of a token never keeps a link from working, and
// never makes it that of somebody else.
func FuzzLink(f *testing.F) {
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		f.Fatalf("NewKeys: %v", err)
	}

	sealed := keys.Seal(link)
	for _, seed := range [][2]string{{"", ""}, {"/", ">"}, {" ", "&fbclid=x"}, {"<", "/?a=b"}, {"./", "%"}, {"", "\u00a0x"}, {"", "A"}} {
		f.Add(seed[0], seed[1])
	}

	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	f.Fuzz(func(t *testing.T, before, after string) {
		var last campaign.Event
		srv, err := web.New(web.Config{Keys: keys, Ready: ready, Feedback: recorder{last: &last}, PublicURL: "https://acme.example/news"})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		req := httptest.NewRequest("POST", "/", strings.NewReader("List-Unsubscribe=One-Click"))
		req.URL = &url.URL{Path: "/news" + token.Path + before + sealed + after}
		rec := httptest.NewRecorder()
		srv.Handler().ServeHTTP(rec, req)

		whole := !strings.ContainsAny(before, alphabet) && (after == "" || !strings.ContainsAny(after[:1], alphabet))
		if whole && rec.Code != 200 {
			t.Errorf("%q TOKEN %q: got %d, want 200", before, after, rec.Code)
		}
		if rec.Code == 200 && last.Recipient != link.Address {
			t.Errorf("%q TOKEN %q: unsubscribed %q", before, after, last.Recipient)
		}
	})
}
