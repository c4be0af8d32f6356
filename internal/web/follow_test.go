package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/token"
	"broadside/internal/report"
	"broadside/internal/runs"
	"broadside/internal/store"
	"broadside/internal/testkit"
	"broadside/internal/tracking"
	"broadside/internal/web"
	"broadside/templates/compose"

	"github.com/google/go-cmp/cmp"
)

// visits writes down what is counted.
type visits struct {
	mu  sync.Mutex
	all []tracking.Visit
}

func (v *visits) Count(one tracking.Visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	one.At = time.Time{}
	v.all = append(v.all, one)
}

func (*visits) Run(context.Context) {}

// taken returns what was counted since the last call.
func (v *visits) taken() []tracking.Visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.all
	v.all = nil
	return all
}

// followSite is a server whose store is away: links lead on without it.
func followSite(t *testing.T) (*site, *visits) {
	t.Helper()
	seen := &visits{}
	away := errors.New("store is away")
	s := newSite(t, web.Config{
		Feedback: applier(func() error { return away }), Ready: func(context.Context) error { return away },
		Tracking: seen, PublicURL: "https://acme.example/news",
	}, nil)
	return s, seen
}

func TestALinkLeadsOn(t *testing.T) {
	t.Parallel()
	s, seen := followSite(t)
	const target = "https://shop.example/a?b=c&d=%20#e"
	reader := string(s.keys.AppendReader(nil, "news-1", 3, 17, time.Unix(1_790_000_000, 0)))
	link := string(s.keys.AppendLink(nil, token.Link{Number: 2, Of: 5, Target: target}))
	want := tracking.Visit{
		Reader: token.Reader{Ref: token.Ref("news-1"), Part: 3, Index: 17, Sent: time.Unix(1_790_000_000, 0)}, Link: 2, Links: 5,
		Agent: "Go-http-client/1.1",
	}
	head := want
	head.Head = true

	for _, tt := range []struct {
		name, method, path string
		counted            []tracking.Visit
	}{
		{"GET", "GET", "/c/" + reader + link, []tracking.Visit{want}},
		{"HEAD", "HEAD", "/c/" + reader + link, []tracking.Visit{head}},
		{"under the path of the public URL", "GET", "/news/c/" + reader + link, []tracking.Visit{want}},
		{"with what mail programs add", "GET", "/c//" + reader + link + "/?utm_source=x", []tracking.Visit{want}},
		{"with what copying adds", "GET", "/c/" + reader + link + "_", []tracking.Visit{want}},
		{"a reader's token that is broken", "GET", "/c/" + strings.Repeat("A", 40) + link, nil},
	} {
		res, body := s.do(t, tt.method, tt.path, "", "")
		if res.StatusCode != http.StatusFound || res.Header.Get("Location") != target || body != "" {
			t.Errorf("%s: got %d to %q with %q, want 302 to %s", tt.name, res.StatusCode, res.Header.Get("Location"), body, target)
		}
		if res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: headers %v", tt.name, res.Header)
		}
		got := seen.taken()
		for i := range got {
			if !got[i].From.IsLoopback() {
				t.Errorf("%s: from %v", tt.name, got[i].From)
			}
			got[i].From = want.From
		}
		if diff := cmp.Diff(tt.counted, got, cmp.Comparer(func(a, b tracking.Visit) bool { return a == b })); diff != "" {
			t.Errorf("%s: counted (-want +got):\n%s", tt.name, diff)
		}
	}
}

