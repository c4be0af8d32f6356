package runs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/window"
	"broadside/internal/report"
	"broadside/internal/testkit"
)

// localRun makes a run with waves, of which each row of a zone is due so long after it was made.
func (f *fixture) localRun(s campaign.Snapshot, made time.Time, waves []campaign.Wave, zones []string, due ...time.Duration) (id string) {
	f.t.Helper()
	id = f.create("news", made, "")
	var rows []audience.Row
	for i := range due {
		a, err := address.Parse(fmt.Sprintf("reader%d@example.org", i))
		if err != nil {
			f.t.Fatal(err)
		}
		rows = append(rows, audience.Row{Line: i + 2, Address: a, Values: []string{zones[i]}})
	}

	e := f.Ledger.Expand(id)
	e.Waves(waves, 61*time.Hour)
	chunk := ledger.Chunk{Data: audience.EncodeChunk(nil, rows), Suppressed: make([]bool, len(due)), Due: due}
	for _, err := range []error{e.Content(f.t.Context(), s), e.Add(f.t.Context(), chunk), e.Ready(f.t.Context(), campaign.Skipped{})} {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return id
}

// Those who are left of a wave that has begun wait for the hours of their own clock, or
// for their moment of a spread: the run says until when the first of them does.
func TestARunWaitsForTheClocksOfItsRecipients(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Minute)
	made := now.Add(-time.Hour)
	// Etc/GMT-5 is five hours ahead of UTC: its hours open in one. Those of Etc/GMT-6 are open.
	opens := now.Add(6 * time.Hour)
	hours, err := window.New(opens.Format("15:04")+"-"+opens.Add(time.Hour).Format("15:04"), time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	closed := campaign.Snapshot{Hours: &campaign.Hours{Fallback: "Etc/GMT-6", Window: hours}}
	waves := []campaign.Wave{{At: made, Recipients: 2, Zones: []string{"Etc/GMT-5"}}}

	for name, c := range map[string]struct {
		snapshot campaign.Snapshot
		due      []time.Duration
		pause    bool
		want     string
		reason   string
	}{
		"their hours are closed":         {snapshot: closed, due: []time.Duration{3 * time.Hour, 2 * time.Hour}, want: "window news BS-WINDOW", reason: "which open next in Etc/GMT-5"},
		"there are no hours":             {due: []time.Duration{3 * time.Hour, 2 * time.Hour}, want: "slot news BS-SLOT", reason: "at a moment of their own"},
		"the hours of the next are open": {snapshot: closed, due: []time.Duration{2 * time.Hour, 3 * time.Hour}, want: "slot news BS-SLOT", reason: "at a moment of their own"},
		"their wave comes later":         {snapshot: closed, due: []time.Duration{3 * time.Hour, 2*time.Hour + time.Minute}, want: "slot news BS-SLOT"},
		"one may get it now":             {snapshot: closed, due: []time.Duration{2 * time.Hour, 0}},
		"an account is closed":           {snapshot: closed, due: []time.Duration{2 * time.Hour, 2 * time.Hour}, pause: true, want: "account default BS-ACCOUNT-LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, testkit.Redis(t))
			id := f.localRun(c.snapshot, made, waves, []string{"", "Etc/GMT-5"}, c.due...)
			f.join()
			if c.pause {
				if _, err := f.Accounts.Close(t.Context(), "default", time.Time{}, string(codes.AccountLogin), "535"); err != nil {
					t.Fatal(err)
				}
			}

			run, err := f.Summary(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range run.Waiting {
				got = append(got, w.For+" "+w.What+" "+string(w.Code))
				if c.reason != "" && (!strings.HasSuffix(w.Reason, c.reason) || !w.Until.Equal(made.Add(2*time.Hour))) {
					t.Errorf("it waits until %s: %s", w.Until, w.Reason)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("it waits for %q, want %q", got, c.want)
			}
		})
	}
}

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
