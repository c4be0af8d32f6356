package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestPlacesAreCompleted: what names a run, a campaign or a list is offered
// wherever a command takes it.
func TestPlacesAreCompleted(t *testing.T) {
	t.Parallel()
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		_, takes, _ := strings.Cut(cmd.Use, " ")
		for _, place := range []string{"RUN", "CAMPAIGN", "NAME", "ID", "[CODE]"} {
			if !strings.HasPrefix(takes, place) {
				continue
			}
			seen++
			if cmd.ValidArgsFunction == nil {
				t.Errorf("%s: nothing is offered for %s", cmd.CommandPath(), place)
			}
		}

		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand(&cli{}))
	if seen < 20 {
		t.Errorf("found %d places, expected all of them", seen)
	}
}
