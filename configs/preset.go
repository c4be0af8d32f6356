package configs

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"broadside/configs/strictyaml"
)

//go:embed presets.yaml
var presetFile []byte

// A Preset is what is known of one relay: how it is reached, and how fast it may be fed.
// All of it can be overridden in the configuration.
type Preset struct {
	ID   string
	Name string
	Host string // with {region} where each of Regions has a server of that form
	// Regions are what an account may name as its region; empty: there is one server.
	Regions []string
	Port    int // the one that is used when the account names none

	StartTLS []int // ports on which TLS begins with STARTTLS, the best one first
	Implicit []int // ports on which it begins at once
	Auth     []string
	Username string // what to write as the username, or the one that every customer has
	Password string // what to write as the password

	// TokenHeader is the header whose value its webhooks repeat, where they have nothing else
	// that names our message; empty: they have.
	TokenHeader string

	Documented Documented
	Also       []string // ceilings that the relay states and that no field of Documented has
	Suggested  Limits   // in force until the configuration says otherwise
	Notes      []string

	Unverified []string // what was read in none of the sources
	Confidence string   // low, medium; empty: high
	Sources    []string // addresses of pages
	Date       string   // on which they were read, as 2026-11-24

	hosts         map[string]string // by region
	streamRegion  map[string]string // by stream: the region of accounts that name none
	plain         bool              // mail to this machine goes without TLS
	fixedUsername bool              // Username is the same for every customer
}

// Documented are ceilings that a relay states itself; 0 where it states none.
type Documented struct {
	Rate                  float64 // messages a second
	PerDay                int
	Connections           int
	MessagesPerConnection int
	RecipientsPerMessage  int
	MaxSize               int // bytes of a message as it is sent
}

// A Port is one on which a relay is reached, and the TLS mode that it speaks there.
type Port struct {
	Number int
	TLS    string // TLSStartTLS, TLSImplicit or TLSNone
}

// Presets returns all presets, the best known relays first. They are shared, and not to
// be changed.
func Presets() []Preset { return readPresets() }

// FindPreset returns the preset with an id.
func FindPreset(id string) (Preset, bool) {
	i := slices.IndexFunc(Presets(), func(p Preset) bool { return p.ID == id })
	if i < 0 {
		return Preset{}, false
	}
	return Presets()[i], true
}

// Ports returns every port of the relay, the best one first.
func (p Preset) Ports() []Port {
	all := []Port{{p.Port, p.TLS()}}
	add := func(number int, mode string) {
		if number != p.Port {
			all = append(all, Port{number, mode})
		}
	}
	for _, n := range p.StartTLS {
		add(n, TLSStartTLS)
	}
	for _, n := range p.Implicit {
		add(n, TLSImplicit)
	}
	return all
}

// TLS returns the TLS mode that the relay's own host and port are used with.
func (p Preset) TLS() string { return p.tlsOn(p.Port, IsLoopback(p.Host)) }

func (p Preset) tlsOn(port int, loopback bool) string {
	switch {
	case slices.Contains(p.Implicit, port):
		return TLSImplicit
	case p.plain && loopback:
		return TLSNone
	}
	return TLSStartTLS
}

// portFor returns the port that is used with a TLS mode.
func (p Preset) portFor(mode string) int {
	ports, otherwise := p.StartTLS, DefaultPort
	if mode == TLSImplicit {
		ports, otherwise = p.Implicit, DefaultImplicitPort
	}
	switch {
	case slices.Contains(ports, p.Port):
		return p.Port
	case len(ports) > 0:
		return ports[0]
	}
	return otherwise
}

func (p Preset) needsRegion() bool { return strings.Contains(p.Host, regionMark) }

func (p Preset) has(region string) bool { return slices.Contains(p.Regions, region) }

// hostFor returns the server of a region, or of a stream where the account names no
// region; empty when a region is needed.
func (p Preset) hostFor(region, stream string) string {
	if region == "" {
		region = p.streamRegion[stream]
	}
	if host, ok := p.hosts[region]; ok {
		return host
	}
	if p.needsRegion() && !p.has(region) {
		return ""
	}
	return strings.ReplaceAll(p.Host, regionMark, region)
}

// limits returns the ceilings in force before the configuration says anything.
func (p Preset) limits() Limits {
	if p.ID == "" {
		return Limits{Connections: DefaultConnections, MessagesPerConnection: DefaultMessagesPerConnection}
	}
	return p.Suggested
}

// login says what to write as username and password.
func (p Preset) login() string {
	var parts []string
	if p.Username != "" {
		parts = append(parts, "the username is "+p.Username)
	}
	if p.Password != "" {
		parts = append(parts, "the password is "+p.Password)
	}
	return strings.Join(parts, ", ")
}

// fill sets what the account's keys leave open.
func (p Preset) fill(m *strictyaml.Map, a *Account) {
	if p.ID != "" && a.Host == "" && !m.Has("host") {
		a.Host = p.hostFor(a.Region, a.Stream)
	}
	if p.fixedUsername && a.Username == "" && m.Has("password") {
		a.Username = p.Username
	}
	if a.OAuth2 != nil && a.Auth == "auto" {
		a.Auth = AuthXOAUTH2
	}

	switch {
	case a.TLS == "" && a.Port == 0 && p.ID != "":
		a.Port = p.Port
		a.TLS = p.tlsOn(a.Port, a.Loopback())
	case a.TLS == "":
		a.TLS = p.tlsOn(a.Port, a.Loopback())
	}
	if a.Port == 0 {
		a.Port = p.portFor(a.TLS)
	}
}

// noteSources notes which settings of an account its preset gave.
func noteSources(m *strictyaml.Map, c *Config, a Account, p Preset) {
	note := func(given bool, key, source string) {
		full := m.Key(key)
		if _, set := c.Sources[full]; given && !set {
			c.Sources[full] = source
		}
	}
	from := "preset " + p.ID
	known := p.ID != ""
	s := p.Suggested
	note(known, "host", from)
	note(known, "port", from)
	note(known, "tls", from)
	note(p.fixedUsername && a.Username != "", "username", from)
	note(s.Rate > 0, "limits.rate", from)
	note(s.PerHour > 0, "limits.per_hour", from)
	note(s.PerDay > 0, "limits.per_day", from)
	note(s.Connections > 0, "limits.connections", from)
	note(s.ConnectionRate > 0, "limits.connection_rate", from)
	note(s.MessagesPerConnection > 0, "limits.messages_per_connection", from)
	note(a.OAuth2 != nil, "auth", c.Sources[m.Key("oauth2.token_url")])
	note(a.Warmup.Preset != "", "warmup.days", "preset "+a.Warmup.Preset)
}

// regionMark stands for the region in the host of a preset.
const regionMark = "{region}"

// readPresets reads the embedded file. It is a part of the program: that it is in order
// is what tests hold.
var readPresets = sync.OnceValue(func() []Preset {
	doc, err := strictyaml.Parse("presets.yaml", presetFile)
	if err != nil {
		panic(fmt.Sprintf("read the presets of the program: %v", err))
	}

	var all []Preset
	doc.Read(func(m *strictyaml.Map) {
		var date string
		m.Line("date", &date)
		m.Maps("presets", "the id of a relay", func(id string, m *strictyaml.Map) bool {
			p := Preset{ID: id, Date: date}
			p.read(m)
			all = append(all, p)
			return true
		})
	})
	if err := doc.Err(); err != nil {
		panic(fmt.Sprintf("read the presets of the program: %v", err))
	}
	return all
})
