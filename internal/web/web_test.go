package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/feedback"
	"broadside/internal/store"
	"broadside/internal/testkit"
	"broadside/internal/web"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const reader = "reader@example.com"

var link = token.Unsubscribe{Topic: "news", Run: "october-20261001T070000Z", Address: reader}

// site is a server on a real suppression list.
type site struct {
	keys *token.Keys
	list *suppression.Store
	http *httptest.Server
	log  *testkit.Log
	told *testkit.Log // the runs whose unsubscribes were counted
}

// onBoth runs test on an embedded store and on a real Redis.
func onBoth(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) (*store.Store, error){
		"embedded": func(t *testing.T) (*store.Store, error) { return store.OpenEmbedded(t.Context(), nil) },
		"redis": func(t *testing.T) (*store.Store, error) {
			return store.Open(t.Context(), store.Options{URL: testkit.Redis(t)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := open(t)
			if err != nil {
				t.Fatalf("open store: %v", err)
			}
			t.Cleanup(func() {
				if err := st.Close(); err != nil {
					t.Errorf("close store: %v", err)
				}
			})
			list := suppression.New(st.Client(), "bs", st.Lua)
			test(t, newSite(t, web.Config{
				Ready: func(ctx context.Context) error { return st.Client().Ping(ctx).Err() },
			}, list))
		})
	}
}

// A counter is a ledger that has every run, and writes down the runs whose events it
// counts, once for each person.
type counter struct {
	feedback.Ledger
	runs io.Writer
	seen sync.Map
}

func (c *counter) Record(_ context.Context, id string) (*ledger.Record, error) {
	return &ledger.Record{ID: id, Attempt: "a"}, nil
}

func (c *counter) CountAfter(_ context.Context, run *ledger.Run, all []ledger.After) ([]bool, error) {
	if _, again := c.seen.LoadOrStore(run.ID+all[0].Person, true); again {
		return make([]bool, len(all)), nil
	}
	_, err := io.WriteString(c.runs, run.ID+"\n")
	return make([]bool, len(all)), err
}

// newSite starts a server on list, if cfg has no other feedback.
func newSite(t *testing.T, cfg web.Config, list *suppression.Store) *site {
	t.Helper()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}

	s := &site{keys: keys, list: list, log: &testkit.Log{}, told: &testkit.Log{}}
	cfg.Keys = keys
	cfg.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if list != nil {
		cfg.List = list
	}
	if cfg.Topics == nil {
		cfg.Topics = map[string]configs.Topic{"news": {Name: "Acme <News>"}}
	}
	if cfg.Feedback == nil {
		cfg.Feedback = feedback.New(feedback.Config{Suppression: list, Ledger: &counter{runs: s.told}, Log: cfg.Log})
	}

	srv, err := web.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}

	s.http = httptest.NewServer(srv.Handler())
	t.Cleanup(s.http.Close)
	return s
}

// do makes a request.
func (s *site) do(t *testing.T, method, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("make request: %v", err)
	}

	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}

	return exchange(t, req)
}

// exchange sends a request; a redirect is not followed.
func exchange(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}

	return res, string(text)
}

func (s *site) suppressed(t *testing.T) []suppression.Entry {
	t.Helper()
	results, err := s.list.Check(t.Context(), reader)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}

	var entries []suppression.Entry
	for _, r := range results {
		if r.Suppressed {
			entries = append(entries, suppression.Entry{Address: r.Address, Reason: r.Entry.Reason, Scope: r.Entry.Scope, Source: r.Entry.Source, Run: r.Entry.Run})
		}
	}

	return entries
}

const form = "application/x-www-form-urlencoded"

func multi(t *testing.T, name, value string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := errors.Join(w.WriteField(name, value), w.Close()); err != nil {
		t.Fatalf("write multipart: %v", err)
	}
	return w.FormDataContentType(), b.String()
}

