package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// Each failure says what to do, whether it helps to wait, and no secret.
func TestErrors(t *testing.T) {
	t.Parallel()
	const long = "refresh-token-of-the-test"
	for _, tt := range []struct {
		name, body string
		status     int
		temporary  bool
		what, hint string
	}{
		{"invalid_grant", `{"error":"invalid_grant","error_description":"AADSTS700082: expired ` + long + `\r\nTrace ID: 1"}`, 400, false, "AADSTS700082", "set oauth2.refresh_token to the new"},
		{"a piece of the secret", `{"error":"invalid_grant","error_description":"got ` + long[4:20] + `..."}`, 400, false, "invalid_grant", "grant access again"},
		{"invalid_client", `{"error":"invalid_client","error_description":"app-secret-of-the-test"}`, 401, false, "invalid_client", "client secret can have expired"},
		{"unauthorized_client", `{"error":"unauthorized_client"}`, 400, false, "unauthorized_client", "client_id"},
		{"invalid_scope", `{"error":"invalid_scope"}`, 400, false, "invalid_scope", "https://mail.google.com/"},
		{"no page", "<html>not here", 404, false, "status 404", "token_url"},
		{"redirect", "", 302, false, "status 302", "token_url"},
		{"away", "", 503, true, "status 503", "tried again by itself"},
		{"too often", `{"error":"slow_down"}`, 429, true, "slow_down", "tried again by itself"},
		{"a page in place of a token", "<html>", 200, false, "no JSON", "token_url"},
		{"no token in it", `{"token_type":"Bearer"}`, 200, false, "no access_token", "token_url"},
		{"a token that breaks the line", `{"access_token":"a\r\nb"}`, 200, false, "no access_token", "token_url"},
		{"another kind of token", `{"access_token":"abc","token_type":"mac"}`, 200, false, "mac", "token_url"},
		{"endless", strings.Repeat(" ", maxAnswer+1), 200, false, "more than", "token_url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t)
			e.answer(tt.status, tt.body+" ")
			_, err := account(t, Alone(slog.New(slog.DiscardHandler)), e.source()).Token(t.Context())
			var failed *Error
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if failed.Temporary() != tt.temporary || !strings.Contains(err.Error(), tt.what) || !strings.Contains(failed.Hint(), tt.hint) {
				t.Errorf("got %q, %q, temporary %t", err, failed.Hint(), failed.Temporary())
			}
			for _, hidden := range []string{long[4:20], "app-secret-of-the-test", "Trace"} {
				if strings.Contains(err.Error()+failed.Hint(), hidden) {
					t.Errorf("%q shows %q", err, hidden)
				}
			}
		})
	}
}

// An endpoint that nothing listens at is a matter of time.
func TestEndpointAway(t *testing.T) {
	t.Parallel()
	source := Source{TokenURL: fmt.Sprintf("http://127.0.0.1:%d/?x=query", testkit.Port(t)), ClientID: "app", RefreshToken: "refresh"}
	_, err := account(t, Alone(slog.New(slog.DiscardHandler)), source).Token(t.Context())
	var failed *Error
	if !errors.As(err, &failed) || !failed.Temporary() || strings.Contains(err.Error(), "query") {
		t.Errorf("got %v", err)
	}
}

func TestSourceCheck(t *testing.T) {
	t.Parallel()
	good := Source{TokenURL: "https://login.example/token", ClientID: "a", RefreshToken: "b"}
	for url, want := range map[string]string{
		good.TokenURL: "", "http://127.0.0.1:1/t": "", "http://localhost/t": "", "http://[::1]/t": "",
		"http://login.example/t": "in clear", "": "missing", "login.example/t": "no address", "https://a:b@login.example/t": "has a user", "https://": "no address",
	} {
		s := good
		s.TokenURL = url
		err := s.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	_, err := Alone(slog.New(slog.DiscardHandler)).Account("main", Source{})
	for _, want := range []string{"token_url", "client_id", "refresh_token"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want all of it", err)
		}
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	for text, want := range map[json.Number]time.Duration{
		"3600": time.Hour, "": defaultLife, "0": defaultLife, "-5": defaultLife, "1e300": maxLife, "12.5": 12500 * time.Millisecond,
	} {
		if got := lifeOf(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a","token_type":"Bearer","expires_in":"3600","refresh_token":"b"}`))
	f.Add(400, []byte(`{"error":"invalid_grant","error_description":"secret-secret-secret"}`))
	f.Add(200, []byte(`{"expires_in":1e999}`))
	s := Source{TokenURL: "https://login.example/token", ClientSecret: "secret-secret-secret", RefreshToken: "refresh-refresh"}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		g, err := s.read(status, body)
		if err == nil {
			if status != http.StatusOK || !isToken(g.access) || g.life <= 0 || g.life > maxLife || g.refresh != "" && !isToken(g.refresh) {
				t.Errorf("%d %q: got %+v", status, body, g)
			}
			return
		}
		text := err.Error()
		if len(text) > 1000 || strings.Contains(text, s.ClientSecret) || strings.Contains(text, s.RefreshToken) {
			t.Errorf("%d %q: %s", status, body, text)
		}
	})
}
