package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"broadside/campaign"
)

// Ids have the time to the second: a launch in the same second as the first one
// would make the very same id.
func TestLaunchAgainInTheSameSecond(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	first, err := s.Launch(t.Context(), s.def(""), Launch{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if second, err := s.Launch(t.Context(), s.def(""), Launch{}); !errors.Is(err, ErrRefused) {
			t.Fatalf("Launch = %+v, %v, want ErrRefused", second, err)
		}
	}
	again, err := s.Launch(t.Context(), s.def(""), Launch{Again: true})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.Ledger.List(t.Context(), "news")
	if err != nil || len(runs) != 2 || again.Run == first.Run {
		t.Errorf("runs %v (%v) after %s and %s, want these two", runs, err, first.Run, again.Run)
	}
}

// Whoever makes the retry may die at any moment: it is taken over under its
// name, or begun anew.
func TestARetryThatDiedIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		dies func(s *stand, p *prepared, id string) error
		over bool // under the same id
	}{
		{"before the name", func(*stand, *prepared, string) error { return nil }, false},
		{"after the name", func(*stand, *prepared, string) error { return nil }, true},
		{"after the record", func(s *stand, p *prepared, id string) error {
			_, err := s.Ledger.Create(s.t.Context(), newRun(p, id, Launch{}, time.Now()))
			return err
		}, true},
		{"half way through the audience", func(s *stand, p *prepared, id string) error {
			if _, err := s.Ledger.Create(s.t.Context(), newRun(p, id, Launch{}, time.Now())); err != nil {
				return err
			}
			_, _, err := s.read(s.t.Context(), p, id, Launch{})
			return err
		}, true},
		{"an hour ago", func(s *stand, p *prepared, id string) error {
			if _, err := s.Ledger.Create(s.t.Context(), newRun(p, id, Launch{}, time.Now())); err != nil {
				return err
			}
			_, err := s.Ledger.Turn(s.t.Context(), id, campaign.RunFailed, "the expansion was not completed", campaign.Expanding)
			return err
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			first := s.launch(Launch{}, "ada@example.org", "failed+1@example.org")
			o := Retry{State: campaign.Failed}
			p, err := s.prepareRetry(t.Context(), first, o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			died := campaign.RunID("news", time.Now().Add(-time.Minute))
			if tc.name != "before the name" {
				if named, err := s.Ledger.Once(t.Context(), p.once, died); err != nil || named != died {
					t.Fatalf("named %q, %v", named, err)
				}
			}
			if err := tc.dies(s, p, died); err != nil {
				t.Fatal(err)
			}
			run := s.retry(first, o)
			if (run == died) != tc.over {
				t.Errorf("made run %s, the one that died is %s", run, died)
			}
			s.want(run, "failed+1@example.org pending")
			s.refused(first, o, "once more before: run "+run)
		})
	}
}

// Two that ask the same thing at the same moment make one run, whatever stood
// in its place before.
func TestTwoAtTheSameMomentMakeOneRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		make func(s *stand) func(ctx context.Context) (Launched, error)
	}{
		{"launch after one that failed", func(s *stand) func(context.Context) (Launched, error) {
			def := s.def("")
			p, err := s.prepare(s.t.Context(), def, Launch{})
			if err != nil {
				s.t.Fatal(err)
			}
			defer p.close()
			failed := campaign.RunID("news", time.Now().Add(-time.Hour))
			if _, err := s.Ledger.Create(s.t.Context(), newRun(p, failed, Launch{}, time.Now())); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.Ledger.Turn(s.t.Context(), failed, campaign.RunFailed, "", campaign.Expanding); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.Ledger.Once(s.t.Context(), p.once, failed); err != nil {
				s.t.Fatal(err)
			}
			return func(ctx context.Context) (Launched, error) { return s.Launch(ctx, def, Launch{}) }
		}},
		{"retry", func(s *stand) func(context.Context) (Launched, error) {
			first := s.launch(Launch{}, "failed+1@example.org")
			return func(ctx context.Context) (Launched, error) {
				return s.Retry(ctx, first, Retry{State: campaign.Failed})
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
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
				case !errors.Is(err, ErrRefused):
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
// next launch would send to everybody a second time.
func TestALaunchThatComesToNothingTakesNoName(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	first := s.launch(Launch{}, "ada@example.org")
	no := errors.New("no")
	for _, o := range []Launch{{Again: true}, {Key: "k"}} {
		o.Confirm = func(Plan) error { return no }
		if _, err := s.Launch(t.Context(), s.def(""), o); !errors.Is(err, no) {
			t.Fatalf("got %v, want %v", err, no)
		}
		if before, err := s.LaunchedBefore(t.Context(), "news"); err != nil || before != first {
			t.Errorf("launched before is %q, %v; want %s", before, err, first)
		}
	}
	again := s.launch(Launch{Again: true}, "ada@example.org")
	if before, err := s.LaunchedBefore(t.Context(), "news"); err != nil || before != again {
		t.Errorf("launched before is %q, %v; want %s", before, err, again)
	}
}
