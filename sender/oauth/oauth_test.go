package oauth

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

const secret = "0123456789abcdef0123456789abcdef"

// An endpoint plays the token endpoint of a provider.
type endpoint struct {
	*httptest.Server

	mu     sync.Mutex
	asked  []string // refresh tokens; guarded by mu
	next   int      // number of the next access token; guarded by mu
	status int      // 0: 200; guarded by mu
	body   string   // of an answer that is no token, and where set of one that is; guarded by mu
	hold   chan struct{}
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	if e.hold != nil {
		<-e.hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, r.PostFormValue("refresh_token"))
	if r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("client_id") != "app" || r.PostFormValue("client_secret") != "app-secret-of-the-test" {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
	}
	if e.body != "" {
		fmt.Fprint(w, e.body)
		return
	}
	e.next++
	fmt.Fprintf(w, `{"access_token":"access-%d","token_type":"Bearer","expires_in":3600}`, e.next)
}

// answer sets what comes from now on.
func (e *endpoint) answer(status int, body string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.body = status, body
}

func (e *endpoint) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func (e *endpoint) source() Source {
	return Source{TokenURL: e.URL + "/token", ClientID: "app", ClientSecret: "app-secret-of-the-test", RefreshToken: "refresh-token-of-the-test"}
}

// process returns the tokens as a process of its own has them.
func process(t *testing.T, url string, source Source, secrets ...string) *Tokens {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	if secrets == nil {
		secrets = []string{secret}
	}
	s, err := New(rdb, "bs", secrets, redis.NewScript, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return account(t, s, source)
}

func account(t *testing.T, s *Store, source Source) *Tokens {
	t.Helper()
	tokens, err := s.Account("main", source)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func wantToken(t *testing.T, tokens *Tokens, want string) {
	t.Helper()
	got, err := tokens.Token(t.Context())
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// age makes the token of a process, and the shared one, older.
func age(t *testing.T, tokens *Tokens, by time.Duration) {
	t.Helper()
	tokens.mu.Lock()
	tok := tokens.current
	tok.Issued, tok.Expires = tok.Issued.Add(-by), tok.Expires.Add(-by)
	tokens.current = tok
	tokens.mu.Unlock()
	if err := tokens.put(t.Context(), accessKey, tok, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// Many connections of many processes want a token at once: one request is made, and all
// have the same token.
func TestOneRenewalForAll(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	e.hold = make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		tokens := process(t, url, e.source())
		for range 5 {
			wg.Go(func() { wantToken(t, tokens, "access-1") })
		}
	}
	close(e.hold)
	wg.Wait()
	if got := e.requests(); len(got) != 1 || got[0] != "refresh-token-of-the-test" {
		t.Errorf("requests %q, want one", got)
	}
}

// A token is renewed when four fifths of its life are over, by one process for all.
func TestRenewedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	a, b := process(t, url, e.source()), process(t, url, e.source())
	wantToken(t, a, "access-1")
	wantToken(t, b, "access-1")
	age(t, a, 47*time.Minute)
	wantToken(t, a, "access-1")
	age(t, a, 2*time.Minute)
	wantToken(t, a, "access-2")
	age(t, b, 49*time.Minute) // which also puts the old one into Redis
	wantToken(t, b, "access-3")
	wantToken(t, a, "access-2")
	if got := e.requests(); len(got) != 3 {
		t.Errorf("%d requests, want 3", len(got))
	}
}

// While the endpoint gives nothing, the old token is used as long as it is valid, and the
// endpoint is left alone for a while.
func TestOldTokenWhileRenewalFails(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	tokens := process(t, testkit.Redis(t), e.source())
	wantToken(t, tokens, "access-1")
	e.answer(http.StatusServiceUnavailable, "maintenance")
	age(t, tokens, 50*time.Minute)
	wantToken(t, tokens, "access-1")
	wantToken(t, tokens, "access-1")
	if got := e.requests(); len(got) != 2 {
		t.Errorf("%d requests, want 2", len(got))
	}
	age(t, tokens, 10*time.Minute)
	var failed *Error
	if _, err := tokens.Token(t.Context()); !errors.As(err, &failed) || !failed.Temporary() || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v, want the 503", err)
	}
	e.answer(0, "")
	tokens.mu.Lock()
	tokens.failedAt = tokens.failedAt.Add(-restAfterFailure)
	tokens.mu.Unlock()
	wantToken(t, tokens, "access-2")
}

// A process that died with the lease does not keep the others from a token that is valid.
func TestLeaseOfAnother(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	a := process(t, url, e.source())
	wantToken(t, a, "access-1")
	age(t, a, 50*time.Minute)
	b := process(t, url, e.source())
	release, ok := b.lease(t.Context())
	if !ok {
		t.Fatal("no lease")
	}
	wantToken(t, a, "access-1")
	release()
	wantToken(t, a, "access-2")
}

// A process that has no valid token waits for the one that another is getting.
func TestWaitsForAnother(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	a, b := process(t, url, e.source()), process(t, url, e.source())
	release, ok := b.lease(t.Context())
	if !ok {
		t.Fatal("no lease")
	}
	got := make(chan string)
	go func() {
		tok, err := a.Token(t.Context())
		got <- fmt.Sprint(tok, err)
	}()
	now := time.Now()
	if err := b.put(t.Context(), accessKey, token{"of-another", now, now.Add(time.Hour)}, time.Hour); err != nil {
		t.Error(err)
	}
	if tok := <-got; tok != "of-another<nil>" {
		t.Errorf("got %s", tok)
	}
	release()
	if n := len(e.requests()); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

// A refused token is renewed once for all, and a new one that is refused too is not.
func TestRefused(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	a, b := process(t, url, e.source()), process(t, url, e.source())
	wantToken(t, a, "access-1")
	if a.Refused(t.Context(), "access-1") {
		t.Error("a token of this minute is worth another try")
	}
	age(t, a, 6*time.Minute)
	wantToken(t, b, "access-1")
	if !a.Refused(t.Context(), "access-1") || !b.Refused(t.Context(), "access-1") {
		t.Error("an old token is not worth another try")
	}
	wantToken(t, a, "access-2")
	wantToken(t, b, "access-2")
	if !b.Refused(t.Context(), "access-1") {
		t.Error("a token that was replaced is not worth another try")
	}
	if b.Refused(t.Context(), "access-2") {
		t.Error("the new token is worth another try")
	}
	wantToken(t, b, "access-2")
	if n := len(e.requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// A refresh token that the endpoint hands out replaces the configured one, for all
// processes; when it does not work any more the configured one is tried.
func TestRotation(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	a := process(t, url, e.source())
	e.answer(0, `{"access_token":"one","expires_in":"3600","refresh_token":"second-refresh-token"}`)
	wantToken(t, a, "one")
	e.answer(0, `{"access_token":"two","expires_in":3600}`)
	age(t, a, 49*time.Minute)
	b := process(t, url, e.source())
	wantToken(t, b, "two")

	e.answer(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	age(t, b, 70*time.Minute)
	if _, err := b.Token(t.Context()); err == nil {
		t.Error("no error")
	}
	want := []string{"refresh-token-of-the-test", "second-refresh-token", "second-refresh-token", "refresh-token-of-the-test"}
	if got := e.requests(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}

	alone := account(t, Alone(slog.New(slog.DiscardHandler)), e.source())
	e.answer(0, `{"access_token":"one","refresh_token":"second-refresh-token"}`)
	wantToken(t, alone, "one")
	age(t, alone, time.Hour)
	wantToken(t, alone, "one")
	if got := e.requests(); got[len(got)-1] != "second-refresh-token" {
		t.Errorf("without Redis: sent %q", got)
	}
}

// Nothing that is stored can be read, or used for another account or configuration. A
// second secret opens what the first one sealed.
func TestSealed(t *testing.T) {
	t.Parallel()
	e, url := newEndpoint(t), testkit.Redis(t)
	e.answer(0, `{"access_token":"the-access-token","refresh_token":"second-refresh-token","expires_in":3600}`)
	a := process(t, url, e.source())
	wantToken(t, a, "the-access-token")
	for _, what := range []string{accessKey, refreshKey} {
		stored, err := a.store.rdb.Get(t.Context(), a.key(what)).Bytes()
		if err != nil || bytes.Contains(stored, []byte("token")) {
			t.Errorf("%s: stored %q, %v", what, stored, err)
		}
		ttl, err := a.store.rdb.TTL(t.Context(), a.key(what)).Result()
		if err != nil || ttl <= 0 || what == accessKey && ttl >= time.Hour {
			t.Errorf("%s: ends in %s, %v", what, ttl, err)
		}
	}

	rolled := process(t, url, e.source(), strings.Repeat("n", 32), secret)
	if tok, err := rolled.load(t.Context()); err != nil || tok.Access != "the-access-token" {
		t.Errorf("with a second secret: got %+v, %v", tok, err)
	}
	other := e.source()
	other.RefreshToken = "another"
	for name, tokens := range map[string]*Tokens{
		"another configuration": process(t, url, other), "another secret": process(t, url, e.source(), strings.Repeat("o", 32)),
	} {
		tok, err := tokens.load(t.Context())
		refresh, refreshErr := tokens.rotated(t.Context())
		if err != nil || refreshErr != nil || tok.Access != "" || refresh != "" {
			t.Errorf("%s: got %+v, %q, %v, %v", name, tok, refresh, err, refreshErr)
		}
	}
}

// Without Redis, and without an answer from it, there are tokens.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	wantToken(t, account(t, Alone(slog.New(slog.DiscardHandler)), e.source()), "access-1")
	wantToken(t, process(t, fmt.Sprintf("redis://127.0.0.1:%d/0?dial_timeout=1s&max_retries=-1", testkit.Port(t)), e.source()), "access-2")
}
