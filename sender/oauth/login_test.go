package oauth

import (
	"encoding/base64"
	"strings"
	"testing"
)

const refusedToken = `{"status":"400","schemes":"bearer","scope":"https://mail.example/"}`

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ mechanism, message, answer string }{
		{XOAUTH2, "user=us=er,\x01auth=Bearer the-access-token\x01\x01", ""},
		{OAuthBearer, "n,a=us=3Der=2C,\x01host=imap.acme.example\x01port=993\x01auth=Bearer the-access-token\x01\x01", "\x01"},
	} {
		l := Login{Mechanism: tt.mechanism, User: "us=er,", Host: "imap.acme.example", Port: 993, Token: "the-access-token"}
		if got := string(l.Message()); got != tt.message {
			t.Errorf("%s: got message %q, want %q", tt.mechanism, got, tt.message)
		}
		if l.Refusal() != "" {
			t.Errorf("%s: a refusal before there was one: %s", tt.mechanism, l.Refusal())
		}
		answer, err := l.Refused([]byte(refusedToken))
		if err != nil || string(answer) != tt.answer || answer == nil {
			t.Errorf("%s: got answer %q, %v; want %q", tt.mechanism, answer, err, tt.answer)
		}
		if got := l.Refusal(); got != "status 400, scope https://mail.example/" {
			t.Errorf("%s: got refusal %q", tt.mechanism, got)
		}
		if _, err := l.Refused(nil); err == nil {
			t.Errorf("%s: a second challenge is answered", tt.mechanism)
		}
	}
}

func TestLoginHidesItsToken(t *testing.T) {
	t.Parallel()
	l := Login{Mechanism: XOAUTH2, User: "bounces", Token: "the-access-token"}
	sent := base64.StdEncoding.EncodeToString(l.Message())
	for _, text := range []string{"bad the-access-token", "bad " + sent, "bad " + sent[:40] + "..."} {
		if got := l.Hide(text); !strings.HasPrefix(got, "bad [redacted]") || strings.Contains(got, "the-access") || strings.Contains(got, sent[:20]) {
			t.Errorf("%q: got %q", text, got)
		}
	}
	if _, err := l.Refused([]byte(`{"status":"the-access-token"}`)); err != nil || l.Refusal() != "status [redacted]" {
		t.Errorf("got %q, %v", l.Refusal(), err)
	}
}

func FuzzReadRefusal(f *testing.F) {
	f.Add([]byte(refusedToken))
	f.Add([]byte(`{"status":401,"scope":["a"]}`))
	f.Add([]byte(`{"status":"invalid_token","scope":"\u0000\u202e` + strings.Repeat("ä", 200) + `"}`))
	f.Add([]byte("no JSON"))
	f.Fuzz(func(t *testing.T, document []byte) {
		got := readRefusal(document).String()
		if len(got) > 2*maxRefusal+len("status ..., scope ...") || strings.ContainsAny(got, "\r\n\x00\x1b\u202e") {
			t.Errorf("%q: %q", document, got)
		}
	})
}
