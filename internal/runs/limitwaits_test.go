package runs

import (
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
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
