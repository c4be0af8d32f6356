package smtppool

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TLS modes.
const (
	TLSStartTLS = "starttls" // required: a server without it is refused
	TLSImplicit = "implicit"
	TLSNone     = "none" // only to loopback, unless AllowPlaintext
)

// Values of Config.Pipelining.
const (
	PipeliningAuto     = "auto"     // MAIL, RCPT and DATA in one write where the server offers it
	PipeliningEnvelope = "envelope" // the same, and never more than that
	PipeliningOff      = "off"
)

// A Config says how to reach one account. Host is required; the zero value of
// everything else has a default.
type Config struct {
	Account        string // name, for messages
	Host           string
	Port           int    // default 587, 465 with implicit TLS
	TLS            string // default starttls
	AllowPlaintext bool
	RootCAs        *x509.CertPool // nil: the system's
	Auth           string         // auto (default), plain, login, cram-md5, scram-sha-256, xoauth2, none
	Username       string         // empty: no login
	Password       string         // for xoauth2 without Tokens the access token
	Tokens         Tokens         // for xoauth2: where access tokens come from; may be nil
	Helo           string         // default: the host's name
	Pipelining     string

	MaxConns    int           // of a Pool, in this process; default 10
	MaxMessages int           // transactions per connection; default 1000
	MaxAge      time.Duration // of a connection; default 5 min
	Timeouts    Timeouts

	// Dial opens the TCP connection; nil: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Timeouts are the longest waits by stage. Those from Greeting on default to
// RFC 5321 4.5.3.2, which says SHOULD at least.
type Timeouts struct {
	Connect  time.Duration // name lookup and TCP; 30 s
	Hello    time.Duration // EHLO, STARTTLS with its handshake, each; 60 s
	Auth     time.Duration // each step of the login; 60 s
	Greeting time.Duration // 5 min
	Mail     time.Duration // 5 min
	Rcpt     time.Duration // 5 min
	Data     time.Duration // until 354; 2 min
	Block    time.Duration // writing one block of the body (256 KiB); 3 min
	Dot      time.Duration // the reply after the final dot; 10 min
	Quit     time.Duration // 2 s
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Connect:  cmp.Or(t.Connect, 30*time.Second),
		Hello:    cmp.Or(t.Hello, time.Minute),
		Auth:     cmp.Or(t.Auth, time.Minute),
		Greeting: cmp.Or(t.Greeting, 5*time.Minute),
		Mail:     cmp.Or(t.Mail, 5*time.Minute),
		Rcpt:     cmp.Or(t.Rcpt, 5*time.Minute),
		Data:     cmp.Or(t.Data, 2*time.Minute),
		Block:    cmp.Or(t.Block, 3*time.Minute),
		Dot:      cmp.Or(t.Dot, 10*time.Minute),
		Quit:     cmp.Or(t.Quit, 2*time.Second),
	}
}

// withDefaults returns the Config with every default filled in.
func (c Config) withDefaults() Config {
	c.TLS = cmp.Or(c.TLS, TLSStartTLS)
	if c.Port == 0 && c.TLS == TLSImplicit {
		c.Port = 465
	}
	c.Port = cmp.Or(c.Port, 587)
	c.Auth = cmp.Or(c.Auth, authAuto)
	if c.Auth == authAuto && c.Tokens != nil {
		c.Auth = authXOAUTH2
	}
	c.Pipelining = cmp.Or(c.Pipelining, PipeliningAuto)
	if c.Helo == "" {
		c.Helo = HostName()
	}
	c.MaxConns = cmp.Or(c.MaxConns, 10)
	c.MaxMessages = cmp.Or(c.MaxMessages, 1000)
	c.MaxAge = cmp.Or(c.MaxAge, 5*time.Minute)
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	c.Timeouts = c.Timeouts.withDefaults()
	return c
}

// HostName returns the name that a Config without one has for Helo.
func HostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// check finds what can only be a mistake in the configuration.
func (c Config) check() error {
	switch {
	case c.Host == "":
		return fmt.Errorf("no host: set host to the name of the SMTP server")
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("port %d: expected 1 to 65535", c.Port)
	case !slices.Contains([]string{TLSStartTLS, TLSImplicit, TLSNone}, c.TLS):
		return fmt.Errorf("tls %q: expected starttls, implicit or none", c.TLS)
	case !slices.Contains(authModes, c.Auth):
		return fmt.Errorf("auth %q: expected one of %s", c.Auth, strings.Join(authModes, ", "))
	case !slices.Contains([]string{PipeliningAuto, PipeliningEnvelope, PipeliningOff}, c.Pipelining):
		return fmt.Errorf("pipelining %q: expected auto, envelope or off", c.Pipelining)
	case strings.ContainsAny(c.Helo, " \t\r\n"):
		return fmt.Errorf("helo %q: expected a host name", c.Helo)
	case c.Username == "" && c.Auth != authAuto && c.Auth != authNone:
		return fmt.Errorf("auth %s without a username: set username and password, or auth: none", c.Auth)
	}
	return nil
}

func (c Config) addr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }
