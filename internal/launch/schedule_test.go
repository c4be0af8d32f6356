package launch_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/testkit"
	"broadside/scheduler"
)

// add schedules a campaign.
func (s *project) add(more string, o launch.ScheduleOptions) launch.Scheduled {
	s.t.Helper()
	done, err := s.Schedules.Add(s.t.Context(), s.def(more), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// firingOf is an occurrence of what was scheduled.
func firingOf(s launch.Scheduled) scheduler.Firing {
	return scheduler.Firing{Schedule: s.Schedule, Occurrence: s.Next}
}

// makeRun makes the run of an occurrence, as a scheduler does.
func (s *project) makeRun(ctx context.Context, f scheduler.Firing, renewClaim func(context.Context) error) (scheduler.Made, error) {
	cfg := scheduler.FirerConfig{Maker: s.Launcher.Maker, Campaigns: s.Schedules, Log: slog.New(slog.DiscardHandler)}
	return scheduler.NewFirer(s.Schedules.Stored, cfg).MakeRun(ctx, f, renewClaim)
}

// goOn says that an occurrence is still to be fired.
func goOn(context.Context) error { return nil }

// What is sent is what was scheduled, even when the files are gone.
func TestARunIsMadeOfWhatWasScheduled(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	done := s.add("schedule: {cron: \"0 9 * * *\"}\n", launch.ScheduleOptions{})
	for _, name := range []string{"people.csv", "not.csv", "letter.md", "campaign.yaml"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}

	made, err := s.makeRun(t.Context(), firingOf(done), goOn)
	want := scheduler.Made{Run: campaign.RunID("news", done.Next)}
	if err != nil || made != want {
		t.Fatalf("got %+v, %v; want %+v", made, err, want)
	}

	rec, err := s.Ledger.Record(t.Context(), made.Run)
	if err != nil {
		t.Fatal(err)
	}

	if rec.State != campaign.Running || rec.Total() != 2 || rec.Skipped.Excluded != 1 {
		t.Errorf("run is %s with %d recipients, %d excluded; want running, 2, 1", rec.State, rec.Total(), rec.Skipped.Excluded)
	}

	snapshot, err := s.Ledger.Snapshot(t.Context(), rec.Handle())
	if err != nil || snapshot.Markdown != "# Hello {{.first_name}}\n" {
		t.Errorf("content is %q, error %v", snapshot.Markdown, err)
	}

	// Once more, as after a crash before it was recorded: nothing new.
	if again, err := s.makeRun(t.Context(), firingOf(done), goOn); err != nil || again != want {
		t.Errorf("once more: got %+v, %v; want %+v", again, err, want)
	}
	if ids, err := s.Ledger.List(t.Context(), ""); err != nil || len(ids) != 1 {
		t.Errorf("runs are %v, error %v; want one", ids, err)
	}
}

// A scheduler that dies between the record of a run and its readiness leaves
// it expanding; the next one goes on with it.
func TestAnExpansionThatDiedIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	done := s.add("", launch.ScheduleOptions{At: time.Now().Add(time.Hour).Format(time.RFC3339)})
	died := errors.New("the plug was pulled")
	if _, err := s.makeRun(t.Context(), firingOf(done), func(context.Context) error { return died }); !errors.Is(err, died) {
		t.Fatalf("got %v, want %v", err, died)
	}

	id := campaign.RunID("news", done.Next)
	if rec, err := s.Ledger.Record(t.Context(), id); err != nil || rec.State != campaign.Expanding {
		t.Fatalf("run is %+v, error %v; want it expanding", rec, err)
	}

	if made, err := s.makeRun(t.Context(), firingOf(done), goOn); err != nil || made != (scheduler.Made{Run: id}) {
		t.Fatalf("got %+v, %v", made, err)
	}

	// From now on the campaign, which has no cron, was launched.
	if _, err := s.Launcher.Launch(t.Context(), s.def(""), launch.Options{}); !errors.Is(err, failure.ErrRefused) {
		t.Errorf("launch: got %v, want ErrRefused", err)
	}
	if _, err := s.Schedules.Add(t.Context(), s.def(""), launch.ScheduleOptions{At: "2199-01-01T09:00"}); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), "--again") {
		t.Errorf("schedule: got %v, want ErrRefused that names --again", err)
	}

	s.add("", launch.ScheduleOptions{At: "2199-01-01T09:00", Again: true})
}

