package runs

import (
	"context"
	"slices"
	"testing"
	"time"

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

// waitsOf returns what a run waits for, as "for what code".
func (f *fixture) waitsOf(id string) []string {
	f.t.Helper()
	run, err := f.Summary(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}

	var out []string
	for _, w := range run.Waiting {
		out = append(out, w.For+" "+w.What+" "+string(w.Code))
	}

	return out
}

func TestARunThatStandsStillSaysWhy(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	ctx := t.Context()
	id := f.ready()
	check := func(when string, want ...string) {
		t.Helper()
		if got := f.waitsOf(id); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	const noWorker = "worker  BS-NO-WORKER"
	check("no worker is alive", noWorker)
	for _, lane := range []string{"gmail", "yahoo", "acme.example"} {
		_, _, err := f.Lanes.Change(ctx, "default", lane, func(l throttle.Lane) throttle.Lane {
			return l.Close(time.Now(), string(codes.LaneStorm), "421 too fast")
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	check("a lane with recipients and two without are closed", noWorker, "lane default/gmail BS-LANE-STORM")
	if _, err := f.Accounts.Close(ctx, "default", time.Time{}, string(codes.AccountLogin), "535"); err != nil {
		t.Fatal(err)
	}

	check("the account is closed too", noWorker, "account default BS-ACCOUNT-LOGIN", "lane default/gmail BS-LANE-STORM")

	worker := f.join()
	check("a worker is alive", "account default BS-ACCOUNT-LOGIN", "lane default/gmail BS-LANE-STORM")
	all, err := f.Processes.List(ctx)
	if err != nil || len(all) != 1 || all[0].ID != worker || all[0].Role != presence.Worker {
		t.Errorf("processes %+v, %v, want the worker of which only the ledger knows", all, err)
	}

	if err := f.Pause(ctx, id); err != nil {
		t.Fatal(err)
	}

	check("the run is paused")
}

// A lane of the long tail counts where a recipient of the run waits in its domain.
func TestARunWaitsForTheDomainsOfItsRecipients(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	id := f.create("news", time.Now(), "")
	e := f.Ledger.Expand(id)
	if err := e.Content(t.Context(), campaign.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	rows := []audience.Row{
		{Line: 2, Address: address.Address{Local: "ada", Domain: "waits.example"}},
		{Line: 3, Address: address.Address{Local: "zoe", Domain: "suppressed.example"}},
	}
	if err := e.Add(t.Context(), ledger.Chunk{Data: audience.EncodeChunk(nil, rows), Suppressed: []bool{false, true}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(t.Context(), campaign.Skipped{}); err != nil {
		t.Fatal(err)
	}
	f.join()

	for _, lane := range []string{"waits.example", "suppressed.example", "strange.example", "other"} {
		_, _, err := f.Lanes.Change(t.Context(), "default", lane, func(l throttle.Lane) throttle.Lane {
			return l.Close(time.Now(), string(codes.LaneClosed), "")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"lane default/other BS-LANE-CLOSED", "lane default/waits.example BS-LANE-CLOSED"}
	if got := f.waitsOf(id); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnAudienceThatNoProcessReadsIsNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	ctx := t.Context()
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	id := f.create("news", at, "")
	if got, want := f.waitsOf(id), []string{"launch news BS-ABANDONED"}; !slices.Equal(got, want) {
		t.Errorf("without a launch: got %q, want %q", got, want)
	}

	f.firing = at
	if got, want := f.waitsOf(id), []string{"scheduler news BS-NO-SCHEDULER"}; !slices.Equal(got, want) {
		t.Errorf("of a schedule, without a scheduler: got %q, want %q", got, want)
	}

	if _, err := f.Ledger.Expanding(ctx, id, "somebody", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := f.waitsOf(id); got != nil {
		t.Errorf("while the audience is read: got %q, want nothing", got)
	}
}

// While Redis is away the last status is seen, with the reason; afterwards the
// run is seen as it is.
func TestWaitSaysThatRedisIsAway(t *testing.T) {
	t.Parallel()
	srv := testkit.NewRedis(t)
	f := newFixture(t, srv.URL())
	id := f.ready()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	killed := false
	_, err := f.Wait(ctx, id, func(s Status) {
		if !killed {
			killed = true
			srv.Kill()
		}
		if slices.ContainsFunc(s.Waiting, func(w report.Wait) bool { return w.For == report.ForRedis && w.Code == codes.RedisUnreachable }) {
			stop()
		}
	})
	if cause := context.Cause(ctx); cause != context.Canceled {
		t.Errorf("it was not seen within 30 s: %v, %v", cause, err)
	}
}

// Workers could give no sign of life while Redis was away: right after it, it is not
// said that there is none.
func TestWorkersHaveTimeToReturnAfterAnOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testkit.Redis(t))
	status, err := f.Status(t.Context(), f.ready())
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		since time.Duration
		waits int
	}{{time.Second, 0}, {returnTime, 1}} {
		w := &waitsReader{runs: f.Runs, outage: time.Now().Add(-tt.since)}
		if got := w.read(t.Context(), status); len(got) != tt.waits {
			t.Errorf("%s after an outage the run waits for %v, want %d", tt.since, got, tt.waits)
		}
	}
}
