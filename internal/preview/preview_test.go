package preview_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"broadside/internal/letter"
	"broadside/internal/preview"
)

// served is a preview that is served while the test runs, and its address.
func served(t *testing.T, render preview.Render) string {
	t.Helper()
	l, err := preview.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- preview.Serve(ctx, l, render) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end")
		}
	})
	return preview.URL(l)
}

// got is one answer.
type got struct {
	status int
	body   string
	header http.Header
}

func get(t *testing.T, address, host string) got {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{resp.StatusCode, string(body), resp.Header}
}

// letterTo is a letter with what could break out of a page.
func letterTo(_ context.Context, who string) (*letter.Preview, error) {
	if who == "row:9" {
		return nil, errors.New("letter.md:3:1: found <script>\nthere is no row 9")
	}
	return &letter.Preview{
		Subject: "Hello <b>" + who, From: "Acme <news@acme.example>", To: "ada@example.org",
		Headers: []letter.Header{{Name: "Subject", Value: "Hello"}},
		HTML:    `<!DOCTYPE html><p title="a">"Hi" & bye</p></iframe><script>alert(1)</script>`,
		Text:    "Hi\n</pre><script>alert(2)</script>",
		Message: []byte("Subject: Hello\r\n\r\nHi\r\n"),
	}, nil
}

func TestPage(t *testing.T) {
	t.Parallel()
	address := served(t, letterTo)
	a := get(t, address+"?recipient=ada%40example.org&width=phone", "")
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	for _, want := range []string{"Hello &lt;b&gt;ada@example.org", `value="ada@example.org"`, "selected", `class="phone"`, "Subject: Hello", "/preview.eml?recipient=ada%40example.org"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page has no %q:\n%s", want, a.body)
		}
	}
	if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "script") {
		t.Errorf("Content-Security-Policy is %q", p)
	}
	inner, _ := letterTo(t.Context(), "")
	if doc := srcdoc(t, a.body); doc != inner.HTML {
		t.Errorf("the letter is shown as\n%s\nwant\n%s", doc, inner.HTML)
	}
}

// srcdoc returns the letter as a browser finds it in the page, which has no script
// of its own.
func srcdoc(t *testing.T, body string) (doc string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data == "script" {
			t.Errorf("the page has a script")
		}
		for _, a := range n.Attr {
			if n.Data == "iframe" && a.Key == "srcdoc" {
				doc = a.Val
			}
			if n.Data == "iframe" && a.Key == "sandbox" && strings.Contains(a.Val, "allow-s") {
				t.Errorf("the letter may run scripts: %s", a.Val)
			}
		}
	}
	return doc
}

func TestReloadRendersAnew(t *testing.T) {
	t.Parallel()
	subjects := make(chan string, 2)
	subjects <- "first draft"
	subjects <- "second draft"
	address := served(t, func(context.Context, string) (*letter.Preview, error) {
		return &letter.Preview{Subject: <-subjects}, nil
	})
	for _, want := range []string{"first draft", "second draft"} {
		if a := get(t, address, ""); !strings.Contains(a.body, want) || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("want %s, got %v\n%s", want, a.header, a.body)
		}
	}
}

func TestProblemsAreShown(t *testing.T) {
	t.Parallel()
	address := served(t, letterTo)
	a := get(t, address+"?recipient=row:9", "")
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "letter.md:3:1: found &lt;script&gt;\nthere is no row 9") {
		t.Errorf("status %d:\n%s", a.status, a.body)
	}
	if a := get(t, address+"preview.eml?recipient=row:9", ""); a.status != http.StatusUnprocessableEntity {
		t.Errorf("preview.eml: status %d, want 422", a.status)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	a := get(t, served(t, letterTo)+"preview.eml", "")
	if a.status != http.StatusOK || a.body != "Subject: Hello\r\n\r\nHi\r\n" || a.header.Get("Content-Type") != "message/rfc822" {
		t.Errorf("status %d, %v: %q", a.status, a.header, a.body)
	}
}

// TestOnlyLoopback: a name that was bound to 127.0.0.1 in the meantime gets nothing of
// a reader.
func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	address := served(t, letterTo)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"":                         http.StatusOK,
		"localhost:" + u.Port():    http.StatusOK,
		"evil.example":             http.StatusMisdirectedRequest,
		"evil.example:" + u.Port(): http.StatusMisdirectedRequest,
		"127.0.0.1":                http.StatusMisdirectedRequest,
	} {
		if a := get(t, address, host); a.status != want || want != http.StatusOK && strings.Contains(a.body, "ada@") {
			t.Errorf("Host %q: status %d, want %d", host, a.status, want)
		}
	}
	if a := get(t, address+"favicon.ico", ""); a.status != http.StatusNotFound {
		t.Errorf("another path: status %d, want 404", a.status)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := preview.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := url.Parse(preview.URL(l))
	if err != nil {
		t.Fatal(err)
	}
	port := 0
	for _, digit := range u.Port() {
		port = 10*port + int(digit-'0')
	}
	if _, err := preview.Listen(t.Context(), port); err == nil {
		t.Error("one port for two: no error")
	}
}
