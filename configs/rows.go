package configs

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

// A Row is one setting as config show prints it; Value shows no secret.
type Row struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Rows returns every setting with its value and where it came from, accounts
// and topics in alphabetical order. Passwords and secrets are redacted; of
// redis_url only the user and password are, of a mailbox only the password.
func (c *Config) Rows() []Row {
	var rows []Row
	add := func(key, value string) {
		source := c.Sources[key]
		if source == "" {
			source = strictyaml.Place{}.String()
		}
		rows = append(rows, Row{key, value, source})
	}
	add("namespace", c.Namespace)
	add("redis_url", strictyaml.RedactURL(c.RedisURL.Reveal()))
	add("redis.max_connections", strconv.Itoa(c.Redis.MaxConnections))
	add("redis.tls_insecure", strconv.FormatBool(c.Redis.TLSInsecure))
	add("redis.queue_shards", strconv.Itoa(c.Redis.QueueShards))
	add("allow_volatile_redis", strconv.FormatBool(c.AllowVolatileRedis))
	add("public_url", c.PublicURL)
	add("secrets", secretList(c.Secrets))
	add("timezone", c.Timezone)
	add("listen", c.Listen)
	add("postal_address", c.PostalAddress)
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		add("topics."+name+".name", c.Topics[name].Name)
		add("topics."+name+".description", c.Topics[name].Description)
	}
	add("only_to", strings.Join(c.OnlyTo, ", "))
	add("retention.runs", units.FormatDuration(c.Retention.Runs))
	add("retention.addresses", units.FormatDuration(c.Retention.Addresses))
	concurrency := "auto"
	if c.Worker.Concurrency > 0 {
		concurrency = strconv.Itoa(c.Worker.Concurrency)
	}
	add("worker.concurrency", concurrency)
	add("worker.drain", units.FormatDuration(c.Worker.Drain))
	add("feedback.return_path", c.Feedback.ReturnPath)
	c.Feedback.Hooks.rows(func(key, value string) { add("feedback.hooks."+key, value) })
	add("feedback.soft.suppress_after", strconv.Itoa(c.Feedback.Soft.SuppressAfter))
	add("feedback.soft.within", units.FormatDuration(c.Feedback.Soft.Within))
	_, single := c.Sources["feedback.mailbox.url"]
	mailboxRows(c.Feedback.Mailbox, single, add)
	add("feedback.every", units.FormatDuration(c.Feedback.Every))
	add("feedback.listen", c.Feedback.Listen)
	webhookRows(c.Webhooks, add)
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		c.Accounts[name].rows(func(key, value string) { add("accounts."+name+"."+key, value) })
	}
	for _, name := range slices.Sorted(maps.Keys(c.Subscribe)) {
		c.Subscribe[name].rows(func(key, value string) { add("subscribe."+name+"."+key, value) })
	}
	add("reply_rules", c.ReplyRules)
	add("storm.share", units.FormatPercent(c.Storm.Share))
	add("storm.of", strconv.Itoa(c.Storm.Of))
	add("storm.at_least", strconv.Itoa(c.Storm.AtLeast))
	return rows
}

func secretList(secrets []Secret) string {
	shown := make([]string, len(secrets))
	for i, s := range secrets {
		shown[i] = s.String()
	}
	return strings.Join(shown, ", ")
}
