package launch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/scheduler"
)

// begin leaves the record of a run of the campaign whose launch died.
func (s *project) begin(id, key string) error {
	_, err := s.Ledger.Create(s.t.Context(), ledger.NewRun{
		ID: id, Campaign: "news", Key: key, Topic: "newsletter", Created: time.Now(),
		Accounts: []string{"default"}, Retry: campaign.DefaultRetry, MaxAttempts: campaign.DefaultMaxAttempts, ExpiresAfter: campaign.DefaultExpiresAfter,
	})
	return err
}

// Ids have the time to the second: a launch in the same second as the first one
// would make the very same id.
func TestLaunchAgainInTheSameSecond(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first, err := s.Launcher.Launch(t.Context(), s.def(""), launch.Options{})
	if err != nil {
		t.Fatal(err)
	}

	for range 2 {
		if second, err := s.Launcher.Launch(t.Context(), s.def(""), launch.Options{}); !errors.Is(err, failure.ErrRefused) {
			t.Fatalf("Launch = %+v, %v, want ErrRefused", second, err)
		}
	}

	again, err := s.Launcher.Launch(t.Context(), s.def(""), launch.Options{Again: true})
	if err != nil {
		t.Fatal(err)
	}

	runs, err := s.Ledger.List(t.Context(), "news")
	if err != nil || len(runs) != 2 || again.Run == first.Run {
		t.Errorf("runs %v (%v) after %s and %s, want these two", runs, err, first.Run, again.Run)
	}
}

// The process that makes a retry may die at any moment. Then the next one takes the run
// over under its name, or makes another.
func TestARetryThatDiedIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		dies func(s *project, spec campaign.RunSpec, id string) error
		over bool // under the same id
	}{
		{"before the name", func(*project, campaign.RunSpec, string) error { return nil }, false},
		{"after the name", func(*project, campaign.RunSpec, string) error { return nil }, true},
		{"after the record", func(s *project, spec campaign.RunSpec, id string) error {
			return s.begin(id, "")
		}, true},
		{"half way through the audience", func(s *project, spec campaign.RunSpec, id string) error {
			if err := s.begin(id, ""); err != nil {
				return err
			}
			return s.Ledger.Expand(id).Content(s.t.Context(), spec.Snapshot)
		}, true},
		{"an hour ago", func(s *project, spec campaign.RunSpec, id string) error {
			if err := s.begin(id, ""); err != nil {
				return err
			}
			_, err := s.Ledger.Turn(s.t.Context(), id, campaign.RunFailed, "the expansion was not completed", campaign.Expanding)
			return err
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			first := s.launch(launch.Options{}, "ada@example.org", "failed+1@example.org")
			o := launch.RetryOptions{State: campaign.Failed}
			spec, err := s.Launcher.RetrySpec(t.Context(), first, o)
			if err != nil {
				t.Fatal(err)
			}
			died := campaign.RunID("news", time.Now().Add(-time.Minute))
			if tc.name != "before the name" {
				if named, err := s.Ledger.Once(t.Context(), spec.Once, died); err != nil || named != died {
					t.Fatalf("named %q, %v", named, err)
				}
			}
			if err := tc.dies(s, spec, died); err != nil {
				t.Fatal(err)
			}
			run := s.retry(first, o)
			if (run == died) != tc.over {
				t.Errorf("made run %s, the one that died is %s", run, died)
			}
			s.want(run, "failed+1@example.org pending")
			s.refused(first, o, "already retried: run "+run)
		})
	}
}

// Two that ask the same thing at the same moment make one run, whatever stood
// in its place before.
func TestTwoAtTheSameMomentMakeOneRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		make func(s *project) func(ctx context.Context) (launch.Launched, error)
	}{
		{"launch after one that failed", func(s *project) func(context.Context) (launch.Launched, error) {
			def := s.def("")
			failed := campaign.RunID("news", time.Now().Add(-time.Hour))
			if err := s.begin(failed, ""); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.Ledger.Turn(s.t.Context(), failed, campaign.RunFailed, "", campaign.Expanding); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.Ledger.Once(s.t.Context(), campaign.OnceCampaign("news"), failed); err != nil {
				s.t.Fatal(err)
			}
			return func(ctx context.Context) (launch.Launched, error) {
				return s.Launcher.Launch(ctx, def, launch.Options{})
			}
		}},
		{"retry", func(s *project) func(context.Context) (launch.Launched, error) {
			first := s.launch(launch.Options{}, "failed+1@example.org")
			return func(ctx context.Context) (launch.Launched, error) {
				return s.Launcher.Retry(ctx, first, launch.RetryOptions{State: campaign.Failed})
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			try := tc.make(s)
			before, err := s.Ledger.List(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				wg.Go(func() { _, errs[i] = try(t.Context()) })
			}
			wg.Wait()
			made := 0
			for _, err := range errs {
				switch {
				case err == nil:
					made++
				case !errors.Is(err, failure.ErrRefused):
					t.Errorf("got %v, want ErrRefused", err)
				}
			}
			if after, err := s.Ledger.List(t.Context(), ""); err != nil || made != 1 || len(after) != len(before)+1 {
				t.Errorf("%d made a run; runs are %v, before %v, %v", made, after, before, err)
			}
		})
	}
}