// No text makes a redirect but what was sealed for a letter of ours.
func TestALinkThatDoesNotOpenIsADeadEnd(t *testing.T) {
	t.Parallel()
	s, seen := followSite(t)
	foreign, err := token.NewKeys([]string{"32 bytes of a secret of others!!"})
	if err != nil {
		t.Fatal(err)
	}
	reader := string(s.keys.AppendReader(nil, "news-1", 3, 17, time.Now()))
	good := string(s.keys.AppendLink(nil, token.Link{Number: 1, Of: 1, Target: "https://shop.example/"}))
	bad := string(s.keys.AppendLink(nil, token.Link{Number: 1, Of: 1, Target: "javascript:alert(1)"}))
	for _, text := range []string{
		"", "x", reader, good, reader + good[:len(good)-1], reader + "A" + good, reader + strings.ToLower(good), reader + bad,
		reader + string(foreign.AppendLink(nil, token.Link{Number: 1, Of: 1, Target: "https://evil.example/"})),
		"https://evil.example/", "%2f%2fevil.example", "?url=https://evil.example", s.keys.Seal(link), strings.Repeat("A", 3000),
	} {
		res, body := s.do(t, "GET", "/c/"+text, "", "")
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Location") != "" || !strings.Contains(body, "This link does not work") {
			t.Errorf("%q: got %d to %q: %s", text, res.StatusCode, res.Header.Get("Location"), body)
		}
	}
	if got := seen.taken(); got != nil {
		t.Errorf("counted %+v", got)
	}
	if res, _ := s.do(t, "POST", "/c/"+reader+good, "", ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", res.StatusCode)
	}
}

func TestThePictureIsAlwaysThere(t *testing.T) {
	t.Parallel()
	s, seen := followSite(t)
	reader := string(s.keys.AppendReader(nil, "news-1", 3, 17, time.Now()))
	for text, counted := range map[string]int{reader: 1, reader + ".gif": 1, reader[:39]: 0, "": 0, "x": 0, strings.Repeat("A", 3000): 0} {
		for _, method := range []string{"GET", "HEAD"} {
			res, body := s.do(t, method, "/o/"+text, "", "")
			want := "GIF89a"
			if method == "HEAD" {
				want = ""
			}
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/gif" || res.ContentLength != 43 || !strings.HasPrefix(body, want) {
				t.Errorf("%s %q: got %d, %s of %d bytes", method, text, res.StatusCode, res.Header.Get("Content-Type"), res.ContentLength)
			}
			if got := seen.taken(); len(got) != counted || counted > 0 && (got[0].Link != 0 || got[0].Head != (method == "HEAD")) {
				t.Errorf("%s %q: counted %+v", method, text, got)
			}
		}
	}
}

// Behind a proxy of ours the reader's address is the last that it added.
func TestWhereAVisitComesFrom(t *testing.T) {
	t.Parallel()
	s, seen := followSite(t)
	path := "/o/" + string(s.keys.AppendReader(nil, "news-1", 3, 17, time.Now()))
	for forwarded, want := range map[string]string{
		"":                          "127.0.0.1",
		"203.0.113.7":               "203.0.113.7",
		"198.51.100.1, 203.0.113.7": "203.0.113.7",
		"2001:db8::1":               "2001:db8::1",
		"203.0.113.7:1234":          "203.0.113.7",
		"nonsense":                  "127.0.0.1",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.http.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
		req.Header.Set("Sec-Purpose", "prefetch;anonymous-client-ip")
		exchange(t, req)
		got := seen.taken()
		if len(got) != 1 || got[0].From.String() != want || !got[0].Prefetch {
			t.Errorf("%q: got %+v, want %s", forwarded, got, want)
		}
	}
}

