package campaign_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

func TestSampleSinceNeverGoesBelowZero(t *testing.T) {
	t.Parallel()
	all := campaign.Sample{
		Accepted: 10, Bounced: 5, Failed: 4, Uncertain: 3, Deferred: 1, Complained: 2,
		At: map[campaign.Provider]campaign.SampleAt{"gmail": {Accepted: 6, Complained: 2}, "gmx": {Accepted: 1, Complained: 1}},
	}
	base := campaign.Sample{Accepted: 7, Bounced: 1, Failed: 4, Uncertain: 1, Deferred: 6, Complained: 1, At: map[campaign.Provider]campaign.SampleAt{"gmail": {Accepted: 7, Complained: 1}}}
	got := all.Since(base)
	want := campaign.Sample{
		Accepted: 3, Bounced: 4, Uncertain: 2, Complained: 1,
		At: map[campaign.Provider]campaign.SampleAt{"gmail": {Complained: 1}, "gmx": {Accepted: 1, Complained: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("since (-want +got):\n%s", diff)
	}
	if got.Tried() != 9 || all.Tried() != 23 {
		t.Errorf("tried %d and %d, want 9 and 23", got.Tried(), all.Tried())
	}
}

func TestCanaryHasLimitsWhereTheFileHasNone(t *testing.T) {
	t.Parallel()
	got := campaign.Guard{MaxBounceRate: 0.2, Canary: 10, CanaryWait: time.Minute}.ForCanary()
	want := campaign.Guard{
		MaxBounceRate: 0.2, MaxDeferralRate: campaign.CanaryMaxDeferralRate, MaxComplaintRate: campaign.DefaultMaxComplaintRate,
		Canary: 10, CanaryWait: time.Minute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}
