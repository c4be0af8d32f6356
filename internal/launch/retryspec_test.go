package launch

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/window"
)

// A retry has the window and the priority of its run, and lasts as many open hours; over
// what time its run was spread says nothing about it.
func TestARetryHasTheTermsOfItsRun(t *testing.T) {
	t.Parallel()
	w, err := window.New("Mon-Fri 08:00-12:00", time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	rec := &ledger.Record{ID: "news-20261001T070000Z", Window: w, High: true, Lasts: 48 * time.Hour, Expires: 400 * time.Hour}
	spec := (&Launcher{}).retrySpec(rec, campaign.Snapshot{Rate: 5, SpreadRate: 1}, RetryOptions{State: campaign.Failed})
	if !spec.High {
		t.Error("the retry has no high priority")
	}
	if spec.Window != w || spec.Delivery.ExpiresAfter != 48*time.Hour || spec.Snapshot.Pace() != 5 {
		t.Errorf("window %s, expires after %s, rate %v", spec.Window, spec.Delivery.ExpiresAfter, spec.Snapshot.Pace())
	}
}
