package runs

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/presence"
	"broadside/internal/report"
	"broadside/internal/testkit"
	"broadside/throttle"
)

// A fixture has the runs of a Redis of its own. No process is alive.
type fixture struct {
	*Runs
	t      *testing.T
	rdb    *redis.Client
	firing time.Time // what Firing returns
}

func newFixture(t *testing.T, url string) *fixture {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}

	f := &fixture{t: t, rdb: redis.NewClient(o)}
	t.Cleanup(func() { f.rdb.Close() })
	l := ledger.New(f.rdb, "bs", redis.NewScript)
	f.Runs = New(Config{
		Ledger: l, Accounts: throttle.NewAccounts(f.rdb, "bs", "here", redis.NewScript), Lanes: throttle.NewLanes(f.rdb, "bs", redis.NewScript), Processes: presence.New(f.rdb, "bs", l.Workers),
		Firing: func(context.Context, string) (time.Time, error) { return f.firing, nil }, Log: slog.New(slog.DiscardHandler),
	})

	return f
}

// create creates a run that is not ready.
func (f *fixture) create(name string, at time.Time, parent string) string {
	f.t.Helper()
	id := campaign.RunID(name, at)
	made, err := f.Ledger.Create(f.t.Context(), ledger.NewRun{
		ID: id, Campaign: name, Parent: parent, Created: at, Accounts: []string{"default"},
		Retry: campaign.DefaultRetry, MaxAttempts: 3, ExpiresAfter: time.Hour,
	})
	if err != nil || !made {
		f.t.Fatalf("create %s: %v, %v", id, made, err)
	}

	return id
}

// ready makes a run of ada@example.org and grace@gmail.com.
func (f *fixture) ready() string { f.t.Helper(); return f.readyWith(campaign.Snapshot{}) }

// readyWith is ready with a snapshot.
func (f *fixture) readyWith(s campaign.Snapshot) string {
	f.t.Helper()
	id := f.create("news", time.Now(), "")
	e := f.Ledger.Expand(id)
	if err := e.Content(f.t.Context(), s); err != nil {
		f.t.Fatal(err)
	}

	for provider, text := range map[campaign.Provider]string{"other": "ada@example.org", "gmail": "grace@gmail.com"} {
		a, err := address.Parse(text)
		if err != nil {
			f.t.Fatal(err)
		}
		chunk := ledger.Chunk{
			Part: slices.Index(campaign.Providers, provider), Suppressed: []bool{false},
			Data: audience.EncodeChunk(nil, []audience.Row{{Line: 2, Address: a}}),
		}
		if err := e.Add(f.t.Context(), chunk); err != nil {
			f.t.Fatal(err)
		}
	}

	if err := e.Rejects(f.t.Context(), []byte(`[{"line":4,"reason":"no @","value":"zoe"}]`)); err != nil {
		f.t.Fatal(err)
	}

	if err := e.Ready(f.t.Context(), campaign.Skipped{Invalid: 1}); err != nil {
		f.t.Fatal(err)
	}

	return id
}

// join makes a worker alive and returns its id.
func (f *fixture) join() string {
	f.t.Helper()
	nothing := func(context.Context, string) error { return nil }
	worker, err := f.Ledger.Join(f.t.Context(), ledger.MemberConfig{
		Server: func(context.Context) (string, time.Duration, error) { return "one", time.Hour, nil },
		OnDead: nothing, OnReset: nothing, Log: f.Log,
	})
	if err != nil {
		f.t.Fatal(err)
	}

	return worker.ID()
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	older := f.create("october", at, "")
	newer := f.create("october", at.Add(time.Hour), "")
	extra := f.create("october-extra", at.Add(2*time.Hour), "")
	for _, tt := range []struct {
		name, text, want string
		latest           bool
	}{
		{"an id", older, older, false},
		{"a campaign with several runs", "october", newer, true},
		{"a campaign with one run", "october-extra", extra, true},
		{"the beginning of one run", "october-e", extra, false},
		{"the beginning of several runs", "october-2026", "", false},
		{"the beginning of a campaign's id", "octob", "", false},
		{"nothing", "", "", false},
		{"another campaign", "november", "", false},
	} {
		id, latest, err := f.Find(t.Context(), tt.text)
		if id != tt.want || latest != tt.latest || (err == nil) != (tt.want != "") || err != nil && !ledger.Gone(err) {
			t.Errorf("%s: %q: got %q, latest %v, %v, want %q, %v", tt.name, tt.text, id, latest, err, tt.want, tt.latest)
		}
	}
}

