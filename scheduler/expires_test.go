package scheduler

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has

	"broadside/campaign"
	"broadside/campaign/window"
)

// A retry of a run whose recipients have hours by their own clocks gives each of them all
// the time that a run has, with closed hours left out.
func TestARetryLastsForTheHoursOfEachRecipient(t *testing.T) {
	t.Parallel()
	w, err := window.New("Mon-Fri 08:00-20:00", time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	const lasts = 48 * time.Hour
	spec := campaign.RunSpec{Snapshot: campaign.Snapshot{Hours: &campaign.Hours{Window: w}}, Delivery: campaign.Delivery{ExpiresAfter: lasts}}
	created := time.Date(2026, 10, 2, 20, 0, 0, 0, time.UTC) // a Friday
	ends := created.Add(expiresAfter(spec, created))
	for _, name := range []string{"Pacific/Kiritimati", "Europe/Berlin", "UTC", "America/Los_Angeles", "Etc/GMT+12"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		if enough := w.In(zone).After(created, lasts); ends.Before(enough) {
			t.Errorf("%s: the run ends at %s, before its hours have been open for %s, at %s", name, ends, lasts, enough)
		}
	}
}
