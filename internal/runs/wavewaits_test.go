package runs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/report"
	"broadside/internal/testkit"
)

// While everybody who is left waits for their time, the run says until when and who is next;
// as soon as somebody is under way it does not wait.
func TestARunWaitsForTheNextWave(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Second)
	id := f.create("news", now, "")
	e := f.Ledger.Expand(id)
	waves := []campaign.Wave{
		{At: now, Recipients: 1, Zones: []string{"Asia/Tokyo"}},
		{At: now.Add(7 * time.Hour), Recipients: 2, Zones: []string{"Europe/Berlin", "Europe/Paris"}, More: 3},
		{At: now.Add(13 * time.Hour), Recipients: 1, Zones: []string{"America/New_York"}},
	}
	e.Waves(waves, 61*time.Hour)
	due := []time.Duration{0, 7 * time.Hour, 7 * time.Hour, 13 * time.Hour}
	for _, err := range []error{
		e.Content(ctx, campaign.Snapshot{}), e.Add(ctx, ledger.Chunk{Data: []byte("x"), Suppressed: make([]bool, 4), Due: due}), e.Ready(ctx, campaign.Skipped{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.join()

	if got := f.waitsOf(id); got != nil {
		t.Errorf("one is due: it waits for %q", got)
	}
	rec, err := f.Ledger.Record(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Ledger.Issue(ctx, rec.Handle(), 0, 10, time.Minute, false, []int{0, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if got := f.waitsOf(id); got != nil {
		t.Errorf("one is handed out: it waits for %q", got)
	}
	line := f.Ledger.Line(f.rdb, suppression.New(f.rdb, "bs", redis.NewScript))
	if ok, err := line.Refuse(ctx, ledger.Ref{Run: rec.Handle()}, ledger.Outcome{State: campaign.Failed}); err != nil || !ok {
		t.Fatalf("refuse: %v, %v", ok, err)
	}

	run, err := f.Summary(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Waves) != 3 || run.Waves[1].More != 3 {
		t.Errorf("waves of the report: %+v", run.Waves)
	}
	i := slices.IndexFunc(run.Waiting, func(w report.Wait) bool { return w.For == report.ForSlot })
	if i < 0 {
		t.Fatalf("it waits for %+v, want its next wave", run.Waiting)
	}
	w := run.Waiting[i]
	if w.What != "news" || !w.Until.Equal(waves[1].At) || !strings.Contains(w.Reason, "the next 2 in Europe/Berlin, Europe/Paris and 3 more") {
		t.Errorf("it waits for %q until %s: %s", w.Subject(), w.Until, w.Reason)
	}
}
