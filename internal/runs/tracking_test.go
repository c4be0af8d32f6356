package runs

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/testkit"
)

// While a run is waited for its opens and clicks are read now and then; of a run that counts
// none nothing is read but its snapshot.
func TestOpensAreReadWhileARunIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	rec, err := f.Ledger.Record(t.Context(), f.readyWith(campaign.Snapshot{Tracking: campaign.Tracking{Opens: true}}))
	if err != nil {
		t.Fatal(err)
	}
	run := rec.Handle()
	open := func() {
		t.Helper()
		hit := ledger.Hit{Place: ledger.Place{Part: run.Sizes[0].Part}}
		if _, _, err := f.Ledger.CountHits(t.Context(), run, []ledger.Hit{hit}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}

	r := &trackingReader{runs: f.Runs}
	open()
	got := r.read(t.Context(), run)
	if got == nil || got.Opens == nil || got.Opens.Total != 1 || got.Opens.People != 1 || got.Clicks != nil {
		t.Fatalf("got %+v", got)
	}
	open()
	if again := r.read(t.Context(), run); again != got {
		t.Errorf("read again at once: %+v", again)
	}
	r.readAt = r.readAt.Add(-trackingEvery)
	if later := r.read(t.Context(), run); later.Opens.Total != 2 {
		t.Errorf("later: %+v", later.Opens)
	}
	if err := f.rdb.Close(); err != nil {
		t.Fatal(err)
	}
	r.readAt = r.readAt.Add(-trackingEvery)
	if away := r.read(t.Context(), run); away == nil || away.Opens.Total != 2 {
		t.Errorf("while Redis is away: %+v", away)
	}
}

func TestARunThatCountsNothingIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	rec, err := f.Ledger.Record(t.Context(), f.ready())
	if err != nil {
		t.Fatal(err)
	}
	r := &trackingReader{runs: f.Runs}
	if got := r.read(t.Context(), rec.Handle()); got != nil || r.snapshot == nil {
		t.Fatalf("got %+v", got)
	}
	before := r.readAt
	r.readAt = before.Add(-trackingEvery)
	if got := r.read(t.Context(), rec.Handle()); got != nil || r.readAt.After(before.Add(-trackingEvery)) {
		t.Errorf("got %+v, asked again: %t", got, r.readAt.After(before.Add(-trackingEvery)))
	}
}
