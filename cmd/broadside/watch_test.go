package main

import (
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/app"
)

func TestAnInterruptedWatchNamesWhatCanBeDone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status app.Status
		want   string
	}{
		{app.Status{}, "run pause r "},
		{app.Status{Record: &ledger.Record{State: campaign.Running}}, "run pause r "},
		{app.Status{Record: &ledger.Record{State: campaign.Paused}}, "run resume r "},
		{app.Status{Record: &ledger.Record{State: campaign.Held}}, "run resume r "},
	} {
		if got := watchInterrupted("r", tt.status).Error(); !strings.Contains(got, tt.want) || !strings.Contains(got, "run cancel r ") {
			t.Errorf("%q does not contain %q", got, tt.want)
		}
	}
}
