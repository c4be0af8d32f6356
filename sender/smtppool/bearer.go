package smtppool

import (
	"context"
	"errors"
	"strings"

	"broadside/sender/oauth"
	"broadside/sender/reply"

	"github.com/wneessen/go-mail/smtp"
)

// Tokens gives the access tokens of an account that logs in by XOAUTH2.
type Tokens interface {
	// Token returns a token that is valid now. An error may have the methods
	// Hint() string, for people, and Temporary() bool; without them the failure is
	// taken for a passing one.
	Token(ctx context.Context) (string, error)
	// Refused says that the server did not take a token, and reports whether Token
	// has another one that is worth a try.
	Refused(ctx context.Context, token string) (again bool)
}

// loginByToken authenticates with an access token. One that was issued a while ago may
// have been withdrawn since: it is replaced, once.
func (c *Conn) loginByToken(ctx context.Context) error {
	mechanism := oauth.XOAUTH2
	if !c.offers(mechanism) && c.offers(oauth.OAuthBearer) {
		mechanism = oauth.OAuthBearer
	}

	var refused *Error
	for range 2 {
		token, failed := c.token(ctx)
		if failed != nil {
			return failed
		}

		mech := &bearer{oauth.Login{Mechanism: mechanism, User: c.cfg.Username, Host: c.cfg.Host, Port: c.cfg.Port, Token: token}}
		answer := c.exchange(mech, token)
		if answer == nil {
			c.info.AuthUsed = mechanism
			return nil
		}
		if answer.Reply.Event != "" || answer.Reply.Code < 500 {
			if refused != nil {
				return refused // it says more
			}
			return answer
		}

		refused = answer
		refused.Hint = c.tokenHint(refused.Reply, secretsOf(token).hide(mech.Refusal()))
		if withdrawn(refused.Reply) != "" || c.cfg.Tokens == nil || !c.cfg.Tokens.Refused(ctx, token) {
			return refused
		}
	}
	return refused
}

// token returns the access token to log in with.
func (c *Conn) token(ctx context.Context) (string, *Error) {
	if c.cfg.Tokens == nil {
		return c.cfg.Password, nil
	}
	token, err := c.cfg.Tokens.Token(ctx)
	if err == nil {
		return token, nil
	}

	event := reply.Unreachable
	var known interface{ Temporary() bool }
	switch {
	case ctx.Err() != nil:
		event = reply.Cancelled
	case errors.As(err, &known) && !known.Temporary():
		event = reply.Setup
	}
	return "", c.failure(reply.Lost(reply.Auth, event, err.Error()), err)
}

// A bearer is a login with an access token as go-mail wants a mechanism. It is ours
// because go-mail's does not show the document with which a server refuses.
type bearer struct{ oauth.Login }

// Start returns the first message.
func (b *bearer) Start(*smtp.ServerInfo) (name string, first []byte, err error) {
	return b.Mechanism, b.Message(), nil
}

// Next takes a refusal, which comes as a challenge.
func (b *bearer) Next(challenge []byte, _ bool) ([]byte, error) { return b.Refused(challenge) }

// tokenHint says of a refused token what to look at. document is the refusal in words.
func (c *Conn) tokenHint(r reply.Reply, document string) string {
	if withdrawn(r) == smtpLoginOff {
		return smtpLoginHint
	}
	hint := "the server refused the login with an access token"
	if document != "" {
		hint += " (" + document + ")"
	}
	if c.cfg.Tokens == nil {
		return hint + ": the access token may have expired; with oauth2 in place of password it is renewed in time"
	}
	return hint + ": check that username is the mailbox that granted access, and that the grant has the scope for SMTP " +
		"(https://mail.google.com/ for Gmail, https://outlook.office.com/SMTP.Send for Microsoft 365)"
}

// What a provider that withdraws logins has turned off.
const (
	passwordsOff = "passwords" // basic authentication
	smtpLoginOff = "smtp"      // every login by SMTP of the mailbox or tenant
)

const (
	smtpLoginHint = "the provider has logins by SMTP turned off for this mailbox: turn on Authenticated SMTP for it (Microsoft 365 admin centre, mail apps of the user; and for the tenant)"
	passwordsHint = "the provider takes no passwords from programs any more: set auth: xoauth2, and oauth2 with token_url, client_id, client_secret and refresh_token in place of password"
)

// withdrawn returns what the refusal of a login says is turned off; empty: nothing, or
// it does not say so.
func withdrawn(r reply.Reply) string {
	text := strings.ToLower(r.Text)
	switch {
	case strings.Contains(text, "smtpclientauthentication is disabled"):
		return smtpLoginOff
	case strings.Contains(text, "basic authentication is disabled"), r.Enhanced == "5.7.57":
		return passwordsOff
	}
	return ""
}

// withdrawnHint says what to do where a provider withdraws logins with a password; empty
// where it does not look so.
func withdrawnHint(r reply.Reply) string {
	switch withdrawn(r) {
	case smtpLoginOff:
		return smtpLoginHint + "; where a password is refused even then, set auth: xoauth2 and oauth2"
	case passwordsOff:
		return passwordsHint
	}
	return ""
}
