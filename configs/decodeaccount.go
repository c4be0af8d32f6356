package configs

import (
	"fmt"
	"strings"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

// readAccount reads one account. What neither its keys nor its preset say has a default.
func readAccount(m *strictyaml.Map, c *Config, name, base string) Account {
	a := Account{Name: name, Stream: Marketing, Auth: "auto", Pipelining: "auto"}
	m.Choice("stream", &a.Stream, Marketing, Transactional)
	p := readPreset(m, &a)
	a.Limits = p.limits()
	m.Check("host", &a.Host, "a host name or IP address alone; the port goes in port", isHost)
	strictyaml.Int(m, "port", &a.Port, 1, 65535, "a port number")
	m.Choice("tls", &a.TLS, TLSStartTLS, TLSImplicit, TLSNone)
	strictyaml.Bool(m, "allow_plaintext", &a.AllowPlaintext)
	m.Line("ca_file", &a.CAFile)
	a.CAFile = relativeTo(base, a.CAFile)
	readLogin(m, &a)
	m.Check("helo", &a.Helo, "the host name of this machine, such as mail.acme.example", campaign.IsDomain)
	m.Choice("pipelining", &a.Pipelining, "auto", "envelope", "off")
	m.Map("limits", func(m *strictyaml.Map) { readLimits(m, &a.Limits) })
	a.Lanes = readLanes(m, c)
	given := m.Has("warmup")
	m.Map("warmup", func(m *strictyaml.Map) { readWarmup(m, given, &a.Warmup) })

	p.fill(m, &a)
	noteSources(m, c, a, p)
	checkAccount(m, a, p)
	return a
}

// readPreset reads the preset of an account and its region; the zero Preset is none.
func readPreset(m *strictyaml.Map, a *Account) Preset {
	ids := make([]string, 0, len(Presets()))
	for _, p := range Presets() {
		ids = append(ids, p.ID)
	}
	m.Choice("preset", &a.Preset, ids...)
	p, _ := FindPreset(a.Preset)

	m.Check("region", &a.Region, "the name of a region, such as eu-west-1", isRegion)
	switch {
	case a.Region == "" || a.Preset == "" && m.Has("preset"):
	case a.Preset == "":
		m.Problem("region", "found %s without a preset, expected a preset that has regions, or the name of the server in host", a.Region)
	case len(p.Regions) == 0:
		m.Problem("region", "found %s, but preset %s has no regions; leave it out", a.Region, p.ID)
	case !p.has(a.Region) && !m.Has("host"):
		hint := ""
		if meant := strictyaml.Suggest(a.Region, p.Regions); meant != "" {
			hint = ": did you mean " + meant + "?"
		}
		m.Problem("region", "found %s, expected %s%s (of a region that is newer than this list, write the host)", a.Region, strings.Join(p.Regions, ", "), hint)
	}
	return p
}

// readLogin reads how the account logs in.
func readLogin(m *strictyaml.Map, a *Account) {
	m.Choice("auth", &a.Auth, "auto", "plain", "login", "cram-md5", "scram-sha-256", AuthXOAUTH2, "none")
	m.Text("username", &a.Username, strictyaml.OneLine)
	readSecret(m, "password", &a.Password, "a password on one line", isOneLine)
	a.OAuth2 = readOAuth2(m)
}

// readOAuth2 reads how access tokens are got; nil where the key is not given.
func readOAuth2(m *strictyaml.Map) *OAuth2 {
	given := m.Has("oauth2")
	var o OAuth2
	m.Map("oauth2", func(m *strictyaml.Map) {
		m.Check("token_url", &o.TokenURL, "an address such as https://oauth2.googleapis.com/token (http on this machine only)", isTokenURL)
		m.Line("client_id", &o.ClientID)
		readSecret(m, "client_secret", &o.ClientSecret, "a secret on one line", isOneLine)
		readSecret(m, "refresh_token", &o.RefreshToken, "a token on one line", isOneLine)
		if given {
			m.Require("token_url", "the address at which the provider gives access tokens, such as https://oauth2.googleapis.com/token")
			m.Require("client_id", "the id of the application that the provider gave you")
			m.Require("refresh_token", "the token that stands for the consent of the mailbox, as ${NAME}")
		}
	})
	if !given {
		return nil
	}
	return &o
}

func readLimits(m *strictyaml.Map, l *Limits) {
	readRate(m, "rate", &l.Rate)
	readMessages(m, "per_hour", &l.PerHour)
	readMessages(m, "per_day", &l.PerDay)
	strictyaml.Int(m, "connections", &l.Connections, 1, 1000, "a number of connections")
	readRate(m, "connection_rate", &l.ConnectionRate)
	strictyaml.Int(m, "messages_per_connection", &l.MessagesPerConnection, 1, 1_000_000, "a number of messages")
	if m.Has("per_hour") && l.PerDay > 0 && l.PerHour > l.PerDay {
		m.Problem("per_hour", "found %d, which is more than per_day (%d) and would never be reached, expected less", l.PerHour, l.PerDay)
	}
}

// readLanes reads the ceilings of mailbox providers and domains.
func readLanes(m *strictyaml.Map, c *Config) map[string]Lane {
	lanes := map[string]Lane{}
	all := m.Key("lanes") + "."
	m.Maps("lanes", "a mailbox provider such as gmail, or a domain", func(name string, m *strictyaml.Map) bool {
		var l Lane
		readRate(m, "rate", &l.Rate)
		strictyaml.Int(m, "connections", &l.Connections, 1, 1000, "a number of connections")
		strictyaml.Int(m, "messages_per_connection", &l.MessagesPerConnection, 1, 1_000_000, "a number of messages")
		lane, problem := LaneName(name)
		if _, twice := lanes[lane]; twice && problem == "" {
			problem = fmt.Sprintf("found %s, whose ceilings are set already as those of %s, expected each lane once", name, lane)
		}
		if lane == string(campaign.Other) && l.Connections+l.MessagesPerConnection > 0 {
			m.Problem("", "found connections or messages_per_connection, expected rate alone: each domain of the long tail has connections of its own")
		}
		if problem != "" {
			m.Problem("", "%s", problem)
			return true
		}
		lanes[lane] = l
		for _, key := range []string{".rate", ".connections", ".messages_per_connection"} {
			if source, ok := c.Sources[all+name+key]; ok {
				c.Sources[all+lane+key] = source // of the name by which it is shown
			}
		}
		return true
	})
	return lanes
}

// LaneName returns the lane of an account that a name means: a mailbox provider, which may
// have other names, or a domain of none. problem says why a name means none.
func LaneName(name string) (lane, problem string) {
	if p, ok := campaign.ProviderNamed(name); ok {
		if p == campaign.Other && name != string(campaign.Other) {
			return "", fmt.Sprintf("found %s, which has no lane of its own here, expected the domains of its mailboxes, such as acme.example", name)
		}
		return string(p), ""
	}

	if domain, ok := campaign.Domain(name); ok && strings.Contains(domain, ".") {
		if p := campaign.ProviderOf(domain); p != campaign.Other {
			return "", fmt.Sprintf("found %s, whose messages go through the lane %s, expected %s", name, p, p)
		}
		return domain, ""
	}

	known := make([]string, len(campaign.Providers))
	for i, p := range campaign.Providers {
		known[i] = string(p)
	}
	problem = fmt.Sprintf("found no mailbox provider and no domain, expected one of %s, or a domain such as acme.example", strings.Join(known, ", "))
	if meant := strictyaml.Suggest(name, known); meant != "" {
		problem += ": did you mean " + meant + "?"
	}
	return "", problem
}

// checkAccount looks at what the keys of an account say together.
func checkAccount(m *strictyaml.Map, a Account, p Preset) {
	if p.ID == "" && !m.Has("preset") {
		m.Require("host", "the name of the SMTP server, such as smtp.acme.example")
	}
	if p.needsRegion() && !m.Has("region") && !m.Has("host") {
		m.Problem("region", "missing, preset %s has a server in each region, expected one of %s", p.ID, strings.Join(p.Regions, ", "))
	}
	if a.TLS == TLSNone && a.Host != "" && !a.Loopback() && !a.AllowPlaintext {
		m.Problem("tls", "found none for a host that is not this machine: passwords and mail would travel in clear; "+
			"expected starttls or implicit, or allow_plaintext: true if you mean it")
	}
	checkLogin(m, a, p)
}

func checkLogin(m *strictyaml.Map, a Account, p Preset) {
	hint := ""
	if p.Username != "" || p.Password != "" {
		hint = fmt.Sprintf(" (%s: %s)", p.Name, p.login())
	}
	switch {
	case a.OAuth2 != nil && m.Has("password"):
		m.Problem("oauth2", "found a password as well, expected one of the two: with oauth2 the access token is what logs in")
	case a.OAuth2 != nil && a.Auth != AuthXOAUTH2:
		m.Problem("auth", "found %s with oauth2, expected %s", a.Auth, AuthXOAUTH2)
	case a.OAuth2 != nil && !m.Has("username"):
		m.Problem("username", "missing, expected the mailbox whose tokens oauth2 gets, such as news@acme.example")
	case a.OAuth2 != nil:
	case m.Has("username") && !m.Has("password"):
		m.Problem("username", "found a username without a password, expected both or neither%s", hint)
	case m.Has("password") && !m.Has("username") && a.Username == "":
		m.Problem("password", "found a password without a username, expected both or neither%s", hint)
	case a.Username == "" && a.Auth != "auto" && a.Auth != "none":
		m.Problem("auth", "found %s without a username and password, expected both of them, or auth: none%s", a.Auth, hint)
	}
}