// A launch --again that comes to nothing leaves the name where it was: else the
// next launch would send to all recipients a second time.
func TestALaunchThatComesToNothingTakesNoName(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first := s.launch(launch.Options{}, "ada@example.org")
	no := errors.New("no")
	for _, o := range []launch.Options{{Again: true}, {Again: true, Key: "k"}} {
		o.Confirm = func(launch.Plan) error { return no }
		if _, err := s.Launcher.Launch(t.Context(), s.def(""), o); !errors.Is(err, no) {
			t.Fatalf("got %v, want %v", err, no)
		}
		if before, err := s.Launcher.LaunchedBefore(t.Context(), "news"); err != nil || before != first {
			t.Errorf("launched before is %q, %v; want %s", before, err, first)
		}
	}

	again := s.launch(launch.Options{Again: true}, "ada@example.org")
	if before, err := s.Launcher.LaunchedBefore(t.Context(), "news"); err != nil || before != again {
		t.Errorf("launched before is %q, %v; want %s", before, err, again)
	}
}

// A key means one run, whatever became of the launch that had it first.
func TestTheSameKeyIsTheSameRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		key     string            // of the run that is there
		left    campaign.RunState // by the first launch; empty: its name alone
		again   bool              // a run of another id is made
		existed bool
	}{
		{"it died before its record", "k", "", false, false},
		{"it died half way", "k", campaign.Expanding, false, false},
		{"it failed", "k", campaign.RunFailed, true, false},
		{"it is running", "k", campaign.Running, false, true},
		{"the id is that of another key", "l", campaign.Running, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			def, ctx := s.def(""), t.Context()
			first := campaign.RunID("news", time.Now().Add(-time.Minute))
			for _, key := range []string{"k", tt.key} {
				if named, err := s.Ledger.Once(ctx, scheduler.KeyName(key), first); err != nil || named != first {
					t.Fatalf("named %q, %v", named, err)
				}
			}
			if tt.left != "" {
				err := s.begin(first, tt.key)
				if err != nil {
					t.Fatal(err)
				}
				switch tt.left {
				case campaign.Running:
					var left launch.Launched
					left, err = s.Launcher.Launch(ctx, def, launch.Options{Key: tt.key})
					if left.Run != first {
						t.Fatalf("launched %+v, %v; want run %s", left, err, first)
					}
				case campaign.RunFailed:
					_, err = s.Ledger.Turn(ctx, first, tt.left, "the expansion was not completed", campaign.Expanding)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			made, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "k", Again: tt.again})
			if err != nil || (made.Run != first) != tt.again || made.Existed != tt.existed {
				t.Fatalf("got %+v, %v after %s; want another %v, existed %v", made, err, first, tt.again, tt.existed)
			}
			if rec, err := s.Ledger.Record(ctx, made.Run); err != nil || rec.State != campaign.Running {
				t.Errorf("the run is %+v, %v; want it running", rec, err)
			}
			if repeated, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "k"}); err != nil || repeated.Run != made.Run || !repeated.Existed {
				t.Errorf("repeated: got %+v, %v; want run %s", repeated, err, made.Run)
			}
		})
	}
}

// Calls with the same key at the same moment all return the one run.
func TestCallsWithTheSameKeyWaitForTheFirst(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	def := s.def("")
	var wg sync.WaitGroup
	made := make([]launch.Launched, 6)
	for i := range made {
		wg.Go(func() {
			var err error
			if made[i], err = s.Launcher.Launch(t.Context(), def, launch.Options{Key: "k"}); err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()
	fresh := 0
	for _, m := range made {
		if !m.Existed {
			fresh++
		}
		if m.Run == "" || m.Run != made[0].Run {
			t.Errorf("got run %q and %q, want one", m.Run, made[0].Run)
		}
	}

	if fresh != 1 {
		t.Errorf("%d calls made a run, want 1", fresh)
	}
}

// A key says that a call may be repeated; it does not say that recipients should
// get the campaign twice.
func TestANewKeyIsNoReasonToLaunchAgain(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first := s.launch(launch.Options{Key: "k"}, "ada@example.org", "bob@example.org")
	ctx, def := t.Context(), s.def("")
	for range 2 { // a refused key is as new as before
		if _, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "l"}); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), "--again --exclude run:news") {
			t.Fatalf("another key: %v, want ErrRefused", err)
		}
	}

	if named, err := s.Ledger.Named(ctx, scheduler.KeyName("l")); err != nil || named != "" {
		t.Errorf("the refused key stands for %q, %v", named, err)
	}

	if made, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "k"}); err != nil || made.Run != first || !made.Existed {
		t.Errorf("the same key: %+v, %v; want run %s", made, err, first)
	}

	again, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "l", Again: true})
	if err != nil || again.Run == first || again.Existed {
		t.Fatalf("another key and again: %+v, %v; want another run", again, err)
	}

	for _, o := range []launch.Options{{Key: "l"}, {Key: "l", Again: true}} {
		if made, err := s.Launcher.Launch(ctx, def, o); err != nil || made.Run != again.Run || !made.Existed {
			t.Errorf("%+v: %+v, %v; want run %s", o, made, err, again.Run)
		}
	}
}

// A launch that died while it read the audience does not keep the next one from launching
// with a key.
func TestAKeyAfterALaunchThatDied(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	ctx, def := t.Context(), s.def("")
	dead := campaign.RunID("news", time.Now().Add(-time.Minute))
	if _, err := s.Ledger.Once(ctx, campaign.OnceCampaign("news"), dead); err != nil {
		t.Fatal(err)
	}

	if err := s.begin(dead, ""); err != nil {
		t.Fatal(err)
	}

	made, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "k"})
	if err != nil || made.Run == dead {
		t.Fatalf("%+v, %v; want a run of its own", made, err)
	}

	if again, err := s.Launcher.Launch(ctx, def, launch.Options{Key: "k"}); err != nil || again.Run != made.Run || !again.Existed {
		t.Errorf("the same key: %+v, %v; want run %s", again, err, made.Run)
	}
	if _, err := s.Launcher.Launch(ctx, def, launch.Options{}); !errors.Is(err, failure.ErrRefused) {
		t.Errorf("without the key: %v, want ErrRefused", err)
	}
}
