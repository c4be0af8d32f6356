package launch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/failure"
	"broadside/internal/launch"
)

// A stand is a project whose runs are ended by hand: nobody sends.
type stand struct {
	*scheduling
	line *ledger.Line
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{scheduling: newScheduling(t)}
	s.line = s.Ledger.Line(s.Launcher.Store.Client(), s.Suppression)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.line.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// launch makes a run of some people and ends each as the local part says:
// failed, bounced, uncertain; else accepted.
func (s *stand) launch(o launch.Options, people ...string) string {
	s.t.Helper()
	s.write("people.csv", "email,first_name\n"+strings.Join(people, ",X\n")+",X\n")
	launched, err := s.Launcher.Launch(s.t.Context(), s.def(""), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.end(launched.Run, nil)
	return launched.Run
}

// each calls do for the recipients of a run.
func (s *stand) each(run string, do func(address string, ref ledger.Ref, state campaign.State)) {
	s.t.Helper()
	rec, err := s.Ledger.Record(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	h := rec.Handle()
	err = s.Runs.Each(s.t.Context(), h, func(part, index int, c ledger.Cell, row audience.Row) error {
		do(row.Address.String(), ledger.Ref{Run: h, Part: part, Index: index}, c.State)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// end ends everybody who is not; outcome says how, nil: by the local part.
func (s *stand) end(run string, outcome func(address string) campaign.State) {
	s.t.Helper()
	if outcome == nil {
		outcome = func(address string) campaign.State {
			word, _, _ := strings.Cut(address, "+")
			if state, ok := campaign.ParseState(word); ok {
				return state
			}
			return campaign.Accepted
		}
	}
	s.each(run, func(address string, ref ledger.Ref, state campaign.State) {
		if state.Final() {
			return
		}
		token := "w-" + ref.String()
		if _, err := s.line.Claim(s.t.Context(), ref, token, ledger.Person{}); err != nil {
			s.t.Fatal(err)
		}
		o := ledger.Outcome{State: outcome(address)}
		switch o.State {
		case campaign.Failed:
			o.Reply = ledger.Reply{Code: 554, Enhanced: "5.7.1", Text: "policy of " + address[strings.Index(address, "@")+1:]}
		case campaign.Bounced:
			o.Reply = ledger.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"}
		}
		if ok, err := s.line.Settle(s.t.Context(), ref, token, o); err != nil || !ok {
			s.t.Fatalf("settle %s: %v, %v", ref, ok, err)
		}
	})
}

// states returns who is in a run, and how it went: "address state".
func (s *stand) states(run string) []string {
	s.t.Helper()
	var all []string
	s.each(run, func(address string, _ ledger.Ref, state campaign.State) {
		all = append(all, address+" "+state.String())
	})
	slices.Sort(all)
	return all
}

func (s *stand) retry(run string, o launch.RetryOptions) string {
	s.t.Helper()
	launched, err := s.Launcher.Retry(s.t.Context(), run, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return launched.Run
}

// refused expects that a retry makes no run, and why.
func (s *stand) refused(run string, o launch.RetryOptions, why string) {
	s.t.Helper()
	before, _ := s.Ledger.List(s.t.Context(), "")
	launched, err := s.Launcher.Retry(s.t.Context(), run, o)
	if !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), why) {
		s.t.Errorf("retry of %s: got %+v, %v; want ErrRefused with %q", run, launched, err, why)
	}
	if after, _ := s.Ledger.List(s.t.Context(), ""); len(after) != len(before) {
		s.t.Errorf("there are runs %v, before %v", after, before)
	}
}

func (s *stand) want(run string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.states(run)); diff != "" {
		s.t.Errorf("recipients of %s (-want +got):\n%s", run, diff)
	}
}

func TestRetryIsOfJustThoseWithTheContentOfTheRun(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	first := s.launch(launch.Options{Rate: 7}, "ada@example.org", "failed+1@example.org", "failed+2@gmail.com", "bounced+1@example.org")
	s.write("letter.md", "# Another letter\n")
	retry := s.retry(first, launch.RetryOptions{State: campaign.Failed})
	s.want(retry, "failed+1@example.org pending", "failed+2@gmail.com pending")
	rec, err := s.Ledger.Record(t.Context(), retry)
	if err != nil {
		t.Fatal(err)
	}
	of, err := s.Ledger.Record(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Ledger.Snapshot(t.Context(), rec.Handle())
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Markdown != "# Hello {{.first_name}}\n" || snapshot.Rate != 7 || snapshot.Origin != "" {
		t.Errorf("content is %+v", snapshot)
	}
	if rec.Parent != first || rec.Campaign != "news" || !strings.HasPrefix(retry, "news-") || rec.Audience != "run:"+first+" failed" {
		t.Errorf("record is %+v", rec)
	}
	if diff := cmp.Diff([]any{of.Retry, of.Attempts, of.Expires}, []any{rec.Retry, rec.Attempts, rec.Expires}); diff != "" || rec.Attempts == 0 || len(rec.Retry) == 0 {
		t.Errorf("settings (-first +retry):\n%s", diff)
	}
	s.refused(retry, launch.RetryOptions{State: campaign.Failed}, "is running: only a run that is over")
	for run, want := range map[string][]string{first: {retry}, retry: nil} {
		if r, err := s.Runs.Report(t.Context(), run); err != nil || !slices.Equal(r.Linked, want) {
			t.Errorf("%s is followed by %v, %v; want %v", run, r.Linked, err, want)
		}
	}
}

func TestRetryByReason(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	first := s.launch(launch.Options{}, "failed+1@example.org", "failed+2@gmail.com")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Reason: "mailbox full"}, `failed with a reply like "mailbox full"`)
	one := s.retry(first, launch.RetryOptions{State: campaign.Failed, Reason: "Policy of GMAIL.com"})
	s.want(one, "failed+2@gmail.com pending")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Reason: "policy of gmail.com"}, "already retried: run "+one+", running")
	// Another question is not the same: who is being sent to is left out.
	s.want(s.retry(first, launch.RetryOptions{State: campaign.Failed}), "failed+1@example.org pending")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Again: true}, "all 2 of run "+first)
}

