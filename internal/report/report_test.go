package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

// october is a finished run with some of everything.
func october() report.Run {
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	return report.Run{
		Run: "october-news-20261001T070000Z", Campaign: "october-news", State: campaign.Finished,
		Subject: "[first_name], our <October> news", From: "Acme News <news@acme.example>",
		Topic: "newsletter", Audience: "subscribers.csv", Accounts: []string{"ses-main", "local"},
		Total: 12345,
		Counts: campaign.Counts{
			campaign.Accepted: 12010, campaign.Bounced: 150, campaign.Failed: 42, campaign.Suppressed: 140, campaign.Uncertain: 3,
		},
		After: report.After{Delivered: 11800, Bounced: 21, Complained: 4, Unsubscribed: 63},
		Returns: []report.Return{
			{"2026-10-01", "gmail", campaign.EventDelivered, 7900},
			{"2026-10-01", "gmail", campaign.EventComplained, 4},
			{"2026-10-01", "other", campaign.EventDelivered, 3900},
			{"2026-10-01", "other", campaign.EventBounced, 20},
			{"2026-10-02", "other", campaign.EventBounced, 1},
			{"2026-10-02", "gmail", campaign.EventUnsubscribed, 63},
		},
		ReturnTexts: []report.ReturnText{
			{campaign.EventBounced, "550 5.1.1 <(address)>: user unknown | #", 18}, {campaign.EventBounced, "", 3},
		},
		Skipped:   campaign.Skipped{Invalid: 12, Duplicate: 8, Excluded: 10},
		CreatedAt: at, FirstAcceptedAt: at.Add(1250 * time.Millisecond), LastAcceptedAt: at.Add(4*time.Minute + 1250*time.Millisecond),
		FinishedAt: at.Add(2*time.Hour + 5*time.Minute),
		Parts: []report.Part{
			{"gmail", 8000, campaign.Counts{campaign.Accepted: 7900, campaign.Bounced: 60, campaign.Suppressed: 40}},
			{"microsoft", 345, campaign.Counts{campaign.Accepted: 300, campaign.Failed: 42, campaign.Uncertain: 3}},
			{"other", 4000, campaign.Counts{campaign.Accepted: 3810, campaign.Bounced: 90, campaign.Suppressed: 100}},
		},
		Replies: []report.ReplyCount{
			{550, "5.1.1", "<reader@gone.example>: Recipient address rejected: User unknown | see https://help.example/?to=reader%40gone.example", campaign.Bounced, 150},
			{554, "5.7.1", "Message\r\nblocked \x1b[31mby policy\u202e", campaign.Failed, 40},
			{0, "", "connection closed after the final dot", campaign.Uncertain, 3},
		},
	}
}

// followed is a run whose campaign counts opens and clicks.
func followed() report.Run {
	r := october()
	r.Run = "september-news-20260901T070000Z"
	r.Tracking = &report.Tracking{
		Opens: &report.Opens{Total: 5120, People: 3004, Google: 2900, Yahoo: 210, Apple: 4010, ApplePeople: 3990},
		Clicks: &report.Clicks{Total: 870, People: 612, Pending: 3, Links: []report.LinkClicks{
			{URL: "https://acme.example/season", Clicks: 800},
			{URL: "https://acme.example/?who=[first_name]&to=reader@example.com|<b>", Clicks: 70},
		}},
		Machines: []report.Machine{{Reason: "agent", Clicks: 120}, {Reason: "burst", Clicks: 1204}, {Reason: "soon", Opens: 33, Clicks: 410}},
		Parts:    []report.PartEngagement{{Provider: "other", Opens: 1900, Apple: 2000, Clicks: 300}, {Provider: "gmail", Opens: 3220, Apple: 2010, Clicks: 570}},
	}
	return r
}

// november is a run that is paused half way.
func november() report.Run {
	at := time.Date(2026, 11, 1, 9, 0, 0, 123456789, time.FixedZone("CET", 3600))
	return report.Run{
		Run: "november-news-20261101T080000Z", Campaign: "november-news", State: campaign.Paused,
		Reason:  "bounces above 5% at <reader@example.com>",
		Subject: "=1+1", From: "news@acme.example", Topic: "newsletter", Audience: "list:members", Accounts: []string{"ses-main"},
		Parent: "october-news-20261001T070000Z", Linked: []string{"november-news-20261102T080000Z", "november-news-20261103T080000Z"},
		Total: 2000,
		Counts: campaign.Counts{
			campaign.Accepted: 1000, campaign.Deferred: 30, campaign.Bounced: 70, campaign.Pending: 800, campaign.Issued: 90, campaign.Sending: 10,
		},
		Skipped:   campaign.Skipped{Limited: 500},
		CreatedAt: at, FirstAcceptedAt: at.Add(time.Second), LastAcceptedAt: at.Add(31 * time.Second), ReadAt: at.Add(time.Minute),
	}
}