func TestPostUnsubscribes(t *testing.T) {
	t.Parallel()
	multiType, multiBody := multi(t, "List-Unsubscribe", "One-Click")
	for _, tt := range []struct {
		name, suffix, contentType, body, source string
	}{
		{"urlencoded", "", form, "List-Unsubscribe=One-Click", "one-click"},
		{"multipart", "", multiType, multiBody, "one-click"},
		{"no content type", "", "", "List-Unsubscribe=One-Click", "one-click"},
		{"wrong content type", "", "text/plain", "List-Unsubscribe=One-Click\r\n", "one-click"},
		{"slash at the end", "/", form, "List-Unsubscribe=One-Click", "one-click"},
		{"the page", "", form, "confirm=yes", "page"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *site) {
				path := token.Path + s.keys.Seal(link) + tt.suffix
				for range 2 { // the second time is as good as the first
					res, text := s.do(t, "POST", path, tt.contentType, tt.body)
					if res.StatusCode != 200 || !strings.Contains(text, "You are unsubscribed") || !strings.Contains(text, "Acme &lt;News&gt; to r***@example.com") {
						t.Errorf("POST: got %d %q, want 200 and that it is done", res.StatusCode, text)
					}
				}
				want := []suppression.Entry{{Address: reader, Reason: "unsubscribe", Scope: "topic:news", Source: tt.source, Run: link.Run}}
				if diff := cmp.Diff(want, s.suppressed(t)); diff != "" {
					t.Errorf("suppressed (-want +got):\n%s", diff)
				}
				if got, want := s.told.String(), link.Run+"\n"; got != want {
					t.Errorf("counted for %q, want it once: %q", got, want)
				}
				if log := s.log.String(); strings.Contains(log, reader) || strings.Count(log, "msg=unsubscribed") != 1 || !strings.Contains(log, "new=true") {
					t.Errorf("log: got %q, want one line, without the address", log)
				}
			})
		})
	}
}

func TestWithoutATopicAllMailStops(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		_, text := s.do(t, "POST", token.Path+s.keys.Seal(token.Unsubscribe{Address: reader}), form, "confirm=yes")
		if got := s.suppressed(t); len(got) != 1 || got[0].Scope != "all" || !strings.Contains(text, "our messages") {
			t.Errorf("got %+v and %q, want the scope all", got, text)
		}
	})
}

// Scanners open every link: whatever is not the button, or a mail program's,
// changes nothing.
func TestNothingElseUnsubscribes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		path := token.Path + s.keys.Seal(link)
		test := link
		test.Test = true
		testPath := token.Path + s.keys.Seal(test)
		otherType, otherBody := multi(t, "something", "else")
		for _, tt := range []struct {
			name, method, path, contentType, body string
			status                                int
			want                                  string
		}{
			{"look", "GET", path, "", "", 200, `<button type="submit" name="leave" value="news" aria-label="Unsubscribe: Acme &lt;News&gt;">Unsubscribe</button>`},
			{"look with a query", "GET", path + "?List-Unsubscribe=One-Click&confirm=yes", "", "", 200, "<button"},
			{"look with a body", "GET", path, form, "List-Unsubscribe=One-Click", 200, "<button"},
			{"head", "HEAD", path, "", "", 200, ""},
			{"query of a post", "POST", path + "?List-Unsubscribe=One-Click&confirm=yes", form, "", 400, "<button"},
			{"empty post", "POST", path, form, "", 400, "<button"},
			{"other value", "POST", path, form, "List-Unsubscribe=Yes", 400, "<button"},
			{"other field", "POST", path, otherType, otherBody, 400, "<button"},
			{"broken urlencoding", "POST", path, form, "List-Unsubscribe=One-Click%zz", 400, "<button"},
			{"no boundary", "POST", path, "multipart/form-data", otherBody, 400, "<button"},
			{"large", "POST", path, form, "List-Unsubscribe=One-Click&x=" + strings.Repeat("x", 4096), 413, "<button"},
			{"large multipart", "POST", path, otherType, strings.Repeat("x", 8192), 413, "<button"},
			{"put", "PUT", path, form, "List-Unsubscribe=One-Click", 405, "method not allowed"},
			{"delete", "DELETE", path, "", "", 405, "method not allowed"},
			{"options", "OPTIONS", path, "", "", 405, "method not allowed"},
			{"look at a test link", "GET", testPath, "", "", 200, "This is a test link"},
			{"post to a test link", "POST", testPath, form, "List-Unsubscribe=One-Click", 200, "unsubscribes nobody"},
		} {
			res, text := s.do(t, tt.method, tt.path, tt.contentType, tt.body)
			if res.StatusCode != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("%s: got %d %q, want %d with %q", tt.name, res.StatusCode, text, tt.status, tt.want)
			}
		}
		if got := s.suppressed(t); got != nil {
			t.Errorf("suppressed: got %+v, want nobody", got)
		}
		if got := s.told.String(); got != "" {
			t.Errorf("counted for %q, want nothing", got)
		}
	})
}

