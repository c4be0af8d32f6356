package e2e

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/token"
	"broadside/internal/testkit"
)

// followed opens the letter of one reader of a run and follows its links, until the report
// has it: the picture at once, the click when it has been held.
func (w *world) followed(base, run string) {
	w.t.Helper()
	keys, err := token.NewKeys([]string{secret})
	if err != nil {
		w.t.Fatal(err)
	}
	reader := string(keys.AppendReader(nil, run, 0, 1, time.Now().Add(-time.Minute)))
	link := string(keys.AppendLink(nil, token.Link{Number: 1, Of: 1, Target: "https://shop.example/"}))
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{token.OpenPath + reader: http.StatusOK, token.ClickPath + reader + link: http.StatusFound} {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		res, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != want {
			w.t.Fatalf("GET %s answers %s, %v, want %d", path, res.Status, err, want)
		}
	}

	type people struct {
		Total  int64 `json:"total"`
		People int64 `json:"people"`
	}
	type document struct {
		Tracking struct {
			Opens  people `json:"opens"`
			Clicks people `json:"clicks"`
		} `json:"tracking"`
	}
	var want, got document
	want.Tracking.Opens = people{1, 1}
	want.Tracking.Clicks = people{1, 1}
	for range testkit.Tries(30 * time.Second) {
		out, _ := w.run(0, "run", "show", run, "--json")
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			w.t.Fatalf("parse %q: %v", out, err)
		}
		if got == want {
			return
		}
	}
	w.t.Errorf("opens and clicks (-want +got):\n%s", cmp.Diff(want, got))
}
