package reply

import (
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

// Relays lists the names of the relays that a rule, and a Reply, may name.
var Relays = []string{
	"sendgrid", "ses", "mailgun", "postmark", "gmail-smtp", "gmail-relay", "office365", "yahoo-smtp", "postfix",
	"brevo", "mailjet", "sparkpost", "smtp2go", "socketlabs", "mandrill", "resend",
}

// An origin is who may have said a reply: a mailbox provider or a relay.
type origin struct {
	provider campaign.Provider // empty: a relay
	relay    string
}

// From returns the reply as one that a mailbox provider or relay of this name
// gave. Names are those of campaign.Providers and Relays, the other names that
// campaign.ProviderNamed knows, and those of relays with _ for -.
func (r Reply) From(name string) (_ Reply, known bool) {
	o, known := originNamed(name)
	if o.relay != "" {
		r.Relay = o.relay
	}
	if o.provider != "" {
		r.Provider = o.provider
	}
	return r, known
}

func originNamed(name string) (o origin, known bool) {
	if p, ok := campaign.ProviderNamed(name); ok {
		return origin{provider: p}, true
	}
	relay := strings.ReplaceAll(name, "_", "-")
	if slices.Contains(Relays, relay) {
		return origin{relay: relay}, true
	}
	return origin{}, false
}

// has reports whether the reply may come from there.
func (o origin) has(r *Reply) bool {
	if o.provider != "" {
		return o.provider == r.Provider
	}
	return o.relay == r.Relay
}

// Origins returns the names of the mailbox providers and relays, for messages.
func Origins() []string {
	var names []string
	for _, p := range campaign.Providers {
		names = append(names, string(p))
	}
	return append(names, Relays...)
}

// MeantOrigin returns the name of a mailbox provider or relay that was probably
// meant; empty when none is near.
func MeantOrigin(name string) string { return strictyaml.Suggest(name, Origins()) }
