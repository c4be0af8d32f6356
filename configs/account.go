package configs

import "strings"

// TLS modes of an account.
const (
	TLSStartTLS = "starttls" // required; the default
	TLSImplicit = "implicit"
	TLSNone     = "none" // loopback, or AllowPlaintext
)

// Streams of mail. Campaigns leave by the accounts of Marketing; they leave by one of
// Transactional only when they name it.
const (
	Marketing     = "marketing" // the default
	Transactional = "transactional"
)

// SingleAccount returns the account by which a single message leaves that names none: the
// only one for transactional mail, else the only one; empty where there is no such account.
func (c *Config) SingleAccount() string {
	only, transactional, n := "", "", 0
	for name, acct := range c.Accounts {
		only = name
		if acct.Stream == Transactional {
			transactional = name
			n++
		}
	}
	switch {
	case n == 1:
		return transactional
	case len(c.Accounts) == 1:
		return only
	}
	return ""
}

// AuthXOAUTH2 is the Auth of an account that logs in with an access token.
const AuthXOAUTH2 = "xoauth2"

// Defaults of an account without a preset.
const (
	DefaultConnections           = 10
	DefaultMessagesPerConnection = 1000
	DefaultPort                  = 587
	DefaultImplicitPort          = 465
)

// An Account is one configured way out: an SMTP relay with its limits. What its preset
// says is filled in.
type Account struct {
	Name           string
	Preset         string // id of a [Preset]; empty: none
	Region         string // which of the preset's hosts; empty: its own
	Stream         string // Marketing or Transactional
	Host           string
	Port           int
	TLS            string
	AllowPlaintext bool   // credentials and mail in clear to other than loopback
	CAFile         string // PEM file of a private certificate authority
	Auth           string // auto (default), plain, login, cram-md5, scram-sha-256, xoauth2, none
	Username       string
	Password       Secret
	OAuth2         *OAuth2 // nil: the password is what logs in
	Helo           string  // EHLO name; empty: the host's name
	Limits         Limits
	Lanes          map[string]Lane // by mailbox provider ("gmail") or domain ("acme.example")
	Warmup         Warmup
	Pipelining     string // auto, envelope, off
}

// OAuth2 says how access tokens are got with a refresh token (RFC 6749, section 6).
type OAuth2 struct {
	TokenURL     string
	ClientID     string
	ClientSecret Secret // empty: a client that has none
	RefreshToken Secret
}

// Limits are ceilings of an account over all processes; 0 is no limit except
// for Connections and MessagesPerConnection, which have defaults.
type Limits struct {
	Rate                  float64 // messages a second
	PerHour               int     // messages in any 60 minutes
	PerDay                int     // messages in any 24 hours
	Connections           int     // open at any time
	ConnectionRate        float64 // connections opened a second
	MessagesPerConnection int
}

// A Lane has the ceilings of an account for one mailbox provider, or for one domain that
// belongs to none; 0 is none of its own.
type Lane struct {
	Rate                  float64 // messages a second
	Connections           int
	MessagesPerConnection int
}

// Loopback reports whether the account's host is this machine.
func (a Account) Loopback() bool { return IsLoopback(strings.Trim(a.Host, "[]")) }
