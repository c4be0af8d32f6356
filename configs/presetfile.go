package configs

import (
	"maps"
	"slices"
	"strconv"

	"broadside/configs/strictyaml"
)

// read reads one entry of the file of presets.
func (p *Preset) read(m *strictyaml.Map) {
	m.Require("name", "the name of the relay")
	m.Line("name", &p.Name)
	p.readHosts(m)
	m.Strings("auth", &p.Auth, "a way to log in", nil)
	p.readLogin(m)
	m.Line("token_header", &p.TokenHeader)

	m.Map("documented", func(m *strictyaml.Map) {
		d := &p.Documented
		readRate(m, "rate", &d.Rate)
		readMessages(m, "per_day", &d.PerDay)
		strictyaml.Int(m, "connections", &d.Connections, 1, 10_000, "a number of connections")
		strictyaml.Int(m, "messages_per_connection", &d.MessagesPerConnection, 1, maxMessages, "a number of messages")
		strictyaml.Int(m, "recipients_per_message", &d.RecipientsPerMessage, 1, maxMessages, "a number of recipients")
		strictyaml.Int(m, "max_size", &d.MaxSize, 1, 1<<30, "a size in bytes")
	})
	m.Strings("also", &p.Also, "a ceiling in words", nil)
	m.Require("suggested", "ceilings")
	m.Map("suggested", func(m *strictyaml.Map) { readLimits(m, &p.Suggested) })
	m.Strings("notes", &p.Notes, "a sentence", nil)

	m.Strings("unverified", &p.Unverified, "the name of a figure", nil)
	m.Line("confidence", &p.Confidence)
	m.Require("sources", "the addresses of pages")
	m.Strings("sources", &p.Sources, "the https address of a page", isTokenURL)
}

func (p *Preset) readHosts(m *strictyaml.Map) {
	m.Require("host", "the name of the server")
	m.Line("host", &p.Host)
	m.Strings("regions", &p.Regions, "a region", isRegion)
	m.StringMap("hosts", &p.hosts, "REGION: HOST", func(region, host string) bool { return isRegion(region) && isHost(host) })
	if len(p.hosts) > 0 {
		p.Regions = slices.Sorted(maps.Keys(p.hosts))
	}
	m.StringMap("stream_region", &p.streamRegion, "STREAM: REGION", func(_, region string) bool { return p.has(region) })

	m.Require("port", "the port that is used")
	strictyaml.Int(m, "port", &p.Port, 1, 65535, "a port number")
	readPorts(m, "starttls", &p.StartTLS)
	readPorts(m, "implicit", &p.Implicit)
	strictyaml.Bool(m, "plain", &p.plain)
}

func (p *Preset) readLogin(m *strictyaml.Map) {
	m.Line("username_is", &p.Username)
	p.fixedUsername = m.Has("username")
	m.Line("username", &p.Username)
	m.Line("password_is", &p.Password)
}

func readPorts(m *strictyaml.Map, name string, dst *[]int) {
	var texts []string
	m.Strings(name, &texts, "a port number", func(text string) bool {
		n, err := strconv.Atoi(text)
		*dst = append(*dst, n)
		return err == nil && n >= 1 && n <= 65535
	})
}
