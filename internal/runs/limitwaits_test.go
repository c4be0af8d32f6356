package runs

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/report"
	"broadside/throttle"
)

// A run is held up by the lanes in which recipients of it wait, however few parts it
// has.
func TestARunIsHeldUpByItsLanes(t *testing.T) {
	t.Parallel()
	s := Status{Tally: &ledger.Tally{Parts: map[int]campaign.Counts{
		campaign.PartOf("yahoo.com"):   {campaign.Pending: 1},
		campaign.PartOf("outlook.com"): {campaign.Accepted: 1},
	}}}
	for lane, want := range map[string]bool{"yahoo": true, "gmail": false, "microsoft": false, "acme.example": false} {
		if got := s.isHeldUpBy(lane); got != want {
			t.Errorf("%s: held up %v, want %v", lane, got, want)
		}
	}
}

// A quota that is spent says so in its own words; a warm-up that has not begun says when
// it does, in the zone of its days.
func TestQuotaWaits(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	first := time.Date(2026, 12, 1, 0, 0, 0, 0, east)
	second := first.AddDate(0, 0, 1)
	for _, tt := range []struct {
		quota     throttle.Quota
		what, why string
	}{
		{
			throttle.Quota{Name: "hour", Messages: 100, Window: time.Hour},
			report.ForQuota,
			"BS-QUOTA: 100 messages in any hour are sent",
		},
		{
			throttle.Quota{Name: "warmup", Messages: 200, Begin: first, End: second},
			report.ForWarmup,
			"BS-WARMUP: the 200 messages of this day of the warm-up are sent",
		},
		{
			throttle.Quota{Name: "warmup", Begin: first.AddDate(0, 0, -3), End: first},
			report.ForWarmup,
			"BS-WARMUP: the warm-up of ses begins on 2026-12-01",
		},
	} {
		until := second.UTC()
		got := quotaWait("ses", throttle.Usage{Quota: tt.quota, Until: until})
		if got.For != tt.what || got.What != "ses" || got.Reason != tt.why || !got.Until.Equal(until) {
			t.Errorf("got %+v, want %s: %s", got, tt.what, tt.why)
		}
	}
}
