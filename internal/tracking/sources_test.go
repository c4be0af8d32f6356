package tracking

import (
	"strings"
	"testing"
)

// Each row of the tables says what it is known from, and stands there once.
func TestEveryRowHasASource(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	row := func(name, source string) {
		if source == "" || name == "" || seen[name] {
			t.Errorf("%q: stands there twice, or without a source (%q)", name, source)
		}
		seen[name] = true
	}
	for _, p := range proxies {
		row(p.name, p.source)
	}
	for _, known := range machineWords {
		row(known.word, known.source)
		if known.word != strings.ToLower(known.word) {
			t.Errorf("%q is not in lower case: it is never found", known.word)
		}
	}
	for _, known := range machineNetworks {
		row(known.network.String(), known.source)
		if known.network.Masked() != known.network {
			t.Errorf("%s is no network", known.network)
		}
	}
}
