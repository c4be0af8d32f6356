package configs

import "time"

// A Config is the whole configuration, as read by Load.
type Config struct {
	Namespace          string
	RedisURL           Secret // empty: the embedded store
	Redis              Redis
	AllowVolatileRedis bool
	PublicURL          string // without a final slash
	Secrets            []Secret
	Timezone           string
	Listen             string
	PostalAddress      string
	Topics             map[string]Topic // empty: any topic is allowed
	OnlyTo             []string
	Retention          Retention
	Worker             Worker
	Feedback           Feedback
	Accounts           map[string]Account
	ReplyRules         string // file of rules for replies that are asked first; empty: none

	// File is the file that was read, empty when there was none.
	File string
	// lookedIn is the directory in which there was none.
	lookedIn string
	// Sources says for each dotted key where its value came from: "default",
	// "FILE:LINE", or "env NAME".
	Sources map[string]string
	// SecretsInFile are the dotted keys of the secrets that stand in the file
	// itself, and not as ${NAME}.
	SecretsInFile []string
}

// Redis limits what one process asks of Redis.
type Redis struct {
	MaxConnections int // hard ceiling per process
	TLSInsecure    bool
}

// A Topic is something that people subscribe to.
type Topic struct {
	Name        string
	Description string
}

// Retention says how long finished runs, and the addresses in them, are kept.
type Retention struct {
	Runs      time.Duration
	Addresses time.Duration
}

// Worker sizes a worker process.
type Worker struct {
	Concurrency int           // tasks at once; 0 is auto
	Drain       time.Duration // from SIGTERM to the end
}

// Feedback says where bounces go.
type Feedback struct {
	ReturnPath string // domain of VERP return paths; empty: the From address
}

// TLS modes of an account.
const (
	TLSStartTLS = "starttls" // required; the default
	TLSImplicit = "implicit"
	TLSNone     = "none" // loopback, or AllowPlaintext
)

// An Account is one configured way out: an SMTP relay with its limits.
type Account struct {
	Name           string
	Host           string
	Port           int
	TLS            string
	AllowPlaintext bool   // credentials and mail in clear to other than loopback
	CAFile         string // PEM file of a private certificate authority
	Auth           string // auto (default), plain, login, cram-md5, scram-sha-256, xoauth2, none
	Username       string
	Password       Secret
	Helo           string // EHLO name; empty: the host's name
	Limits         Limits
	Pipelining     string // auto, envelope, off
}

// Limits are ceilings of an account over all processes; 0 is no limit except
// for Connections and MessagesPerConnection, which have defaults.
type Limits struct {
	Rate                  float64 // messages a second
	PerDay                int     // not built yet: must be 0
	Connections           int
	MessagesPerConnection int
}
