package main

import (
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/runs"
)

func TestAnInterruptedWatchNamesWhatCanBeDone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status runs.Status
		want   string
	}{
		{runs.Status{}, "run pause r "},
		{runs.Status{Record: &ledger.Record{State: campaign.Running}}, "run pause r "},
		{runs.Status{Record: &ledger.Record{State: campaign.Paused}}, "run resume r "},
		{runs.Status{Record: &ledger.Record{State: campaign.Held}}, "run resume r "},
	} {
		if got := watchInterrupted("r", tt.status).Error(); !strings.Contains(got, tt.want) || !strings.Contains(got, "run cancel r ") {
			t.Errorf("%q does not contain %q", got, tt.want)
		}
	}
}
