package smtppool

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"broadside/sender/oauth"
	"broadside/sender/reply"

	"github.com/wneessen/go-mail/smtp"
)

// Values of Config.Auth.
const (
	authAuto    = "auto"
	authPlain   = "plain"
	authLogin   = "login"
	authCRAMMD5 = "cram-md5"
	authSCRAM   = "scram-sha-256"
	authXOAUTH2 = "xoauth2"
	authNone    = "none"
)

var authModes = []string{authAuto, authPlain, authLogin, authCRAMMD5, authSCRAM, authXOAUTH2, authNone}

// autoOrder is the order in which auto takes a mechanism that is offered:
// those first that do not show the password to the server. XOAUTH2 is never
// guessed, because its secret is another one: bearer.go has it.
var autoOrder = []string{authSCRAM, authCRAMMD5, authPlain, authLogin}

// login authenticates, if the account has a username. It is reached only
// under TLS, or where open allows to do without.
//
// The mechanisms are go-mail's; the exchange (RFC 4954 4) is ours, because
// go-mail's answers a refusal with "*" and QUIT and waits for both.
func (c *Conn) login(ctx context.Context) error {
	cfg := c.cfg
	switch {
	case cfg.Username == "" || cfg.Auth == authNone:
		return nil
	case len(c.info.Mechanisms) == 0 && c.inClear():
		return c.setup(reply.Auth, reply.Setup, errNoAuthYet)
	case len(c.info.Mechanisms) == 0:
		return c.setup(reply.Auth, reply.Setup, errNoAuth)
	}
	modes, err := c.modes()
	if err != nil {
		return c.setup(reply.Auth, reply.Setup, err)
	}
	if cfg.Auth == authXOAUTH2 {
		return c.loginByToken(ctx)
	}

	var last *Error
	for i, mode := range modes {
		refused := c.exchange(c.mechanism(mode), cfg.Password)
		if refused == nil {
			c.info.AuthUsed = strings.ToUpper(mode)
			return nil
		}
		aboutPassword := refused.Reply.Event == "" && refused.Reply.Code >= 500
		if !aboutPassword {
			return cmp.Or(last, refused)
		}
		refused.Hint = cmp.Or(withdrawnHint(refused.Reply), c.loginHint(refused.Reply, modes[:i+1]))
		last = refused
	}
	return last
}

// modes returns the mechanisms to try, one after the other. A server that has
// no readable password refuses every mechanism that proves one without showing
// it: auto then goes on to one that shows it, and else to the next.
func (c *Conn) modes() ([]string, error) {
	mode := c.cfg.Auth
	if mode != authAuto {
		if !c.offers(mode) && (mode != authXOAUTH2 || !c.offers(oauth.OAuthBearer)) {
			return nil, fmt.Errorf("%w: the account asks for %s, the server offers %s",
				errMechanism, strings.ToUpper(mode), strings.Join(c.info.Mechanisms, ", "))
		}
		return []string{mode}, nil
	}
	var offered []string
	for _, m := range autoOrder {
		if c.offers(m) {
			offered = append(offered, m)
		}
	}
	if len(offered) == 0 {
		return nil, fmt.Errorf("%w: the server offers %s", errMechanism, strings.Join(c.info.Mechanisms, ", "))
	}
	if i := slices.IndexFunc(offered, shows); i > 1 {
		offered[1] = offered[i]
	}
	return offered[:min(2, len(offered))], nil
}

// shows reports whether a mechanism shows the password to the server.
func shows(mode string) bool { return mode == authPlain || mode == authLogin }

// loginHint says of a refused login what was tried, and what else there is.
func (c *Conn) loginHint(r reply.Reply, tried []string) string {
	names := strings.ToUpper(tried[0])
	for _, mode := range tried[1:] {
		names += ", then " + strings.ToUpper(mode)
	}
	hint := fmt.Sprintf("the server refused username or password (tried %s): check both; some providers want an app password or an API key instead", names)
	if !slices.ContainsFunc(tried, shows) && c.offers(authPlain) {
		hint += "; if both are right, set auth: plain, since not every server can check " + names
	}
	if r.Enhanced == "5.7.139" {
		hint += "; if both are right, the provider may take no passwords any more: set auth: xoauth2 and oauth2"
	}
	return hint
}

// offers reports whether the server offers the mechanism.
func (c *Conn) offers(mode string) bool {
	return slices.Contains(c.info.Mechanisms, strings.ToUpper(mode))
}

// mechanism returns go-mail's implementation. Its own checks for TLS are
// switched off: open has made them, and knows all addresses of loopback.
func (c *Conn) mechanism(mode string) smtp.Auth {
	cfg := c.cfg
	switch mode {
	case authSCRAM:
		return smtp.ScramSHA256Auth(cfg.Username, cfg.Password)
	case authCRAMMD5:
		return smtp.CRAMMD5Auth(cfg.Username, cfg.Password)
	case authLogin:
		return smtp.LoginAuth(cfg.Username, cfg.Password, cfg.Host, true)
	}
	return smtp.PlainAuth("", cfg.Username, cfg.Password, cfg.Host, true)
}

// exchange runs the login until the server says 235. secret is what no error may show.
func (c *Conn) exchange(mech smtp.Auth, secret string) *Error {
	name, first, err := mech.Start(&smtp.ServerInfo{Name: c.cfg.Host, TLS: c.info.TLSVersion != "", Auth: c.info.Mechanisms})
	if err != nil {
		return c.setup(reply.Auth, reply.Setup, fmt.Errorf("begin the login: %w", err))
	}
	line := "AUTH " + name
	said := secretsOf(secret)
	if first != nil {
		initial := base64.StdEncoding.EncodeToString(first)
		said = append(said, initial)
		line += " " + initial
	}
	for {
		code, text, err := c.prompted(line, said)
		switch {
		case err != nil:
			return c.refusal(reply.Auth, err)
		case code == 235:
			return nil
		case code >= 400:
			r := reply.New(reply.Auth, code, said.hide(text))
			return c.failure(r, fmt.Errorf("log in: %s", r))
		case code != 334:
			return c.setup(reply.Auth, reply.BadReply, badReply(fmt.Sprintf("expected 334 or 235, got %d", code)))
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return c.setup(reply.Auth, reply.Setup, fmt.Errorf("%w with %s: the challenge %q is no base64", errExchange, name, said.hide(text)))
		}
		answer, err := mech.Next(challenge, true)
		if err != nil {
			return c.setup(reply.Auth, reply.Setup, fmt.Errorf("%w with %s: it asks for more than the mechanism has", errExchange, name))
		}
		line = base64.StdEncoding.EncodeToString(answer)
		said = append(said, line)
	}
}

// prompted says a line of the login and returns the answer. An error has nothing
// of what was said.
func (c *Conn) prompted(line string, said secrets) (code int, text string, err error) {
	c.limit(c.cfg.Timeouts.Auth)
	if _, err := c.write([]byte(line + "\r\n")); err != nil {
		return 0, "", err
	}
	code, answer, err := c.read()
	var bad badReply
	if errors.As(err, &bad) {
		err = badReply(said.hide(string(bad)))
	}
	return code, string(answer), err
}

// inClear reports whether the server might offer a login under TLS only.
func (c *Conn) inClear() bool { return c.tls == nil && c.extensions.has("STARTTLS") }