// A retry is found as the latest run, and is not one that a campaign was launched
// as.
func TestLinkedRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	first := f.create("news", at, "")
	retry := f.create("news", at.Add(time.Hour), first)
	again := f.create("news", at.Add(2*time.Hour), retry)
	if id, _, err := f.Find(t.Context(), "news"); err != nil || id != again {
		t.Errorf("Find: got %s, %v, want %s", id, err, again)
	}

	rec, err := f.Latest(t.Context(), "news")
	if err != nil || rec == nil || rec.ID != first {
		t.Fatalf("Latest: got %+v, %v, want %s", rec, err, first)
	}

	linked, err := f.Linked(t.Context(), rec)
	if err != nil || len(linked) != 2 || linked[0].ID != retry || linked[1].ID != again {
		t.Errorf("Linked: got %+v, %v, want %s and %s", linked, err, retry, again)
	}

	if rec, err := f.Latest(t.Context(), ""); rec != nil || err != nil {
		t.Errorf("Latest of no campaign: got %+v, %v", rec, err)
	}
}

func TestRecipientsAndRejects(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	id := f.ready()
	var got []string
	err := f.Recipients(t.Context(), id, "pending", func(r Recipient) error {
		got = append(got, r.Address+" "+r.State)
		return nil
	})
	slices.Sort(got)
	if want := []string{"ada@example.org pending", "grace@gmail.com pending"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}

	rejects, err := f.Rejects(t.Context(), id)
	if want := []audience.Reject{{Line: 4, Reason: "no @", Value: "zoe"}}; err != nil || !slices.Equal(rejects, want) {
		t.Errorf("rejects: got %+v, %v, want %+v", rejects, err, want)
	}
}

func TestBrokenRunIsListedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	ctx := t.Context()
	id := f.ready()
	if err := f.rdb.HSet(ctx, "bs:{run:"+id+"}:record", "state", "resting").Err(); err != nil {
		t.Fatal(err)
	}

	all, err := f.List(ctx)
	if err != nil || len(all) != 1 || all[0].State != campaign.Broken || codes.Of(all[0].Reason) != codes.BrokenState {
		t.Errorf("runs %+v, %v, want one that is broken", all, err)
	}

	if _, err := f.Wait(ctx, id, nil); !campaign.IsBroken(err) {
		t.Errorf("wait: got %v, want that it is broken", err)
	}
	if _, err := f.Report(ctx, id); !campaign.IsBroken(err) {
		t.Errorf("report: got %v, want that it is broken", err)
	}
}

// A report has what came back, by day and provider, whatever account it went by.
func TestReportHasWhatCameBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	id := f.ready()
	rec, err := f.Ledger.Record(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []ledger.After
	for i, account := range []string{"main", "second"} {
		for _, p := range rec.Sizes {
			all = append(all, ledger.After{
				Kind: campaign.EventUnsubscribed, Place: ledger.Place{Part: p.Part, Index: -1}, Person: account, Day: "2026-12-01",
				Account: account, Text: []string{"one", "two"}[i],
			})
		}
	}
	if _, err := f.Ledger.CountAfter(t.Context(), rec.Handle(), all); err != nil {
		t.Fatal(err)
	}

	got, err := f.Report(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	// Persons count once in a run, whatever the part.
	want := []report.Return{{Day: "2026-12-01", Provider: campaign.Providers[rec.Sizes[0].Part], Kind: campaign.EventUnsubscribed, Count: 2}}
	if diff := cmp.Diff(want, got.Returns); diff != "" {
		t.Errorf("returns (-want +got):\n%s", diff)
	}
	wantTexts := []report.ReturnText{{Kind: campaign.EventUnsubscribed, Text: "one", Count: 1}, {Kind: campaign.EventUnsubscribed, Text: "two", Count: 1}}
	if diff := cmp.Diff(wantTexts, got.ReturnTexts); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	if got.After.Unsubscribed != 2 {
		t.Errorf("after: %+v", got.After)
	}
}