func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		good := s.keys.Seal(link)
		foreign, err := token.NewKeys([]string{"32 bytes of a secret of others!!"})
		if err != nil {
			t.Fatalf("NewKeys: %v", err)
		}
		var first string
		for _, text := range []string{
			"x", "", "/", good[:len(good)-1], good + "A", "A" + good, "A/" + good, strings.ToLower(good),
			foreign.Seal(link), s.keys.Message("run", 0, 0), strings.Repeat("A", 3000), "..", "%2e%2e%2f", "%00",
		} {
			for _, method := range []string{"GET", "POST"} {
				res, body := s.do(t, method, token.Path+text, form, "List-Unsubscribe=One-Click")
				if res.StatusCode != 404 || res.Header.Get("Location") != "" {
					t.Errorf("%s %q: got %d, want 404 and no redirect", method, text, res.StatusCode)
				}
				if first == "" {
					first = body
				}
				if body != first || !strings.Contains(body, "This link does not work") {
					t.Errorf("%s %q: the answer differs:\n%s", method, text, cmp.Diff(first, body))
				}
			}
		}
	})
}

// An applier stands for feedback that fails, waits or panics.
type applier func() error

func (f applier) Apply(context.Context, campaign.Event) error { return f() }
func (applier) Run(context.Context)                           {}

func ready(context.Context) error { return nil }

func TestStoreAway(t *testing.T) {
	t.Parallel()
	away := errors.New("store is away")
	s := newSite(t, web.Config{
		Feedback: applier(func() error { return away }),
		Ready:    func(context.Context) error { return away },
	}, nil)
	path := token.Path + s.keys.Seal(link)
	res, text := s.do(t, "POST", path, form, "List-Unsubscribe=One-Click")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "30" || !strings.Contains(text, "<button") {
		t.Errorf("POST: got %d, Retry-After %q, %q, want 503, 30 and the button", res.StatusCode, res.Header.Get("Retry-After"), text)
	}

	if got := s.told.String(); got != "" {
		t.Errorf("counted for %q, which was not recorded", got)
	}
	if res, _ := s.do(t, "GET", path, "", ""); res.StatusCode != 200 {
		t.Errorf("GET: got %d, want 200: the page needs no store", res.StatusCode)
	}
	if res, text := s.do(t, "GET", "/readyz", "", ""); res.StatusCode != 503 || strings.Contains(text, away.Error()) {
		t.Errorf("/readyz: got %d %q, want 503 without the cause", res.StatusCode, text)
	}
	if res, _ := s.do(t, "GET", "/healthz", "", ""); res.StatusCode != 200 {
		t.Errorf("/healthz: got %d, want 200: the process is alive", res.StatusCode)
	}
}

// While the store is away, every try is answered 503, and the log says so once.
func TestAnOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
		if err != nil {
			t.Fatalf("NewKeys: %v", err)
		}
		away := errors.New("away")
		var log testkit.Log
		srv, err := web.New(web.Config{
			Keys: keys, Feedback: applier(func() error { return away }), Ready: ready, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		post := func(want int) {
			req := httptest.NewRequest("POST", token.Path+keys.Seal(link), strings.NewReader("confirm=yes"))
			rec := httptest.NewRecorder()
			srv.Handler().ServeHTTP(rec, req)
			if rec.Code != want {
				t.Errorf("POST: got %d, want %d", rec.Code, want)
			}
		}

		for range 100 {
			post(503)
		}
		away = nil
		time.Sleep(time.Second)
		post(200)
		said := strings.Count(log.String(), "cannot be noted")
		if said != 1 || !strings.Contains(log.String(), "unsubscribes are noted again") {
			t.Errorf("logged %d times, want once, and that it is over: %s", said, &log)
		}
	})
}

