package account_test

import (
	"slices"
	"testing"

	"broadside/configs"
	"broadside/sender/reply"
)

// A rule about a relay's replies names a preset.
func TestRulesKnowEveryPreset(t *testing.T) {
	t.Parallel()
	var presets []string
	for _, p := range configs.Presets() {
		presets = append(presets, p.ID)
	}
	relays := slices.Clone(reply.Relays)
	slices.Sort(presets)
	slices.Sort(relays)
	if !slices.Equal(presets, relays) {
		t.Errorf("presets %q, relays of rules %q", presets, relays)
	}
}