// Whoever has got it by one run of the family is not sent to by another one.
func TestRetryLeavesOutWhoHasGotItSince(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	first := s.launch(launch.Options{}, "failed+1@example.org", "failed+2@example.org", "failed+3@example.org")
	second := s.retry(first, launch.RetryOptions{State: campaign.Failed})
	s.end(second, func(address string) campaign.State {
		switch address {
		case "failed+1@example.org":
			return campaign.Accepted
		case "failed+2@example.org":
			return campaign.Uncertain
		}
		return campaign.Failed
	})
	s.want(second, "failed+1@example.org accepted", "failed+2@example.org uncertain", "failed+3@example.org failed")
	third := s.retry(first, launch.RetryOptions{State: campaign.Failed, Again: true})
	s.want(third, "failed+3@example.org pending")
	s.refused(second, launch.RetryOptions{State: campaign.Failed}, "all 1 of run "+second) // a sibling is at it
	s.end(third, nil)
	s.want(s.retry(second, launch.RetryOptions{State: campaign.Failed}), "failed+3@example.org pending")
	// And the campaign's latest run is the first one, with what follows it.
	def := s.def("")
	def.Exclude = []campaign.Exclusion{{Source: "run:news"}}
	launched, err := s.Launcher.Launch(t.Context(), def, launch.Options{Again: true})
	if err != nil {
		t.Fatal(err)
	}
	s.want(launched.Run, "failed+3@example.org pending")
}

func TestSuppressedAreLeftOutOfARetryAndCounted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	first := s.launch(launch.Options{}, "bounced+1@example.org", "bounced+2@example.org")
	for _, address := range []string{"bounced+1@example.org", "bounced+2@example.org"} {
		e := suppression.Entry{Address: address, Reason: suppression.ReasonBounce, Scope: suppression.All, Source: "smtp", Run: first, At: time.Now()}
		if _, err := s.Suppression.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	launched, err := s.Launcher.Retry(t.Context(), first, launch.RetryOptions{State: campaign.Bounced})
	if err != nil || launched.Plan.Total != 2 || launched.Plan.Suppressed != 2 {
		t.Fatalf("got %+v, %v", launched, err)
	}
	s.want(launched.Run, "bounced+1@example.org suppressed", "bounced+2@example.org suppressed")
	// It mailed nobody, so it is no reason not to do it now.
	if _, err := s.Suppression.Rm(t.Context(), "bounced+1@example.org"); err != nil {
		t.Fatal(err)
	}
	second := s.retry(first, launch.RetryOptions{State: campaign.Bounced})
	s.want(second, "bounced+1@example.org pending", "bounced+2@example.org suppressed")
	s.refused(first, launch.RetryOptions{State: campaign.Bounced}, "already retried: run "+second)
}
