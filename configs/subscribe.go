package configs

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
	"broadside/internal/failure"
)

// A SubscribeForm is a page on which people subscribe themselves, and what becomes of
// them when they have confirmed it.
type SubscribeForm struct {
	List     string // of internal lists: who has confirmed is added to it; default: the name of the form
	Topic    string // default: the name of the form
	Account  string // by which confirmations leave; empty: the only one that fits
	From     string // RFC 5322 mailbox
	Subject  string // template, of confirmations; empty: that of the built-in letter
	Letter   string // Markdown file of the confirmation; empty: the built-in letter
	Language string // of pages and letter; empty: the reader's
	Fields   []string
	Redirect string // where the browser goes after the confirmation; empty: a page says that it is done
	Limits   SubscribeLimits
}

// SubscribeLimits are how often a confirmation is sent.
type SubscribeLimits struct {
	Every      time.Duration // to one address at most once in so long
	PerDay     int           // to one address in 24 hours
	PerNetwork int           // asked for from one network in an hour
}

// Languages are those of readers' pages and of the letters that are built in.
var Languages = []string{"en", "de", "fr", "es"}

const (
	// maxSubscribeFields is the most that a form asks for in addition to the address. All
	// of it stands in the link of the confirmation.
	maxSubscribeFields = 5

	// confirmName cannot be the name of a form: links to confirm have it in its place.
	confirmName = "confirm"

	subscribeNameForm  = "1 to 64 letters, digits, - and _, and not " + confirmName
	subscribeFieldForm = "a column of the list, such as first_name, and not email or website"
	redirectForm       = "an https address such as https://acme.example/welcome"
)

var (
	listPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	fieldPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

	// reservedFields have another meaning on the form.
	reservedFields = []string{"email", "website", "language", "topic", "unsubscribe_url", "confirm_url"}
)

// readSubscribe reads the forms. Accounts and topics have been read.
func readSubscribe(m *strictyaml.Map, c *Config, base string) {
	c.Subscribe = map[string]SubscribeForm{}
	m.Maps("subscribe", subscribeNameForm, func(name string, m *strictyaml.Map) bool {
		if !accountPattern.MatchString(name) || name == confirmName {
			return false
		}
		c.Subscribe[name] = readForm(m, c, name, base)
		return true
	})
}

func readForm(m *strictyaml.Map, c *Config, name, base string) SubscribeForm {
	f := SubscribeForm{List: name, Topic: name, Limits: SubscribeLimits{Every: 10 * time.Minute, PerDay: 5, PerNetwork: 20}}
	m.Check("list", &f.List, "the name of a list, such as newsletter", listPattern.MatchString)
	m.Check("topic", &f.Topic, campaign.TopicForm, campaign.IsTopic)
	if _, ok := c.Topics[f.Topic]; !ok && len(c.Topics) > 0 {
		m.Problem("topic", "found %s, expected one of the topics; %s", strictyaml.Quote(f.Topic), Known(f.Topic, c.Topics))
	}
	m.Check("account", &f.Account, "the name of an account", func(text string) bool { return accountPattern.MatchString(text) })
	if _, ok := c.Accounts[f.Account]; !ok && f.Account != "" {
		m.Problem("account", "found %s, expected one of the accounts; %s", strictyaml.Quote(f.Account), Known(f.Account, c.Accounts))
	}

	m.Require("from", "the sender of confirmations, such as Acme News <news@acme.example>")
	m.Text("from", &f.From, campaign.ReadMailbox)
	m.Text("subject", &f.Subject, strictyaml.OneLine)
	m.Line("letter", &f.Letter)
	f.Letter = relativeTo(base, f.Letter)
	m.Choice("language", &f.Language, Languages...)
	m.Strings("fields", &f.Fields, subscribeFieldForm, func(text string) bool {
		return fieldPattern.MatchString(text) && !slices.Contains(reservedFields, text)
	})
	for i, field := range f.Fields {
		if slices.Index(f.Fields, field) < i {
			m.Problem("fields", "found %s twice, expected each field once", field)
		}
	}
	if len(f.Fields) > maxSubscribeFields {
		m.Problem("fields", "found %d fields, expected at most %d: what a reader fills in stands in the link of the confirmation", len(f.Fields), maxSubscribeFields)
	}
	m.Check("redirect", &f.Redirect, redirectForm, isRedirect)
	m.Map("limits", func(m *strictyaml.Map) {
		strictyaml.Duration(m, "every", &f.Limits.Every, time.Second, 24*time.Hour)
		strictyaml.Int(m, "per_day", &f.Limits.PerDay, 1, 100, "a number of messages to one address")
		strictyaml.Int(m, "per_network", &f.Limits.PerNetwork, 1, 10_000, "a number of requests from one network in an hour")
	})
	return f
}

// isRedirect reports whether text is an address to which a reader's browser is sent: it
// stands in a header of the page.
func isRedirect(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && isHost(u.Hostname()) && u.User == nil && len(text) <= 500 && !strings.ContainsAny(text, " ;,'\"\\") && isASCII(text)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// rows adds every setting of a form.
func (f SubscribeForm) rows(add func(key, value string)) {
	add("list", f.List)
	add("topic", f.Topic)
	add("account", f.Account)
	add("from", f.From)
	add("subject", f.Subject)
	add("letter", f.Letter)
	add("language", f.Language)
	add("fields", strings.Join(f.Fields, ", "))
	add("redirect", f.Redirect)
	add("limits.every", units.FormatDuration(f.Limits.Every))
	add("limits.per_day", strconv.Itoa(f.Limits.PerDay))
	add("limits.per_network", strconv.Itoa(f.Limits.PerNetwork))
}

// SubscribeLink returns the address of a form for readers, or what is missing for it.
func (c *Config) SubscribeLink(name string) (string, error) {
	if c.PublicURL == "" {
		return "", failure.Invalid(fmt.Sprintf("public_url is not set: set it in %s, or BROADSIDE_PUBLIC_URL, to the https address under which readers reach `broadside web`", c.Where()))
	}
	return c.PublicURL + SubscribePath + name, nil
}

// SubscribePath is what comes between the public URL and the name of a form.
const SubscribePath = "/subscribe/"
