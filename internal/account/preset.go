package account

import (
	"fmt"

	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// A Preset is a known relay as it is shown.
type Preset struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Host       string     `json:"host"`
	Port       int        `json:"port"`
	TLS        string     `json:"tls"`
	Regions    []string   `json:"regions"`
	Ports      []Port     `json:"ports"`
	Auth       []string   `json:"auth"`
	Username   string     `json:"username"`   // what to write
	Password   string     `json:"password"`   // what to write
	Limits     Limits     `json:"limits"`     // in force until the configuration says otherwise
	Documented Documented `json:"documented"` // what the relay states itself
	Notes      []string   `json:"notes"`
	Unverified []string   `json:"unverified"` // what stands in none of the sources
	Confidence string     `json:"confidence"` // low, medium or high
	Source     []string   `json:"source"`
	Date       string     `json:"date"` // on which the sources were read
}

// A Port is one on which a relay is reached.
type Port struct {
	Port int    `json:"port"`
	TLS  string `json:"tls"`
}

// Documented are ceilings that a relay states; 0 where it states none.
type Documented struct {
	RatePerS              float64  `json:"rate_per_s"`
	PerDay                int      `json:"per_day"`
	Connections           int      `json:"connections"`
	MessagesPerConnection int      `json:"messages_per_connection"`
	RecipientsPerMessage  int      `json:"recipients_per_message"`
	MaxSize               int      `json:"max_size"` // bytes
	Also                  []string `json:"also"`
}

// Presets returns all relays that are known.
func Presets() []Preset {
	var all []Preset
	for _, p := range configs.Presets() {
		all = append(all, show(p))
	}
	return all
}

// FindPreset returns one of them. The error is of the kind failure.ErrInvalid.
func FindPreset(id string) (Preset, error) {
	if p, ok := configs.FindPreset(id); ok {
		return show(p), nil
	}

	var ids []string
	for _, p := range configs.Presets() {
		ids = append(ids, p.ID)
	}
	hint := "`broadside account presets` lists them"
	if meant := strictyaml.Suggest(id, ids); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return Preset{}, failure.Invalid(fmt.Sprintf("no preset %q; %s", id, hint))
}

func show(p configs.Preset) Preset {
	d := p.Documented
	s := Preset{
		ID: p.ID, Name: p.Name, Host: p.Host, Port: p.Port, TLS: p.TLS(), Regions: list(p.Regions),
		Auth: list(p.Auth), Username: p.Username, Password: p.Password, Limits: LimitsOf(p.Suggested),
		Documented: Documented{
			RatePerS: d.Rate, PerDay: d.PerDay, Connections: d.Connections, MessagesPerConnection: d.MessagesPerConnection,
			RecipientsPerMessage: d.RecipientsPerMessage, MaxSize: d.MaxSize, Also: list(p.Also),
		},
		Notes: list(p.Notes), Unverified: list(p.Unverified), Confidence: p.Confidence, Source: list(p.Sources), Date: p.Date,
	}
	if s.Confidence == "" {
		s.Confidence = "high"
	}
	for _, port := range p.Ports() {
		s.Ports = append(s.Ports, Port{port.Number, port.TLS})
	}
	return s
}

// list returns texts as a list that is never null in JSON.
func list(texts []string) []string { return append([]string{}, texts...) }