// waved is a run whose recipients get the message by their own clocks, while most of them
// wait.
func waved() report.Run {
	at := time.Date(2026, 9, 30, 19, 0, 0, 0, time.UTC)
	return report.Run{
		Run: "october-news-20260930T190000Z", Campaign: "october-news", State: campaign.Running,
		Subject: "October", From: "Acme News <news@acme.example>", Topic: "newsletter", Audience: "subscribers.csv", Accounts: []string{"ses-main"},
		Waves: []campaign.Wave{
			{At: at, Recipients: 12, Zones: []string{"Pacific/Kiritimati"}},
			{At: at.Add(5 * time.Hour), Recipients: 300, Zones: []string{"Asia/Seoul", "Asia/Tokyo"}},
			{At: at.Add(12 * time.Hour), Recipients: 4000, Zones: []string{"Europe/Berlin", "Europe/Madrid", "Europe/Paris", "Europe/Rome", "Europe/Vienna"}, More: 9},
		},
		Waiting: []report.Wait{{For: report.ForSlot, What: "october-news", Code: codes.Slot, Reason: "BS-SLOT: each recipient gets it by their own clock", Until: at.Add(12 * time.Hour)}},
		Total:   4312, Counts: campaign.Counts{campaign.Accepted: 312, campaign.Pending: 4000}, Skipped: campaign.Skipped{Passed: 5},
		CreatedAt: at, FirstAcceptedAt: at.Add(time.Second), LastAcceptedAt: at.Add(5*time.Hour + 20*time.Second), ReadAt: at.Add(6 * time.Hour),
	}
}

// The local time of a wave is shown where all of its clocks show the same.
func TestLocalTimesOfWaves(t *testing.T) {
	t.Parallel()
	for want, zones := range map[string][]string{
		"| Thu 04:00 |": {"Asia/Seoul", "Asia/Tokyo"},
		"| differs |":   {"Asia/Tokyo", "Europe/Berlin"},
		"|  |":          {"Mars/Phobos"},
	} {
		r := waved()
		r.Waves = r.Waves[:1]
		r.Waves[0].Zones = zones
		var got bytes.Buffer
		if err := report.Markdown(&got, r); err != nil {
			t.Fatal(err)
		}
		if want = "| 2026-09-30 19:00:00 UTC " + want; !strings.Contains(got.String(), want) {
			t.Errorf("%v: got\n%s\nwant %q", zones, got.String(), want)
		}
	}
}

// A wave that a run did not live to see has neither begun nor is to come.
func TestWavesAfterTheEndOfARun(t *testing.T) {
	t.Parallel()
	r := waved()
	r.State = campaign.RunCancelled
	r.FinishedAt = r.Waves[1].At
	r.ReadAt = r.Waves[2].At.Add(time.Hour)
	var got bytes.Buffer
	if err := report.Markdown(&got, r); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"| 300 | begun | Asia/Seoul", "| 4,000 |  | Europe/Berlin"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("got\n%s\nwant %q", got.String(), want)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	text := func(w io.Writer, runs ...report.Run) error { return report.Text(w, runs[0], nil) }
	document := func(w io.Writer, runs ...report.Run) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(runs[0])
	}
	failed := report.Run{Run: "spring-20260301T000000Z", Campaign: "spring", State: campaign.RunFailed, Reason: "subscribers.csv:7: NUL byte", CreatedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct {
		render func(io.Writer, ...report.Run) error
		runs   []report.Run
	}{
		"finished.txt":  {text, []report.Run{october()}},
		"paused.txt":    {text, []report.Run{november()}},
		"failed.txt":    {text, []report.Run{failed}},
		"finished.json": {document, []report.Run{october()}},
		"paused.json":   {document, []report.Run{november()}},
		"failed.json":   {document, []report.Run{failed}},
		"finished.html": {report.HTML, []report.Run{october()}},
		"failed.html":   {report.HTML, []report.Run{failed}},
		"compared.html": {report.HTML, []report.Run{october(), november()}},
		"followed.txt":  {text, []report.Run{followed()}},
		"followed.json": {document, []report.Run{followed()}},
		"followed.html": {report.HTML, []report.Run{followed()}},
		"followed.md":   {report.Markdown, []report.Run{followed()}},
		"followed.csv":  {report.CSV, []report.Run{followed()}},
		"tracked.md":    {report.Markdown, []report.Run{followed(), november()}},
		"finished.md":   {report.Markdown, []report.Run{october()}},
		"compared.md":   {report.Markdown, []report.Run{october(), november()}},
		"compared.csv":  {report.CSV, []report.Run{october(), november()}},
		"none.csv":      {report.CSV, nil},
		"waved.txt":     {text, []report.Run{waved()}},
		"waved.json":    {document, []report.Run{waved()}},
		"waved.html":    {report.HTML, []report.Run{waved()}},
		"waved.md":      {report.Markdown, []report.Run{waved()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := c.render(&got, c.runs...); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}
