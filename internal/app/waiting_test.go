package app

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/presence"
	"broadside/internal/report"
	"broadside/internal/testkit"
)

// waitsOf returns what a run waits for, as "for what code".
func waitsOf(t *testing.T, s *scheduling, id string) []string {
	t.Helper()
	r, err := s.Summary(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range r.Waiting {
		out = append(out, w.For+" "+w.What+" "+string(w.Code))
	}
	return out
}

func TestARunThatStandsStillSaysWhy(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	made, err := s.Launch(ctx, s.def(""), Launch{}) // ada@example.org, grace@gmail.com
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := waitsOf(t, s, made.Run); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	const noWorker = "worker  BS-NO-WORKER"
	check("nobody is alive", noWorker)
	if _, err := s.Accounts.CloseLane(ctx, "default", "gmail", time.Time{}, string(codes.LaneClosed), "421 too fast"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accounts.CloseLane(ctx, "default", "yahoo", time.Time{}, string(codes.LaneClosed), "421 too fast"); err != nil {
		t.Fatal(err)
	}
	check("a lane with recipients and one without are closed", noWorker, "lane default/gmail BS-LANE-CLOSED")
	if _, err := s.Accounts.Close(ctx, "default", time.Time{}, string(codes.AccountLogin), "535"); err != nil {
		t.Fatal(err)
	}
	check("the account is closed too", noWorker, "account default BS-ACCOUNT-LOGIN", "lane default/gmail BS-LANE-CLOSED")
	nothing := func(context.Context, string) error { return nil }
	worker, err := s.Ledger.Join(ctx, ledger.MemberConfig{Server: s.store.Server, OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	check("a worker is alive", "account default BS-ACCOUNT-LOGIN", "lane default/gmail BS-LANE-CLOSED")
	all, err := s.Processes(ctx)
	if err != nil || len(all) != 1 || all[0].ID != worker.ID() || all[0].Role != presence.Worker {
		t.Errorf("processes %+v, %v, want the worker of which only the ledger knows", all, err)
	}
	if err := s.Pause(ctx, made.Run); err != nil {
		t.Fatal(err)
	}
	check("the run is paused")
}

func TestAnAudienceThatNobodyReadsIsNamed(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	id := campaign.RunID("news", at)
	if _, err := s.Ledger.Create(ctx, ledger.NewRun{ID: id, Campaign: "news", Created: at}); err != nil {
		t.Fatal(err)
	}
	if got, want := waitsOf(t, s, id), []string{"launch news BS-ABANDONED"}; !slices.Equal(got, want) {
		t.Errorf("without a launch: got %q, want %q", got, want)
	}
	if _, err := s.Ledger.Expanding(ctx, id, "somebody", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := waitsOf(t, s, id); got != nil {
		t.Errorf("while the audience is read: got %q, want nothing", got)
	}
}

// While Redis is away the last status is seen, with the reason; afterwards the
// run is seen as it is.
func TestWhoWaitsIsToldThatRedisIsAway(t *testing.T) {
	t.Parallel()
	srv := testkit.NewRedis(t)
	s := newSchedulingOn(t, srv.URL())
	made, err := s.Launch(t.Context(), s.def(""), Launch{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	killed := false
	_, err = s.Wait(ctx, made.Run, func(st Status) {
		if !killed {
			killed = true
			srv.Kill()
		}
		if slices.ContainsFunc(st.Waiting, func(w report.Wait) bool { return w.For == report.ForRedis && w.Code == codes.RedisUnreachable }) {
			stop()
		}
	})
	if cause := context.Cause(ctx); cause != context.Canceled {
		t.Errorf("it was not told within 30 s: %v, %v", cause, err)
	}
}

func TestBrokenRunIsListedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	made, err := s.Launch(ctx, s.def(""), Launch{})
	if err != nil {
		t.Fatal(err)
	}
	key := s.Config.Namespace + ":{run:" + made.Run + "}:record"
	if err := s.store.Client().HSet(ctx, key, "state", "resting").Err(); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(ctx)
	if err != nil || len(runs) != 1 || runs[0].State != campaign.Broken || codes.Of(runs[0].Reason) != codes.BrokenState {
		t.Errorf("runs %+v, %v, want one that is broken", runs, err)
	}
	if _, err := s.Wait(ctx, made.Run, nil); !campaign.IsBroken(err) {
		t.Errorf("wait: got %v, want that it is broken", err)
	}
	if _, err := s.Report(ctx, made.Run); !campaign.IsBroken(err) {
		t.Errorf("report: got %v, want that it is broken", err)
	}
}

// Workers could give no sign of life while Redis was away: right after it nobody is
// told that there is none.
func TestWorkersHaveTimeToReturnAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	made, err := s.Launch(t.Context(), s.def(""), Launch{})
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Status(t.Context(), made.Run)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		since time.Duration
		waits int
	}{{time.Second, 0}, {returnWithin, 1}} {
		l := &lookout{a: s.App, away: time.Now().Add(-tt.since)}
		if got := l.look(t.Context(), status); len(got) != tt.waits {
			t.Errorf("%s after an outage the run waits for %v, want %d", tt.since, got, tt.waits)
		}
	}
}