// From the letter to the count: a run's letter is composed, its links and its picture are
// asked for, and the report has what readers did.
func TestFromLetterToCount(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), store.Options{URL: testkit.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	l := ledger.New(st.Client(), "bs", st.Lua)

	const run = "october-20261001T070000Z"
	snapshot := campaign.Snapshot{
		Campaign: "october", Topic: "news", From: "News <news@acme.example>", Subject: "News", Layout: "plain", Postal: "Acme",
		Markdown: "[First](https://shop.example/first) [Yours](https://shop.example/you?id={{.id}}) [Third](https://shop.example/third) [Fourth](https://shop.example/fourth)\n",
		Columns:  []string{"id"}, Tracking: campaign.Tracking{Opens: true, Clicks: true},
	}
	handle := readyRun(t, l, run, snapshot)

	counter := tracking.New(l, nil)
	s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, Tracking: counter}, nil)
	snapshot.PublicURL = s.http.URL
	counting, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		counter.Run(counting)
	}()
	t.Cleanup(func() { stop(); <-done })

	letters, err := compose.New(snapshot, s.keys)
	if err != nil {
		t.Fatal(err)
	}
	links := func(index int, test bool) []string {
		a, err := address.Parse(fmt.Sprintf("reader%d@example.org", index))
		if err != nil {
			t.Fatal(err)
		}
		var d compose.Draft
		err = letters.Compose(&d, compose.Recipient{
			Run: run, Part: 0, Index: index, Date: time.Now().Add(-time.Minute), Test: test,
			Row: audience.Row{Address: a, Values: []string{fmt.Sprintf("a&b %d", index)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return linksOf(t, d.Message)
	}
	visit := func(method, url, agent string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", agent)
		res, _ := exchange(t, req)
		return res.Header.Get("Location")
	}

	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	first := links(0, false) // a reader
	second := links(1, false)
	scanned := links(2, false)
	test := links(0, true)
	if len(first) != 5 {
		t.Fatalf("the letter has %d links and pictures, want 4 and 1: %q", len(first), first)
	}
	if got := visit("GET", first[1], firefox); got != "https://shop.example/you?id=a%26b%200" {
		t.Errorf("the link of one reader leads to %q", got)
	}
	visit("GET", first[4], firefox)
	visit("GET", first[4], firefox)
	visit("GET", first[0], firefox)
	visit("HEAD", first[0], firefox)
	visit("GET", second[4], "Mozilla/5.0")
	visit("GET", second[0], firefox)
	visit("GET", second[0], "curl/8.11.0")
	for _, url := range scanned[:4] {
		visit("GET", url, firefox)
	}
	for _, url := range test {
		visit("GET", url, firefox)
	}
	stop()
	<-done
	if _, _, err := l.CountHits(t.Context(), handle, nil, time.Now().Add(ledger.HoldClicks)); err != nil {
		t.Fatal(err)
	}

	if _, err := l.Turn(t.Context(), run, campaign.Paused, "", campaign.Running); err != nil { // else it waits for a worker
		t.Fatal(err)
	}
	got, err := runs.New(runs.Config{Ledger: l}).Report(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	want := &report.Tracking{
		Opens: &report.Opens{Total: 2, People: 1, Apple: 1, ApplePeople: 1},
		Clicks: &report.Clicks{Total: 3, People: 2, Links: []report.LinkClicks{
			{URL: "https://shop.example/first", Clicks: 2},
			{URL: "https://shop.example/you?id=[id]", Clicks: 1},
			{URL: "https://shop.example/third"},
			{URL: "https://shop.example/fourth"},
		}},
		Machines: []report.Machine{{Reason: "agent", Clicks: 1}, {Reason: "burst", Clicks: 4}, {Reason: "head", Clicks: 1}},
		Parts:    []report.PartEngagement{{Provider: campaign.Other, Opens: 2, Apple: 1, Clicks: 3}},
	}
	if diff := cmp.Diff(want, got.Tracking); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// readyRun makes a run of three recipients.
func readyRun(t *testing.T, l *ledger.Ledger, id string, s campaign.Snapshot) *ledger.Run {
	t.Helper()
	made, err := l.Create(t.Context(), ledger.NewRun{ID: id, Campaign: "october", Created: time.Now(), MaxAttempts: 1, ExpiresAfter: time.Hour})
	if err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	e := l.Expand(id)
	err = errors.Join(
		e.Content(t.Context(), s),
		e.Add(t.Context(), ledger.Chunk{Part: 0, Data: []byte("x"), Suppressed: make([]bool, 3)}),
		e.Ready(t.Context(), campaign.Skipped{}),
	)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := l.Record(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Handle()
}

var followedURL = regexp.MustCompile(`(?:href|src)="([^"]*/[co]/[^"]*)"`)

// linksOf returns what the HTML of a message would have counted, in its order.
func linksOf(t *testing.T, message []byte) []string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			t.Fatalf("no HTML part: %v", err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			continue
		}
		page, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		var urls []string
		for _, m := range followedURL.FindAllStringSubmatch(string(page), -1) {
			urls = append(urls, html.UnescapeString(m[1]))
		}
		return urls
	}
}
