package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// unsubscribe presses the button of address at base and returns the status, 0
// when there was no answer.
func unsubscribe(t *testing.T, base, address string) int {
	res, err := http.PostForm(base+"/u/"+unsubscribeToken(t, address, ""), url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// suppressedNow returns which of the addresses are on the list.
func (w *world) suppressedNow(addresses ...string) map[string]bool {
	w.t.Helper()
	out, _ := w.run(0, append([]string{"suppression", "check", "--json"}, addresses...)...)
	var results []struct {
		Address    string `json:"address"`
		Suppressed bool   `json:"suppressed"`
	}
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		w.t.Fatalf("parse %q: %v", out, err)
	}
	on := map[string]bool{}
	for _, r := range results {
		on[r.Address] = r.Suppressed
	}
	return on
}

// TestAnUnsubscribeSurvivesARedisThatGoesBack answers 200, and then gives Redis
// the append-only file of before: what the web process acknowledged comes back,
// and who was taken off the list since does not.
func TestAnUnsubscribeSurvivesARedisThatGoesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, setup{people: 1, redis: []string{"--appendonly", "yes", "--appendfsync", "everysec", "--dir", dir}})
	_, base := w.web()
	if code := unsubscribe(t, base, "early@example.org"); code != 200 {
		t.Fatalf("POST answers %d", code)
	}
	w.run(0, "suppression", "rm", "early@example.org")
	before := filepath.Join(t.TempDir(), "before")
	if err := os.CopyFS(before, os.DirFS(filepath.Join(dir, "appendonlydir"))); err != nil {
		t.Fatal(err)
	}
	if code := unsubscribe(t, base, "late@example.org"); code != 200 {
		t.Fatalf("POST answers %d", code)
	}
	w.redis.Kill()
	if code := unsubscribe(t, base, "away@example.org"); code != 503 {
		t.Errorf("POST answers %d while Redis is away, want 503", code)
	}
	if err := os.RemoveAll(filepath.Join(dir, "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "appendonlydir"), os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	w.redis.Start()
	back := false
	for range testkit.Tries(20 * time.Second) {
		if back = w.suppressedNow("late@example.org")["late@example.org"]; back {
			break
		}
	}
	if !back {
		t.Fatal("the unsubscribe that was answered 200 did not come back")
	}
	on := w.suppressedNow("early@example.org", "away@example.org")
	if on["early@example.org"] {
		t.Error("the replay has undone a removal")
	}
	if on["away@example.org"] {
		t.Error("suppressed, although the answer was 503")
	}
}

// TestAKilledWebKeepsWhatItAnswered kills web with SIGKILL while people
// unsubscribe: everyone who got a 200 is on the list.
func TestAKilledWebKeepsWhatItAnswered(t *testing.T) {
	t.Parallel()
	const rounds, clients = 3, 8
	w := newWorld(t, setup{people: 1})
	var mu sync.Mutex
	var answered []string
	for round := range rounds {
		var web *testkit.Proc
		web, base := w.web()
		var wg sync.WaitGroup
		enough := make(chan struct{})
		for c := range clients {
			wg.Go(func() {
				for i := 0; ; i++ {
					who := fmt.Sprintf("p%d-%d-%d@example.org", round, c, i)
					if unsubscribe(t, base, who) != 200 {
						return // it is dead
					}
					mu.Lock()
					answered = append(answered, who)
					if n := len(answered); n == 20*(round+1) {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Error("no answers")
		}
		web.Kill()
		wg.Wait()
	}
	on := w.suppressedNow(answered...)
	var lost []string
	for _, who := range answered {
		if !on[who] {
			lost = append(lost, who)
		}
	}
	if len(answered) < 20*rounds || len(lost) > 0 {
		t.Errorf("of %d that were answered 200, %d are not on the list: %s", len(answered), len(lost), strings.Join(lost, ", "))
	}
}
