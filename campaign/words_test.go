package campaign_test

import (
	"testing"
	"time"

	"broadside/campaign"
)

func TestStates(t *testing.T) {
	t.Parallel()
	final := map[campaign.State]bool{
		campaign.Accepted: true, campaign.Bounced: true, campaign.Failed: true,
		campaign.Suppressed: true, campaign.Cancelled: true, campaign.Uncertain: true,
	}
	counts := campaign.Counts{}
	for i, s := range campaign.States {
		counts[s] = int64(1) << i
		if back, ok := campaign.ParseState(s.String()); !ok || back != s {
			t.Errorf("ParseState(%q) = %v, %v, want %v", s, back, ok, s)
		}
		if s.Final() != final[s] {
			t.Errorf("%s: final is %v, want %v", s, s.Final(), final[s])
		}
	}

	if _, ok := campaign.ParseState("unknown"); ok || campaign.State('?').String() != "unknown" {
		t.Error("an unknown state has a word")
	}

	var closed int64
	for s := range final {
		closed += counts[s]
	}

	if got, want := counts.Open()+closed, counts.Total(); got != want {
		t.Errorf("open and final states add up to %d, want %d", got, want)
	}
	if got, want := counts.Report(campaign.Pending), counts[campaign.Pending]+counts[campaign.Issued]; got != want {
		t.Errorf("reported pending %d, want %d", got, want)
	}
	if got, want := counts.Report(campaign.Accepted), counts[campaign.Accepted]; got != want {
		t.Errorf("reported accepted %d, want %d", got, want)
	}
}

func TestProviderOf(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]campaign.Provider{
		"gmail.com": "gmail", "googlemail.com": "gmail", "hotmail.fr": "microsoft", "yahoo.co.uk": "yahoo", "web.de": "gmx",
		"acme.example": campaign.Other, "yahoo.evil.example": campaign.Other, "gmail.com.example": campaign.Other, "": campaign.Other, "live": campaign.Other,
	} {
		if got := campaign.ProviderOf(domain); got != want {
			t.Errorf("ProviderOf(%q) = %q, want %q", domain, got, want)
		}
		if got := campaign.Providers[campaign.PartOf(domain)]; got != want {
			t.Errorf("PartOf(%q) is the part of %q, want %q", domain, got, want)
		}
	}
}

func TestRunID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 9, 0, 0, 0, time.FixedZone("", 2*3600))
	if got, want := campaign.RunID("october-news", at), "october-news-20261001T070000Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	for s, want := range map[campaign.RunState]bool{
		campaign.Expanding: false, campaign.Running: false, campaign.Paused: false, campaign.Held: false,
		campaign.RunCancelled: true, campaign.Finished: true, campaign.RunFailed: true,
	} {
		if s.Over() != want {
			t.Errorf("%s: over is %v, want %v", s, s.Over(), want)
		}
	}
}

func TestOfRunFindsTheCampaign(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	for _, id := range []string{"october-news", "a", "x-20200101T000000Z"} {
		run := campaign.RunID(id, at)
		for _, run := range []string{run, run + "-2"} {
			if got := campaign.OfRun(run); got != id {
				t.Errorf("OfRun(%q) = %q, want %q", run, got, id)
			}
		}
	}

	if got := campaign.OfRun("odd"); got != "odd" {
		t.Errorf("OfRun(odd) = %q", got)
	}
}