func TestPanicHasAnID(t *testing.T) {
	t.Parallel()
	s := newSite(t, web.Config{Feedback: applier(func() error { panic("secret cause") }), Ready: ready}, nil)
	res, text := s.do(t, "POST", token.Path+s.keys.Seal(link), form, "confirm=yes")
	id := regexp.MustCompile(`\(id ([A-Z0-9]{8})\)`).FindStringSubmatch(text)
	if res.StatusCode != 500 || id == nil || strings.Contains(text, "secret cause") {
		t.Fatalf("got %d %q, want 500 with an id and no cause", res.StatusCode, text)
	}
	if log := s.log.String(); !strings.Contains(log, "id="+id[1]) || !strings.Contains(log, "secret cause") {
		t.Errorf("log: got %q, want the id and the cause", log)
	}
}

func TestRoutesAndHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: "https://news.example"}, nil)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200},
		{"HEAD", "/healthz", 200},
		{"POST", "/healthz", 405},
		{"GET", "/readyz", 200},
		{"HEAD", "/readyz", 200},
		{"DELETE", "/readyz", 405},
		{"GET", "/", 404},
		{"POST", "/", 404},
		{"GET", "/u", 404},
		{"GET", "/news/healthz", 404},
		{"GET", "/favicon.ico", 404},
		{"GET", token.Path + s.keys.Seal(link), 200},
	} {
		res, _ := s.do(t, tt.method, tt.path, "", "")
		if res.StatusCode != tt.status {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, res.StatusCode, tt.status)
		}
		if tt.status == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", tt.method, tt.path)
		}
		for name, want := range map[string]string{
			"Referrer-Policy":           "no-referrer",
			"X-Content-Type-Options":    "nosniff",
			"X-Frame-Options":           "DENY",
			"Cache-Control":             "no-store",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s %s: %s: got %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		policy := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s %s: policy %q lacks %q", tt.method, tt.path, policy, want)
			}
		}
	}
}

// The page needs its stylesheet and nothing else, and the policy allows that.
func TestThePageLoadsItsStyleAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, PublicURL: "https://acme.example/news"}, nil)
	res, text := s.do(t, "GET", token.Path+s.keys.Seal(link), "", "")
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "style-src 'self'") || strings.Contains(policy, "script") {
		t.Errorf("policy %q: want style-src 'self', and no script", policy)
	}
	style := regexp.MustCompile(`<link rel="stylesheet" href="(/news/u/style-[0-9a-f]{16}\.css)">`).FindStringSubmatch(text)
	if style == nil {
		t.Fatalf("no stylesheet in %q", text)
	}

	for _, path := range []string{style[1], strings.TrimPrefix(style[1], "/news")} {
		res, css := s.do(t, "GET", path, "", "")
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(css, "body {") {
			t.Errorf("GET %s: got %d %s", path, res.StatusCode, res.Header.Get("Content-Type"))
		}
		if cache := res.Header.Get("Cache-Control"); cache != "public, max-age=31536000, immutable" {
			t.Errorf("GET %s: Cache-Control %q, want a year", path, cache)
		}
	}

	for _, want := range []string{`<html lang="en">`, `name="viewport"`, `<form method="post">`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "http") || strings.Contains(text, " style=") || strings.Contains(text, reader) {
		t.Errorf("the page loads something, or shows the whole address: %q", text)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}

	fine := applier(func() error { return nil })
	for name, cfg := range map[string]web.Config{
		"no keys":     {Feedback: fine, Ready: ready},
		"no feedback": {Keys: keys, Ready: ready},
		"no check":    {Keys: keys, Feedback: fine},
	} {
		if _, err := web.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
