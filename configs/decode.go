package configs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

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
		strictyaml.Int(m, "queue_shards", &c.Redis.QueueShards, 1, 16, "a number of shards")
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
	m.Map("feedback", func(m *strictyaml.Map) { readFeedback(m, &c.Feedback) })
	readWebhooks(m, c)
	c.Accounts = map[string]Account{}
	m.Maps("accounts", "1 to 64 letters, digits, - and _", func(name string, m *strictyaml.Map) bool {
		if !accountPattern.MatchString(name) {
			return false
		}
		c.Accounts[name] = readAccount(m, c, name, base)
		return true
	})
	checkAccountNames(m, c)
	readSubscribe(m, c, base)
	m.Line("reply_rules", &c.ReplyRules)
	c.ReplyRules = relativeTo(base, c.ReplyRules)
	m.Map("storm", func(m *strictyaml.Map) { readStorm(m, &c.Storm) })
}

// relativeTo returns the path of a file that the configuration names.
func relativeTo(base, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(base, file)
}

func readStorm(m *strictyaml.Map, s *Storm) {
	const most = 10_000 // messages of a lane that a process remembers
	strictyaml.Percent(m, "share", &s.Share)
	strictyaml.Int(m, "of", &s.Of, 10, most, "a number of messages")
	strictyaml.Int(m, "at_least", &s.AtLeast, 1, most, "a number of messages")
	if s.AtLeast > s.Of && s.Of > 0 {
		m.Problem("at_least", "found %d, expected no more than storm.of, which is %d", s.AtLeast, s.Of)
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

func readFeedback(m *strictyaml.Map, f *Feedback) {
	m.Check("return_path", &f.ReturnPath, fmt.Sprintf("a domain such as bounce.acme.example, of at most %d bytes", campaign.MaxSenderDomain), isReturnPath)
	readMailboxes(m, &f.Mailbox)
	strictyaml.Duration(m, "every", &f.Every, time.Second, 24*time.Hour)
	m.Check("listen", &f.Listen, "an address such as 127.0.0.1:2526 or :25", isListen)
	m.Map("soft", func(m *strictyaml.Map) { readSoft(m, &f.Soft) })
	m.Map("hooks", func(m *strictyaml.Map) { readHooks(m, &f.Hooks) })
	if f.Listen != "" && f.ReturnPath == "" {
		m.Problem("listen", "found an address and no feedback.return_path, expected the domain whose mail is taken there")
	}
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
