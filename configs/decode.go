package configs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

// readConfig fills c; base is the directory that paths are relative to.
func readConfig(m *strictyaml.Map, c *Config, base string) {
	m.Check("namespace", &c.Namespace, "1 to 32 lower-case letters, digits and -", namespacePattern.MatchString)
	m.Secret("redis_url", "an address such as redis://127.0.0.1:6379/0 or rediss://:PASSWORD@HOST:6380", func(text string) bool {
		c.RedisURL = Secret(text)
		return hasScheme(text)
	})
	m.Map("redis", func(m *strictyaml.Map) {
		strictyaml.Int(m, "max_connections", &c.Redis.MaxConnections, 1, 10_000, "a number of connections")
		strictyaml.Bool(m, "tls_insecure", &c.Redis.TLSInsecure)
	})
	strictyaml.Bool(m, "allow_volatile_redis", &c.AllowVolatileRedis)
	m.Value("public_url", publicURLForm, func(text string) (problem string) {
		c.PublicURL, problem = publicURL(text)
		return problem
	})
	m.Secrets("secrets", func(text string) (problem string) {
		c.Secrets = append(c.Secrets, Secret(text))
		return secretProblem(text)
	})
	strictyaml.Zone(m, "timezone", &c.Timezone)
	m.Check("listen", &c.Listen, "an address such as :8080 or 127.0.0.1:8080", isListen)
	m.Off("metrics_listen", "leave the key out")
	m.Text("postal_address", &c.PostalAddress, strictyaml.OneLine)
	readTopics(m, c)
	m.Strings("only_to", &c.OnlyTo, `an address or pattern such as "*@acme.example"`, isAddressPattern)
	m.Map("retention", func(m *strictyaml.Map) { readRetention(m, &c.Retention) })
	m.Map("worker", func(m *strictyaml.Map) { readWorker(m, &c.Worker) })
	m.Map("feedback", func(m *strictyaml.Map) {
		m.Check("return_path", &c.Feedback.ReturnPath, fmt.Sprintf("a domain such as bounce.acme.example, of at most %d bytes", campaign.MaxSenderDomain), isReturnPath)
		m.Off("mailbox", "leave the key out; bounces that arrive later are not read yet")
	})
	c.Accounts = map[string]Account{}
	m.Maps("accounts", "1 to 64 letters, digits, - and _", func(name string, m *strictyaml.Map) bool {
		if !accountPattern.MatchString(name) {
			return false
		}
		c.Accounts[name] = readAccount(m, name, base)
		return true
	})
	checkAccountNames(m, c)
	m.Line("reply_rules", &c.ReplyRules)
	if c.ReplyRules != "" && !filepath.IsAbs(c.ReplyRules) {
		c.ReplyRules = filepath.Join(base, c.ReplyRules)
	}
}

func readTopics(m *strictyaml.Map, c *Config) {
	c.Topics = map[string]Topic{}
	m.Maps("topics", campaign.TopicForm, func(name string, m *strictyaml.Map) bool {
		t := Topic{Name: name}
		m.Text("name", &t.Name, strictyaml.HeaderName)
		m.Text("description", &t.Description, strictyaml.OneLine)
		if !campaign.IsTopic(name) {
			return false
		}
		c.Topics[name] = t
		return true
	})
}

func readRetention(m *strictyaml.Map, r *Retention) {
	const least, most = time.Minute, 3650 * 24 * time.Hour
	strictyaml.Duration(m, "runs", &r.Runs, least, most)
	strictyaml.Duration(m, "addresses", &r.Addresses, least, most)
	if r.Addresses > r.Runs && r.Runs > 0 {
		m.Problem("addresses", "found %s, expected no more than retention.runs, which is %s",
			units.FormatDuration(r.Addresses), units.FormatDuration(r.Runs))
	}
}

func readWorker(m *strictyaml.Map, w *Worker) {
	var tasks string
	m.Check("concurrency", &tasks, "auto or a number of tasks from 1 to 10000", func(text string) bool {
		n, err := strconv.Atoi(text)
		return text == "auto" || err == nil && n >= 1 && n <= 10_000
	})
	w.Concurrency, _ = strconv.Atoi(tasks) // auto is 0
	strictyaml.Duration(m, "drain", &w.Drain, time.Second, 10*time.Minute)
}

// Defaults of an account.
const (
	DefaultConnections           = 10
	DefaultMessagesPerConnection = 1000
	DefaultPort                  = 587
	DefaultImplicitPort          = 465
)

func readAccount(m *strictyaml.Map, name, base string) Account {
	a := Account{
		Name: name, TLS: TLSStartTLS, Auth: "auto", Pipelining: "auto",
		Limits: Limits{Connections: DefaultConnections, MessagesPerConnection: DefaultMessagesPerConnection},
	}
	m.Off("preset", "write host, port, tls and limits (SES: email-smtp.<region>.amazonaws.com, 587, starttls)")
	m.Check("host", &a.Host, "a host name or IP address alone; the port goes in port", isHost)
	strictyaml.Int(m, "port", &a.Port, 1, 65535, "a port number")
	m.Choice("tls", &a.TLS, TLSStartTLS, TLSImplicit, TLSNone)
	strictyaml.Bool(m, "allow_plaintext", &a.AllowPlaintext)
	m.Line("ca_file", &a.CAFile)
	m.Choice("auth", &a.Auth, "auto", "plain", "login", "cram-md5", "scram-sha-256", "xoauth2", "none")
	m.Text("username", &a.Username, strictyaml.OneLine)
	m.Secret("password", "a password on one line", func(text string) bool {
		a.Password = Secret(text)
		return !strings.ContainsFunc(text, unicode.IsControl)
	})
	m.Check("helo", &a.Helo, "the host name of this machine, such as mail.acme.example", campaign.IsDomain)
	m.Choice("pipelining", &a.Pipelining, "auto", "envelope", "off")
	m.Map("limits", func(m *strictyaml.Map) {
		strictyaml.Rate(m, "rate", &a.Limits.Rate)
		m.Off("per_day", "leave the key out and keep to the daily limit by hand", "0")
		strictyaml.Int(m, "connections", &a.Limits.Connections, 1, 1000, "a number of connections")
		strictyaml.Int(m, "messages_per_connection", &a.Limits.MessagesPerConnection, 1, 1_000_000, "a number of messages")
	})
	if a.Port == 0 {
		a.Port = DefaultPort
		if a.TLS == TLSImplicit {
			a.Port = DefaultImplicitPort
		}
	}
	if a.CAFile != "" && !filepath.IsAbs(a.CAFile) {
		a.CAFile = filepath.Join(base, a.CAFile)
	}
	checkAccount(m, a)
	return a
}

// checkAccount looks at what the keys of an account say together.
func checkAccount(m *strictyaml.Map, a Account) {
	m.Require("host", "the name of the SMTP server, such as smtp.acme.example")
	if a.TLS == TLSNone && a.Host != "" && !a.Loopback() && !a.AllowPlaintext {
		m.Problem("tls", "found none for a host that is not this machine: passwords and mail would travel in clear; "+
			"expected starttls or implicit, or allow_plaintext: true if you mean it")
	}
	switch {
	case m.Has("username") && !m.Has("password"):
		m.Problem("username", "found a username without a password, expected both or neither")
	case m.Has("password") && !m.Has("username"):
		m.Problem("password", "found a password without a username, expected both or neither")
	case !m.Has("username") && a.Auth != "auto" && a.Auth != "none":
		m.Problem("auth", "found %s without a username and password, expected both of them, or auth: none", a.Auth)
	}
}