func TestWhatCannotBeMadeFailsForGood(t *testing.T) {
	t.Parallel()
	late := func(context.Context) error { return scheduler.ErrLate }
	gone := func(context.Context) error { return scheduler.ErrGone }
	for _, tc := range []struct {
		name       string
		prepare    func(t *testing.T, s *project)
		renewClaim func(context.Context) error
		want       scheduler.Made // Failure is a part of it
		err        error
		state      campaign.RunState // empty: no run
	}{
		{
			"the list is gone", func(t *testing.T, s *project) {
				if err := s.Lists.Rm(t.Context(), "staff"); err != nil {
					t.Fatal(err)
				}
			}, goOn, scheduler.Made{Failure: "list:staff"}, nil, "",
		},
		{"too late at the end", func(*testing.T, *project) {}, late, scheduler.Made{}, scheduler.ErrLate, campaign.RunFailed},
		{"unscheduled at the end", func(*testing.T, *project) {}, gone, scheduler.Made{}, scheduler.ErrGone, campaign.RunFailed},
		{
			"the account is gone", func(_ *testing.T, s *project) { s.Config.Accounts = nil }, goOn,
			scheduler.Made{Failure: "no account is configured"},
			nil, "",
		},
		{
			"launched meanwhile", func(t *testing.T, s *project) {
				if _, err := s.Launcher.Launch(t.Context(), s.def("schedule: {at: 2199-01-01T09:00}\n"), launch.Options{Now: true, Audience: "list:staff"}); err != nil {
					t.Fatal(err)
				}
			}, goOn, scheduler.Made{Failure: "launched since as run news-"}, nil, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			rows, err := audience.Open(t.Context(), audience.Source{Path: filepath.Join(s.dir, "people.csv")}, audience.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			if _, err := s.Lists.Import(t.Context(), "staff", rows, audience.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			s.write("people.csv", "email,first_name\n")
			def := s.def("schedule: {at: 2199-01-01T09:00}\n")
			def.Source = []byte(strings.Replace(string(def.Source), "people.csv", "list:staff", 1))
			def.Audience.Source = "list:staff"
			done, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tc.prepare(t, s)
			made, err := s.makeRun(t.Context(), firingOf(done), tc.renewClaim)
			if !errors.Is(err, tc.err) || made.Run != tc.want.Run || !strings.Contains(made.Failure, tc.want.Failure) {
				t.Errorf("got %+v, %v; want %+v, %v", made, err, tc.want, tc.err)
			}
			rec, err := s.Ledger.Record(t.Context(), campaign.RunID("news", done.Next))
			switch {
			case tc.state == "" && !ledger.Gone(err):
				t.Errorf("there is a run %+v, error %v", rec, err)
			case tc.state != "" && (err != nil || rec.State != tc.state):
				t.Errorf("run is %+v, error %v; want it %s", rec, err, tc.state)
			}
		})
	}
}

// Trouble with Redis is not the campaign's fault.
func TestTroubleIsNotTheCampaignsFault(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	done := s.add("schedule: {cron: \"@daily\"}\n", launch.ScheduleOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if made, err := s.makeRun(ctx, firingOf(done), goOn); err == nil || made != (scheduler.Made{}) {
		t.Errorf("got %+v, %v; want an error alone", made, err)
	}
	if made, err := s.makeRun(t.Context(), firingOf(done), goOn); err != nil || made.Failure != "" {
		t.Errorf("afterwards: got %+v, %v", made, err)
	}
}

func TestSchedulingTheSameCampaignAgainShowsTheChange(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	if first := s.add("schedule: {cron: \"0 9 * * *\"}\n", launch.ScheduleOptions{}); first.Old != nil || first.Changes != nil {
		t.Errorf("the first one replaces %+v, changes %v", first.Old, first.Changes)
	}

	s.write("letter.md", "# Hi {{.first_name}}\n")
	s.write("people.csv", "email,first_name\nada@example.org,Ada\n")
	second := s.add("schedule: {cron: \"0 10 * * *\", max_lateness: 2h}\ndelivery: {rate: 5/s}\n", launch.ScheduleOptions{})
	var what []string
	for _, c := range second.Changes {
		what = append(what, c.What)
	}

	want := []string{"schedule", "max_lateness", "recipients", "rate", "content.markdown", "audience.source"}
	if diff := cmp.Diff(want, what); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	all, err := s.Schedules.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Timing.Cron != "0 10 * * *" {
		t.Errorf("scheduled are %+v, error %v", all, err)
	}

	// The stored one at another time, without the files.
	def, stored, err := s.Schedules.Campaign(t.Context(), "ne")
	if err != nil {
		t.Fatal(err)
	}

	s.dir = t.TempDir()
	third, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{At: "2199-01-01 09:00", Stored: stored})
	if err != nil || third.Recipients != 1 || third.Next.Format(time.RFC3339) != "2199-01-01T08:00:00Z" {
		t.Errorf("got %d recipients, next %v, error %v", third.Recipients, third.Next, err)
	}
}

// Two schedulers that run at the same time make each run once.
func TestTwoSchedulersMakeEachRunOnce(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.add("schedule: {cron: \"@every 1s\"}\n", launch.ScheduleOptions{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- s.Schedule(ctx) }()
	}

	n := int64(0)
	for range testkit.Tries(20 * time.Second) {
		shown, err := s.Schedules.Show(t.Context(), "news", 0)
		if err != nil {
			t.Fatal(err)
		}
		if n = shown.Fired; n >= 3 {
			break
		}
	}

	if n < 3 {
		t.Fatalf("fired %d", n)
	}

	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("Schedule: %v", err)
		}
	}

	shown, err := s.Schedules.Show(t.Context(), "news", 0)
	if err != nil {
		t.Fatal(err)
	}

	ids, err := s.Ledger.List(t.Context(), "news")
	if err != nil {
		t.Fatal(err)
	}

	var fired []string
	for _, o := range shown.Occurrences {
		fired = append(fired, o.Run)
	}

	// The last run may be ready and not yet recorded: then it is the next one.
	if len(ids) == len(fired)+1 && ids[0] == campaign.RunID("news", shown.Next) {
		ids = ids[1:]
	}

	if diff := cmp.Diff(fired, ids); diff != "" {
		t.Errorf("recorded and made (-recorded +made):\n%s", diff)
	}
	if running, err := s.Schedules.Remove(t.Context(), "news"); err != nil || running != "" {
		t.Errorf("RemoveSchedule: %q, %v", running, err)
	}
	if _, err := s.Schedules.Show(t.Context(), "news", 0); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("ShowSchedule: got %v, want ErrInvalid", err)
	}
}
