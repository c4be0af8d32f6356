package smtppool

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

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
// guessed, because its secret is another one.
var autoOrder = []string{authSCRAM, authCRAMMD5, authPlain, authLogin}

// login authenticates, if the account has a username. It is reached only
// under TLS, or where open allows to do without.
//
// The mechanisms are go-mail's; the exchange (RFC 4954 4) is ours, because
// go-mail's answers a refusal with "*" and QUIT and waits for both.
func (c *Conn) login() error {
	cfg := c.cfg
	if cfg.Username == "" || cfg.Auth == authNone {
		return nil
	}
	if len(c.info.Mechanisms) == 0 {
		return c.setup(reply.Auth, reply.Setup, errNoAuth)
	}
	mode := cfg.Auth
	if mode == authAuto {
		i := slices.IndexFunc(autoOrder, func(m string) bool { return c.offers(m) })
		if i < 0 {
			return c.setup(reply.Auth, reply.Setup, fmt.Errorf("%w: the server offers %s", errMechanism, strings.Join(c.info.Mechanisms, ", ")))
		}
		mode = autoOrder[i]
	}
	if !c.offers(mode) {
		return c.setup(reply.Auth, reply.Setup, fmt.Errorf("%w: the account asks for %s, the server offers %s",
			errMechanism, strings.ToUpper(mode), strings.Join(c.info.Mechanisms, ", ")))
	}
	if err := c.exchange(c.mechanism(mode)); err != nil {
		return err
	}
	c.info.AuthUsed = strings.ToUpper(mode)
	return nil
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
	case authXOAUTH2:
		return smtp.XOAuth2Auth(cfg.Username, cfg.Password)
	}
	return smtp.PlainAuth("", cfg.Username, cfg.Password, cfg.Host, true)
}

// exchange runs the login until the server says 235.
func (c *Conn) exchange(mech smtp.Auth) error {
	name, first, err := mech.Start(&smtp.ServerInfo{Name: c.cfg.Host, TLS: c.info.TLSVersion != "", Auth: c.info.Mechanisms})
	if err != nil {
		return c.setup(reply.Auth, reply.Setup, fmt.Errorf("begin the login: %w", err))
	}
	line := "AUTH " + name
	if first != nil {
		line += " " + base64.StdEncoding.EncodeToString(first)
	}
	for {
		c.limit(c.cfg.Timeouts.Auth)
		if _, err := c.write([]byte(line + "\r\n")); err != nil {
			return c.refusal(reply.Auth, err)
		}
		code, text, err := c.read()
		switch {
		case err != nil:
			return c.refusal(reply.Auth, err)
		case code == 235:
			return nil
		case code >= 400:
			r := reply.New(reply.Auth, code, string(text))
			return c.failure(r, fmt.Errorf("log in: %s", r))
		case code != 334:
			return c.setup(reply.Auth, reply.BadReply, badReply(fmt.Sprintf("expected 334 or 235, got %d", code)))
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			return c.setup(reply.Auth, reply.BadReply, badReply("the challenge is no base64"))
		}
		answer, err := mech.Next(challenge, true)
		if err != nil {
			return c.setup(reply.Auth, reply.BadReply, fmt.Errorf("answer the challenge: %w", err))
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}
