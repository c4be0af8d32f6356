package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/standardwebhooks"
)

const (
	// maxWebhooks is the most receivers: each has connections and a queue of its own.
	maxWebhooks = 20
	// maxWebhookURL is the most bytes of the address of a receiver.
	maxWebhookURL = 2000

	webhookForm       = `a receiver such as {url: "https://crm.acme.example/hook", secret: "${CRM_SECRET}", events: [run.finished, bounced]}`
	webhookURLForm    = "an address such as https://crm.acme.example/hook (http only on this machine), without user and #"
	webhookSecretForm = "whsec_ and 24 to 64 bytes in base64, or 24 to 64 bytes of plain text; make one: echo whsec_$(openssl rand -base64 32)"
	webhookEventsForm = "the events that it is sent, such as [run.finished, bounced]"
)

// A Webhook is a receiver that is told what happens.
type Webhook struct {
	URL          string
	Secret       Secret // whsec_ and base64, or plain text
	Events       []campaign.WebhookEvent
	AllowPrivate bool // it may have an address that is not on the public Internet
}

// Key returns the key that requests are signed with.
func (w Webhook) Key() ([]byte, error) { return standardwebhooks.Key(w.Secret.Reveal()) }

// Wants reports whether the receiver is sent an event.
func (w Webhook) Wants(e campaign.WebhookEvent) bool { return slices.Contains(w.Events, e) }

// ID names the receiver in Redis: a new secret or other events do not make it another one.
func (w Webhook) ID() string {
	sum := sha256.Sum256([]byte(w.URL))
	return hex.EncodeToString(sum[:6])
}

// String returns the URL without what may be secret: a name for logs and tables.
func (w Webhook) String() string { return strictyaml.ShownURL(w.URL) }

// GoString keeps the query and the secret out of %#v.
func (w Webhook) GoString() string { return w.String() }

// OnLoopback reports whether the URL names this machine.
func (w Webhook) OnLoopback() bool {
	u, err := url.Parse(w.URL)
	return err == nil && IsLoopback(u.Hostname())
}

func readWebhooks(m *strictyaml.Map, c *Config) {
	seen := map[string]bool{}
	number := 0
	m.Items("webhooks", webhookForm, func(string) bool { number++; return false }, func(m *strictyaml.Map) {
		number++
		w := readWebhook(m)
		if w.URL != "" && seen[w.URL] {
			m.Problem("url", "found this receiver twice, expected it once, with all its events")
		}
		seen[w.URL] = true
		c.Webhooks = append(c.Webhooks, w)
	})
	if number > maxWebhooks {
		m.Problem("webhooks", "found %d receivers, expected at most %d", number, maxWebhooks)
	}
}

func readWebhook(m *strictyaml.Map) Webhook {
	var w Webhook
	m.Value("url", webhookURLForm, func(text string) (problem string) {
		if !isWebhookURL(text) {
			base, _, _ := strings.Cut(text, "?") // behind it there may be a password
			return "found " + strictyaml.Quote(base) + ", expected " + webhookURLForm
		}
		w.URL = text
		return ""
	})
	m.Require("url", webhookURLForm)
	readSecret(m, "secret", &w.Secret, webhookSecretForm, func(text string) bool {
		_, err := standardwebhooks.Key(text)
		return err == nil && isOneLine(text)
	})
	m.Require("secret", webhookSecretForm)

	var events []string
	m.Strings("events", &events, "the name of an event", nil)
	m.Require("events", webhookEventsForm)
	known := make([]string, len(campaign.WebhookEvents))
	for i, e := range campaign.WebhookEvents {
		known[i] = string(e)
	}
	for i, name := range events {
		place := "events[" + strconv.Itoa(i) + "]"
		switch e := campaign.WebhookEvent(name); {
		case !slices.Contains(known, name):
			hint := ""
			if meant := strictyaml.Suggest(name, known); meant != "" {
				hint = ": did you mean " + meant + "?"
			}
			m.Problem(place, "found %s, expected one of %s%s", strictyaml.Quote(name), strings.Join(known, ", "), hint)
		case w.Wants(e):
			m.Problem(place, "found %s twice", name)
		default:
			w.Events = append(w.Events, e)
		}
	}

	strictyaml.Bool(m, "allow_private", &w.AllowPrivate)
	return w
}

// isWebhookURL reports whether text is an address to which news of people can be sent:
// https, or http on this machine.
func isWebhookURL(text string) bool {
	if len(text) > maxWebhookURL || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && isTokenURL(text) && isHost(u.Hostname()) && !strings.Contains(text, "#")
}

// webhookRows adds a row for each receiver.
func webhookRows(all []Webhook, add func(key, value string)) {
	for i, w := range all {
		key := "webhooks[" + strconv.Itoa(i) + "]."
		names := make([]string, len(w.Events))
		for k, e := range w.Events {
			names[k] = string(e)
		}
		add(key+"url", w.String())
		add(key+"secret", w.Secret.String())
		add(key+"events", strings.Join(names, ", "))
		add(key+"allow_private", strconv.FormatBool(w.AllowPrivate))
	}
}
