package e2e

import (
	"fmt"
	"net/http"
	"net/url"
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

// runs waits until there are n runs and returns the ids of all.
func (w *world) runs(n int, limit time.Duration) []string {
	w.t.Helper()
	var list []document
	for range testkit.Tries(limit) {
		if list = w.list(); len(list) >= n {
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
