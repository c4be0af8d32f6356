package launch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/launch"
)

func TestRetryIsOfJustThoseWithTheContentOfTheRun(t *testing.T) {
	t.Parallel()
	s := newProject(t)
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
	s := newProject(t)
	first := s.launch(launch.Options{}, "failed+1@example.org", "failed+2@gmail.com")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Reason: "mailbox full"}, `failed with a reply like "mailbox full"`)
	one := s.retry(first, launch.RetryOptions{State: campaign.Failed, Reason: "Policy of GMAIL.com"})
	s.want(one, "failed+2@gmail.com pending")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Reason: "policy of gmail.com"}, "already retried: run "+one+", running")
	// Without the reason it is another retry. Recipients that are being sent to are left out.
	s.want(s.retry(first, launch.RetryOptions{State: campaign.Failed}), "failed+1@example.org pending")
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Again: true}, "all 2 of run "+first)
}

// A recipient that one run of a family has reached is not sent to by another one.
func TestRetryLeavesOutWhoHasGotItSince(t *testing.T) {
	t.Parallel()
	s := newProject(t)
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
	s := newProject(t)
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
	// The run mailed no recipient, so that it does not stand in the way of another one.
	if _, err := s.Suppression.Rm(t.Context(), "bounced+1@example.org"); err != nil {
		t.Fatal(err)
	}

	second := s.retry(first, launch.RetryOptions{State: campaign.Bounced})
	s.want(second, "bounced+1@example.org pending", "bounced+2@example.org suppressed")
	s.refused(first, launch.RetryOptions{State: campaign.Bounced}, "already retried: run "+second)
}

func TestRetryOfAStormIsOfThoseWhoseSuppressionWasTakenAway(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first := s.launch(launch.Options{}, "bounced+1@example.org", "bounced+2@gmail.com", "bounced+3@gmail.com", "storm@gmail.com")
	storm := launch.RetryOptions{State: campaign.Bounced, Reason: launch.ReasonStorm}
	s.refused(first, storm, "lane reset ACCOUNT/PROVIDER --discard")

	rec, err := s.Ledger.Record(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	var noted [][2]int
	s.each(first, func(address string, ref ledger.Ref, _ campaign.State) {
		if strings.HasSuffix(address, "@gmail.com") { // one of them was accepted
			noted = append(noted, [2]int{ref.Part, ref.Index})
		}
	})
	if ok, err := s.Ledger.NoteStorm(t.Context(), rec.Handle(), noted); !ok || err != nil {
		t.Fatalf("noted %v, %v", ok, err)
	}
	// Somebody has complained since.
	if _, err := s.Suppression.Add(t.Context(), suppression.Entry{Address: "bounced+3@gmail.com", Reason: suppression.ReasonComplaint}); err != nil {
		t.Fatal(err)
	}

	second := s.retry(first, storm)
	s.want(second, "bounced+2@gmail.com pending", "bounced+3@gmail.com suppressed")
	s.refused(first, storm, "already retried: run "+second)
	s.end(second, func(string) campaign.State { return campaign.Accepted })
	again := storm
	again.Again = true
	third := s.retry(first, again)
	s.want(third, "bounced+3@gmail.com suppressed")
	// The word means the storm only for those who bounced.
	s.refused(first, launch.RetryOptions{State: campaign.Failed, Reason: launch.ReasonStorm}, `failed with a reply like "storm"`)
}
