package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/campaign/token"
	"broadside/internal/testkit"
)

// web starts the web process on a port of its own and returns its address.
func (w *world) web() (*testkit.Proc, string) {
	w.t.Helper()
	port := testkit.Port(w.t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	w.env = append(w.env, fmt.Sprintf("PORT=%d", port), "BROADSIDE_PUBLIC_URL=http://"+addr)
	p := w.start("web")
	p.WaitLine("web started", 20*time.Second)
	return p, "http://" + addr
}

// TestAnUnsubscribeDuringARunIsObeyed presses the link of a message while the
// run goes on slowly: who is not yet claimed gets nothing, and the next run
// counts them as suppressed.
func TestAnUnsubscribeDuringARunIsObeyed(t *testing.T) {
	t.Parallel()
	const people = 300
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "    limits: {rate: 30/s}\n")})
	_, base := w.web()
	last := fmt.Sprintf(pattern, people-1)
	w.worker()
	run := w.launch()
	w.until(run, time.Minute, "under way", func(d document) bool { return d.Counts["accepted"] > 10 })
	link := base + "/u/" + unsubscribeToken(t, last, run)
	res, err := http.PostForm(link, url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("POST answers %s", res.Status)
	}
	d := w.finished(run, time.Minute)
	if d.Counts["suppressed"] != 1 || d.Counts["accepted"] != people-1 {
		t.Errorf("counts %v", d.Counts)
	}
	if n := sink.Accepted()[last]; n != 0 {
		t.Errorf("%s got %d messages after unsubscribing", last, n)
	}
	if d.After["unsubscribed"] != 1 {
		t.Errorf("after %v", d.After)
	}
	again := w.finished(w.launch("--again"), time.Minute)
	if again.Counts["suppressed"] != 1 {
		t.Errorf("next run: %v", again.Counts)
	}
}

// TestTheProcfilesProcessesSendAScheduledCampaign starts what the Procfile
// names, schedules a campaign, and stops everything with SIGTERM.
func TestTheProcfilesProcessesSendAScheduledCampaign(t *testing.T) {
	t.Parallel()
	const people = 200
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	w.env = append(w.env, fmt.Sprintf("PORT=%d", testkit.Port(t)))
	procs := map[string]*testkit.Proc{}
	for name, args := range procfile(t) {
		if name == "release" {
			w.run(0, args...)
			continue
		}
		procs[name] = w.start(args...)
	}
	for _, name := range []string{"web", "worker", "scheduler"} {
		if procs[name] == nil {
			t.Fatalf("the Procfile has no %s", name)
		}
		procs[name].WaitLine(name+" started", 20*time.Second)
	}
	at := time.Now().Add(3 * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	w.run(0, "campaign", "schedule", "campaign.yaml", "--at", at, "--yes")
	run := w.firstRun(time.Minute)
	d := w.finished(run, time.Minute)
	if d.Counts["accepted"] != people {
		t.Errorf("counts %v", d.Counts)
	}
	exactlyOnce(t, sink.Accepted(), people, pattern, 0)
	for _, p := range procs {
		p.Signal(syscall.SIGTERM)
	}
	for name, p := range procs {
		if code := p.Wait(25 * time.Second); code != 0 {
			t.Errorf("%s: exit code %d\n%s", name, code, p.Output())
		}
	}
}

// TestTwoSchedulersFireEachOccurrenceOnce lets a campaign be due every second,
// with two schedulers of which one is killed in the middle.
func TestTwoSchedulersFireEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	const occurrences = 20
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 2, accounts: account("sink", sink.Addr(), "")})
	yaml, err := os.ReadFile(filepath.Join(w.dir, "campaign.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("campaign.yaml", string(yaml)+"schedule: {cron: \"@every 1s\"}\n")
	a, b := w.start("scheduler"), w.start("scheduler")
	a.WaitLine("scheduler started", 20*time.Second)
	b.WaitLine("scheduler started", 20*time.Second)
	w.run(0, "campaign", "schedule", "campaign.yaml", "--yes")
	w.runs(occurrences/2, time.Minute)
	a.Kill()
	ids := w.runs(occurrences, time.Minute)
	w.run(0, "campaign", "unschedule", "news")
	// Every second between the first and the last occurrence has one run.
	seen := map[string]bool{}
	var first, last time.Time
	for _, id := range ids {
		if seen[id] {
			t.Errorf("run %s is listed twice", id)
		}
		seen[id] = true
		at, err := time.Parse("20060102T150405Z", strings.TrimPrefix(id, "news-"))
		if err != nil {
			t.Fatalf("run id %s: %v", id, err)
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if want := int(last.Sub(first)/time.Second) + 1; len(ids) != want {
		t.Errorf("%d runs for %d occurrences", len(ids), want)
	}
}

// runs waits until there are n runs and returns the ids of all.
func (w *world) runs(n int, limit time.Duration) []string {
	w.t.Helper()
	var list []document
	for range testkit.Tries(limit) {
		out, _ := w.run(0, "run", "list", "--json")
		list = nil
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			w.t.Fatalf("parse %q: %v", out, err)
		}
		if len(list) >= n {
			ids := make([]string, len(list))
			for i, d := range list {
				ids[i] = d.Run
			}
			return ids
		}
	}
	w.t.Fatalf("%d runs within %s, want %d", len(list), limit, n)
	return nil
}

func (w *world) firstRun(limit time.Duration) string { w.t.Helper(); return w.runs(1, limit)[0] }

// procfile reads the commands of the Procfile.
func procfile(t *testing.T) map[string][]string {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(root, "Procfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, command, ok := strings.Cut(s.Text(), ":")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		words := strings.Fields(command)
		if len(words) < 2 || !strings.HasSuffix(words[0], "broadside") {
			t.Fatalf("Procfile line %q", s.Text())
		}
		out[name] = words[1:]
	}
	return out
}

// unsubscribeToken is what stands in the message of a recipient who has not
// got it yet.
func unsubscribeToken(t *testing.T, address, run string) string {
	t.Helper()
	keys, err := token.NewKeys([]string{secret})
	if err != nil {
		t.Fatal(err)
	}
	return keys.Seal(token.Unsubscribe{Topic: "newsletter", Run: run, Address: address})
}
