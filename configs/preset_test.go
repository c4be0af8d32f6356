package configs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/configs"
)

func TestPresets(t *testing.T) {
	t.Parallel()
	idPattern := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, p := range configs.Presets() {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			if !idPattern.MatchString(p.ID) || p.Name == "" || len(p.Auth) == 0 || len(p.Sources) == 0 {
				t.Errorf("incomplete: %+v", p)
			}
			if _, err := time.Parse(time.DateOnly, p.Date); err != nil {
				t.Error(err)
			}
			if !slices.Contains(slices.Concat(p.StartTLS, p.Implicit), p.Port) {
				t.Errorf("port %d is none of %v and %v", p.Port, p.StartTLS, p.Implicit)
			}
			if ports := p.Ports(); ports[0].Number != p.Port || len(ports) != len(p.StartTLS)+len(p.Implicit) {
				t.Errorf("got ports %v", ports)
			}
			if s := p.Suggested; s.Rate <= 0 || s.Connections <= 0 || s.MessagesPerConnection <= 0 {
				t.Errorf("got suggestions %+v, want a rate, connections and messages each", s)
			}
			exceeds(t, p)
		})
		if seen[p.ID] {
			t.Errorf("%s twice", p.ID)
		}
		seen[p.ID] = true
	}
	if len(seen) < 16 {
		t.Errorf("got %d presets", len(seen))
	}
}

// exceeds reports suggestions above what the relay documents.
func exceeds(t *testing.T, p configs.Preset) {
	t.Helper()
	d, s := p.Documented, p.Suggested
	if d.Rate > 0 && s.Rate > d.Rate || d.PerDay > 0 && s.PerDay > d.PerDay || d.Connections > 0 && s.Connections > d.Connections ||
		d.MessagesPerConnection > 0 && s.MessagesPerConnection > d.MessagesPerConnection {
		t.Errorf("suggested %+v is more than documented %+v", s, d)
	}
}

func TestPresetsOfConfigurations(t *testing.T) {
	t.Parallel()
	for _, p := range configs.Presets() {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			text := "accounts:\n  a: {preset: " + p.ID
			if strings.Contains(p.Host, "{region}") {
				text += ", region: " + p.Regions[0]
			}
			c, err := loadText(t, text+"}\n")
			if err != nil {
				t.Fatal(err)
			}
			a := c.Accounts["a"]
			if a.Host == "" || strings.ContainsAny(a.Host, "{}") || a.Port != p.Port || a.TLS != p.TLS() {
				t.Errorf("got %s:%d with %s", a.Host, a.Port, a.TLS)
			}
			if a.Limits != p.Suggested {
				t.Errorf("got limits %+v, want %+v", a.Limits, p.Suggested)
			}
		})
	}
}
