package smtppool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// oauthBearer is the mechanism of RFC 7628, for servers that offer it alone.
const oauthBearer = "oauthbearer"

// loginByToken authenticates with an access token. One that was issued a while ago may
// have been withdrawn since: it is replaced, once.
func (c *Conn) loginByToken(ctx context.Context) error {
	mode := authXOAUTH2
	if !c.offers(mode) && c.offers(oauthBearer) {
		mode = oauthBearer
	}

	var refused *Error
	for range 2 {
		token, failed := c.token(ctx)
		if failed != nil {
			return failed
		}

		mech := &bearer{mode: mode, cfg: c.cfg, token: token}
		answer := c.exchange(mech, token)
		if answer == nil {
			c.info.AuthUsed = strings.ToUpper(mode)
			return nil
		}
		if answer.Reply.Event != "" || answer.Reply.Code < 500 {
			if refused != nil {
				return refused // it says more
			}
			return answer
		}

		refused = answer
		refused.Hint = c.tokenHint(refused.Reply, secretsOf(token).hide(mech.refusal.String()))
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

// A bearer is a login with an access token, by XOAUTH2 or OAUTHBEARER. It is ours
// because go-mail's does not show the document with which a server refuses.
type bearer struct {
	mode    string
	cfg     Config
	token   string
	asked   bool
	refusal refusal
}

// Start returns the first message, which is all that a client has to say.
func (b *bearer) Start(*smtp.ServerInfo) (name string, first []byte, err error) {
	if b.mode == oauthBearer {
		return "OAUTHBEARER", fmt.Appendf(nil, "n,a=%s,\x01host=%s\x01port=%s\x01auth=Bearer %s\x01\x01",
			saslName.Replace(b.cfg.Username), b.cfg.Host, strconv.Itoa(b.cfg.Port), b.token), nil
	}
	return "XOAUTH2", []byte("user=" + b.cfg.Username + "\x01auth=Bearer " + b.token + "\x01\x01"), nil
}

// saslName writes a name as RFC 5801 section 4 wants it.
var saslName = strings.NewReplacer("=", "=3D", ",", "=2C")

// Next takes a refusal, which comes as a challenge, and returns the answer that brings the
// final reply: nothing, or for OAUTHBEARER a single 0x01 (RFC 7628 3.2.3).
func (b *bearer) Next(challenge []byte, _ bool) ([]byte, error) {
	if b.asked {
		return nil, errors.New("a second challenge")
	}
	b.asked = true
	b.refusal = readRefusal(challenge)
	if b.mode == oauthBearer {
		return []byte{1}, nil
	}
	return []byte{}, nil
}

// A refusal is the document with which a server refuses an access token: that of RFC 7628
// 3.2.2, which XOAUTH2 has too.
type refusal struct {
	status string // "401", or a word such as invalid_token; empty: none was given
	scope  string // that the token would need; may be empty
}

// maxRefusal is how much of a part of the document is shown, in bytes.
const maxRefusal = 100

// readRefusal understands a document as far as it can be read. Some servers write the
// status as a number.
func readRefusal(document []byte) refusal {
	var parts map[string]any
	if json.Unmarshal(document, &parts) != nil {
		return refusal{}
	}
	text := func(name string) string {
		switch v := parts[name].(type) {
		case string:
			return printable(v)
		case float64:
			return printable(strconv.FormatFloat(v, 'f', -1, 64))
		}
		return ""
	}
	return refusal{status: text("status"), scope: text("scope")}
}

// printable returns what can be shown of a text from outside.
func printable(text string) string {
	text = reply.Lost(reply.Auth, "", text).Text
	if len(text) > maxRefusal {
		text = strings.ToValidUTF8(text[:maxRefusal], "") + "..."
	}
	return text
}

// String returns the document in words; empty when it says nothing.
func (r refusal) String() string {
	var parts []string
	if r.status != "" {
		parts = append(parts, "status "+r.status)
	}
	if r.scope != "" {
		parts = append(parts, "scope "+r.scope)
	}
	return strings.Join(parts, ", ")
}

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
