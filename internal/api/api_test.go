package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/access"
	"broadside/internal/api"
	"broadside/internal/failure"
	"broadside/internal/single"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tokens knows two: one that may send, and one that may not.
type tokens struct{ err error }

func (k tokens) Check(_ context.Context, text, scope string, _ time.Time) (access.Token, error) {
	switch {
	case k.err != nil:
		return access.Token{}, k.err
	case text == "good" && scope == access.Send:
		return access.Token{ID: "abc"}, nil
	case text == "other":
		return access.Token{}, access.ErrScope
	}
	return access.Token{}, access.ErrUnknown
}

// messages keeps what it was asked for, and answers.
type messages struct {
	asked   []single.Request
	created bool
	err     error
}

func (m *messages) Accept(_ context.Context, r single.Request) (single.Status, bool, error) {
	m.asked = append(m.asked, r)
	return single.Status{ID: "id", MessageID: "m@acme.example", Template: "receipt", State: campaign.Pending, Created: time.Unix(1_790_000_000, 0)}, m.created, m.err
}

// A shop has templates, and an API for programs.
type shop struct {
	t        *testing.T
	dir      string
	messages messages
	tokens   tokens
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir(), messages: messages{created: true}}
	for _, name := range []string{"templates/receipt.yaml", "templates/shop/reset.yaml", "invite.yaml", "../outside.yaml"} {
		file := filepath.Join(s.dir, "project", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("id: x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.dir = filepath.Join(s.dir, "project")
	if err := os.Symlink("../../outside.yaml", filepath.Join(s.dir, "templates", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	return s
}

// A call is one request.
type call struct {
	method, path, token, key, kind, body string
}

func good(body string) call {
	return call{http.MethodPost, "v1/send", "good", "", "application/json; charset=utf-8", body}
}

// ask returns the answer to a request.
func (s *shop) ask(c call) *httptest.ResponseRecorder {
	s.t.Helper()
	h := api.New(api.Config{Tokens: s.tokens, Messages: &s.messages, Dir: s.dir, Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequestWithContext(s.t.Context(), c.method, "/api/"+c.path, strings.NewReader(c.body))
	r.SetPathValue("path", c.path)
	if c.token != "" {
		r.Header.Set("Authorization", "bearer "+c.token)
	}
	r.Header.Set("Content-Type", c.kind)
	if c.key != "" {
		r.Header.Set("Idempotency-Key", c.key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if kind := w.Header().Get("Content-Type"); kind != "application/json" || !json.Valid(w.Body.Bytes()) {
		s.t.Errorf("%+v: the answer is %s:\n%s", c, kind, w.Body)
	}
	return w
}

const receipt = `{"template":"receipt","to":"ada@example.org","data":{"order":17},"account":"receipts"}`

func TestSend(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := good(receipt)
	c.key = "order-17"
	w := s.ask(c)
	want := single.Request{Template: filepath.Join(s.dir, "templates", "receipt.yaml"), To: "ada@example.org", Data: map[string]string{"order": "17"}, Account: "receipts", Key: "order-17"}
	if len(s.messages.asked) != 1 {
		t.Fatalf("asked for %+v:\n%s", s.messages.asked, w.Body)
	}
	got := s.messages.asked[0]
	if w.Code != http.StatusAccepted || got.Template != want.Template || got.To != want.To || got.Data["order"] != "17" || got.Account != want.Account || got.Key != want.Key {
		t.Errorf("got %d, asked for %+v, want %+v", w.Code, got, want)
	}
	var d single.Document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.ID != "id" || d.MessageID != "m@acme.example" || d.State != "pending" || *d.CreatedAt != "2026-09-21T14:13:20.000Z" || d.NextAt != nil {
		t.Errorf("answer %+v, %v:\n%s", d, err, w.Body)
	}

	s.messages.created = false
	if w := s.ask(c); w.Code != http.StatusOK {
		t.Errorf("with a used key: got %d", w.Code)
	}
}

func TestTemplatesAreNamed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, file := range map[string]string{
		"receipt.yaml": "templates/receipt.yaml", "shop/reset": "templates/shop/reset.yaml", "templates/receipt.yaml": "templates/receipt.yaml",
		"invite": "invite.yaml",
	} {
		s.messages.asked = nil
		if w := s.ask(good(`{"template":"` + name + `","to":"ada@example.org"}`)); w.Code != http.StatusAccepted || s.messages.asked[0].Template != filepath.Join(s.dir, file) {
			t.Errorf("%s: got %d, asked for %+v, want %s", name, w.Code, s.messages.asked, file)
		}
	}
	for _, name := range []string{"../outside", "../../outside.yaml", "/etc/passwd", "link", "templates", "shop", "recept", `..\\outside`, "receipt.yaml\\u0000", "./../../outside"} {
		s.messages.asked = nil
		w := s.ask(good(`{"template":"` + name + `","to":"ada@example.org"}`))
		if w.Code != http.StatusUnprocessableEntity || len(s.messages.asked) != 0 || !strings.Contains(w.Body.String(), `"field":"template"`) {
			t.Errorf("%s: got %d, asked for %+v:\n%s", name, w.Code, s.messages.asked, w.Body)
		}
		if name == "recept" && !strings.Contains(w.Body.String(), "did you mean receipt?") {
			t.Errorf("%s:\n%s", name, w.Body)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	with := func(change func(*call)) call {
		c := good(receipt)
		change(&c)
		return c
	}
	for name, tt := range map[string]struct {
		call call
		want int
		text string
	}{
		"another path":      {with(func(c *call) { c.path = "v1/sent" }), 404, "POST /api/v1/send"},
		"GET":               {with(func(c *call) { c.method = http.MethodGet }), 405, "expected POST"},
		"no token":          {with(func(c *call) { c.token = "" }), 401, "token create"},
		"an unknown token":  {with(func(c *call) { c.token = "x" }), 401, ""},
		"another scope":     {with(func(c *call) { c.token = "other" }), 403, "scope send"},
		"a form":            {with(func(c *call) { c.kind = "application/x-www-form-urlencoded" }), 415, "application/json"},
		"no type":           {with(func(c *call) { c.kind = "" }), 415, ""},
		"no JSON":           {good(`to=ada`), 400, "expected a JSON object"},
		"a list":            {good(`[]`), 400, ""},
		"null":              {good(`null`), 400, ""},
		"two objects":       {good(receipt + receipt), 400, ""},
		"too large":         {good(`{"data":"` + strings.Repeat("x", 300<<10) + `"}`), 413, "larger than"},
		"too much data":     {good(`{"template":"receipt","to":"a@b.example","data":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`), 422, "data.a"},
		"nothing in it":     {good(`{}`), 422, `"field":"to"`},
		"an unknown field":  {good(`{"template":"receipt","too":"ada@example.org","to":"ada@example.org"}`), 422, "did you mean to?"},
		"to is a list":      {good(`{"template":"receipt","to":["ada@example.org"]}`), 422, "expected a text"},
		"account is number": {good(`{"template":"receipt","to":"ada@example.org","account":1}`), 422, `"field":"account"`},
		"data is a list":    {good(`{"template":"receipt","to":"ada@example.org","data":[1]}`), 422, `"field":"data"`},
		"data has a list":   {good(`{"template":"receipt","to":"ada@example.org","data":{"a":[1]}}`), 422, `"field":"data.a"`},
	} {
		s := newShop(t)
		w := s.ask(tt.call)
		if w.Code != tt.want || len(s.messages.asked) != 0 || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), tt.text) {
			t.Errorf("%s: got %d, want %d with %q:\n%s", name, w.Code, tt.want, tt.text, w.Body)
		}
		if w.Code == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err   error
		want  int
		text  string
		again bool
	}{
		"problems":          {single.Problems{{Field: "data.order", Text: "missing"}}, 422, `"field":"data.order"`, false},
		"suppressed":        {failure.New(failure.ErrRefused, "the address is suppressed", single.ErrSuppressed), 422, `"field":"to"`, false},
		"the key was used":  {failure.New(failure.ErrRefused, "the key was used for another message", single.ErrConflict), 409, "used for another", false},
		"full":              {single.ErrFull, 429, "too many messages wait", true},
		"Redis is away":     {errors.New("dial tcp 10.0.0.7:6379: refused"), 503, "cannot be stored now", true},
		"a broken template": {strictyaml.Problems{{File: "/srv/secret/receipt.yaml", Line: 3, Message: "found hunter2"}}, 422, `"field":"template"`, false},
	} {
		s := newShop(t)
		s.messages.err = tt.err
		w := s.ask(good(receipt))
		if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.text) || (w.Header().Get("Retry-After") != "") != tt.again {
			t.Errorf("%s: got %d, Retry-After %q, want %d with %q:\n%s", name, w.Code, w.Header().Get("Retry-After"), tt.want, tt.text, w.Body)
		}
		if strings.Contains(w.Body.String(), "10.0.0.7") || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "/srv") {
			t.Errorf("%s: the answer says too much:\n%s", name, w.Body)
		}
	}

	s := newShop(t)
	s.tokens.err = errors.New("redis is away")
	if w := s.ask(good(receipt)); w.Code != http.StatusServiceUnavailable || len(s.messages.asked) != 0 {
		t.Errorf("tokens cannot be looked up: got %d", w.Code)
	}
}

// Whatever comes in a body, the answer is JSON and no fault of ours.
func FuzzSend(f *testing.F) {
	for _, seed := range []string{receipt, `{}`, `[]`, `null`, `{"template":"..","to":1,"data":{"a":{}}}`, `{"template":"\u0000"}`, ``, "\xff"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body string) {
		s := &shop{t: t, dir: dir, messages: messages{created: true}}
		if w := s.ask(good(body)); w.Code >= 500 || w.Code == http.StatusAccepted {
			t.Errorf("got %d for %q:\n%s", w.Code, body, w.Body)
		}
	})
}
