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
	Webhooks           []Webhook
	Accounts           map[string]Account
	Subscribe          map[string]SubscribeForm // by name; empty: no one can subscribe themselves
	ReplyRules         string                   // file of rules for replies that are asked first; empty: none
	Storm              Storm

	// File is the file that was read, empty when there was none.
	File string
	// lookedIn is the directory in which there was none.
	lookedIn string
	// Sources says for each dotted key where its value came from: "default",
	// "FILE:LINE", "env NAME", or "preset NAME".
	Sources map[string]string
	// SecretsInFile are the dotted keys of the secrets that stand in the file
	// itself, and not as ${NAME}.
	SecretsInFile []string
}

// Redis limits what one process asks of Redis.
type Redis struct {
	MaxConnections int // hard ceiling per process
	TLSInsecure    bool
	QueueShards    int // queues that bulk mail is spread over
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

// Feedback says where bounces go, and who may tell what became of messages.
type Feedback struct {
	ReturnPath string // domain of VERP return paths; empty: the From address
	Hooks      Hooks
	Soft       Soft
	Mailbox    []Mailbox
	Every      time.Duration // between two looks into a mailbox
	Listen     string        // address for SMTP and LMTP; empty: none
}

// A Storm says when so many addresses are refused for good in one lane that the server
// must be at fault and not the addresses.
type Storm struct {
	Share   float64 // of the last messages, as a fraction
	Of      int     // how many of the last messages are looked at
	AtLeast int     // refusals that it takes in any case
}
