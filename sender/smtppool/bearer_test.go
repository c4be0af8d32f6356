package smtppool

import (
	"context"
	"errors"
	"strings"
	"testing"

	"broadside/sender/reply"
)

// A wallet has access tokens, one after the other: the next one when the last was refused.
type wallet struct {
	tokens []string
	err    error // when there is none left
	again  bool  // what Refused reports

	refused []string
}

func (w *wallet) Token(context.Context) (string, error) {
	if len(w.tokens) == 0 {
		return "", w.err
	}
	return w.tokens[0], nil
}

func (w *wallet) Refused(_ context.Context, token string) bool {
	w.refused = append(w.refused, token)
	w.tokens = w.tokens[1:]
	return w.again
}

// noToken is an error of a token endpoint.
type noToken struct{ temporary bool }

func (noToken) Error() string     { return "no access token from login.example: invalid_grant" }
func (noToken) Hint() string      { return "grant access again" }
func (e noToken) Temporary() bool { return e.temporary }

func xoauth(token string) string {
	return "C: AUTH XOAUTH2 " + b64("user=user\x01auth=Bearer "+token+"\x01\x01") + "\n"
}

const (
	document  = `{"status":"400","schemes":"bearer","scope":"https://mail.example/"}`
	notTaken  = "S: 535 5.7.8 Username and Password not accepted\n"
	taken     = "S: 235 2.7.0 in\n"
	oldToken  = "old-access-token"
	goodToken = "new-access-token"
)

// refusedWith is a server's refusal with a document, which wants an empty answer.
func refusedWith(document string) string { return "S: 334 " + b64(document) + "\nC: \n" + notTaken }

func TestLoginByToken(t *testing.T) {
	t.Parallel()
	bearer := "C: AUTH OAUTHBEARER " + b64("n,a=us=3Der=2C,\x01host=127.0.0.1\x01port=587\x01auth=Bearer "+goodToken+"\x01\x01") + "\n"
	for _, tt := range []struct {
		name, offer, user string
		tokens            []string
		script, used      string
		refused           int
	}{
		{"at once", "PLAIN XOAUTH2", "user", []string{goodToken}, xoauth(goodToken) + taken, "XOAUTH2", 0},
		{"a withdrawn token is replaced", "XOAUTH2", "user", []string{oldToken, goodToken}, xoauth(oldToken) + refusedWith(document) + xoauth(goodToken) + taken, "XOAUTH2", 1},
		{"refused without a document", "XOAUTH2", "user", []string{oldToken, goodToken}, xoauth(oldToken) + notTaken + xoauth(goodToken) + taken, "XOAUTH2", 1},
		{"refused with an empty document", "XOAUTH2", "user", []string{oldToken, goodToken}, xoauth(oldToken) + refusedWith("") + xoauth(goodToken) + taken, "XOAUTH2", 1},
		{"OAUTHBEARER", "PLAIN OAUTHBEARER", "us=er,", []string{goodToken}, bearer + taken, "OAUTHBEARER", 0},
		{"OAUTHBEARER, refused", "OAUTHBEARER", "us=er,", []string{goodToken, goodToken}, bearer + "S: 334 " + b64(document) + "\nC: AQ==\n" + notTaken + bearer + taken, "OAUTHBEARER", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &wallet{tokens: tt.tokens, again: true}
			c := dialScript(t, Config{Username: tt.user, Tokens: w}, hello("AUTH "+tt.offer)+tt.script)
			if got := c.Info().AuthUsed; got != tt.used || len(w.refused) != tt.refused || !c.Usable() {
				t.Errorf("used %q, refused %q", got, w.refused)
			}
		})
	}
}

func TestLoginByTokenFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		wallet  wallet
		script  string
		event   string
		hint    string
		refused int
		verdict reply.Verdict
	}{
		{"no other token", wallet{tokens: []string{oldToken}}, xoauth(oldToken) + refusedWith(document), "", "(status 400, scope https://mail.example/)", 1, reply.PauseAccount},
		{"the other one is refused too", wallet{tokens: []string{oldToken, goodToken, oldToken}, again: true}, xoauth(oldToken) + refusedWith(document) + xoauth(goodToken) + refusedWith(`{"status":401}`), "", "(status 401)", 2, reply.PauseAccount},
		{"and hung up", wallet{tokens: []string{oldToken, goodToken}, again: true}, xoauth(oldToken) + refusedWith(document) + "X", "", "(status 400", 1, reply.PauseAccount},
		{"there is no other", wallet{tokens: []string{oldToken}, again: true, err: noToken{}}, xoauth(oldToken) + refusedWith(document), reply.Setup, "grant access again", 1, reply.PauseAccount},
		{"there is none", wallet{err: noToken{}}, "", reply.Setup, "grant access again", 0, reply.PauseAccount},
		{"there is none now", wallet{err: noToken{temporary: true}}, "", reply.Unreachable, "grant access again", 0, reply.RetryLane},
		{"an error of another kind", wallet{err: errors.New("boom")}, "", reply.Unreachable, "", 0, reply.RetryLane},
		{"a passing refusal", wallet{tokens: []string{goodToken}}, xoauth(goodToken) + "S: 454 4.7.0 later\n", "", "", 0, reply.RetryLane},
		{"a document that quotes the token", wallet{tokens: []string{oldToken}}, xoauth(oldToken) + refusedWith(`{"status":"old-access-token"}`), "", "(status [redacted])", 1, reply.PauseAccount},
		{"two documents", wallet{tokens: []string{oldToken}}, xoauth(oldToken) + "S: 334 " + b64(document) + "\nC: \nS: 334 \n", reply.Setup, "came to no end", 0, reply.PauseAccount},
		{"logins by SMTP are off", wallet{tokens: []string{oldToken}}, xoauth(oldToken) + "S: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.\n", "", "turn on Authenticated SMTP", 0, reply.PauseAccount},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := tt.wallet
			_, err := Dial(t.Context(), scripted(t, Config{Username: "user", Tokens: &w}, hello("AUTH PLAIN XOAUTH2")+tt.script))
			var failed *Error
			if !errors.As(err, &failed) {
				t.Fatalf("got %v", err)
			}
			if d := reply.Classify(failed.Reply); failed.Reply.Event != tt.event || !strings.Contains(failed.Hint, tt.hint) || d.Verdict != tt.verdict {
				t.Errorf("got %v, %s; want event %q, hint %q", err, d.Verdict, tt.event, tt.hint)
			}
			if len(w.refused) != tt.refused || strings.Contains(err.Error(), "access-token") {
				t.Errorf("refused %q, %v", w.refused, err)
			}
		})
	}
}

// An account without the mechanism, or that waits for a token when the process ends.
func TestTokenIsNotAskedFor(t *testing.T) {
	t.Parallel()
	wantProblem(t, scripted(t, Config{Username: "user", Tokens: &wallet{}}, hello("AUTH PLAIN LOGIN")), reply.Setup, "no login mechanism in common")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	c := &Conn{cfg: Config{Tokens: &wallet{err: context.Canceled}}}
	if _, err := c.token(ctx); err == nil || err.Reply.Event != reply.Cancelled {
		t.Errorf("got %v", err)
	}
}

// A provider that withdraws logins is told from a wrong password.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	for said, hint := range map[string]string{
		"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled": "turn on Authenticated SMTP",
		"535 5.7.139 Authentication unsuccessful, basic authentication is disabled.":                                                            "takes no passwords from programs any more: set auth: xoauth2",
		"530 5.7.57 Client not authenticated to send mail":                                                                                      "takes no passwords from programs any more: set auth: xoauth2",
		"535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.":                                                         "may take no passwords any more",
		"535 5.7.8 wrong": "refused username or password",
	} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			wantProblem(t, scripted(t, loginAccount("plain"), hello("AUTH PLAIN XOAUTH2")+"C*\nS: "+said+"\n"), "", hint)
		})
	}
	wantProblem(t, scripted(t, loginAccount("plain"), hello("STARTTLS")), reply.Setup, "offers no login before TLS")
}
