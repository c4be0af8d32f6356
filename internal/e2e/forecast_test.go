package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// A forecastDocument is what a dry run prints of its forecast.
type forecastDocument struct {
	Finish   time.Time `json:"finish"`
	Forecast []struct {
		Provider   string    `json:"provider"`
		Recipients int       `json:"recipients"`
		Starts     time.Time `json:"starts"`
		Finish     time.Time `json:"finish"`
		Limit      string    `json:"limit"`
	} `json:"forecast"`
}

// TestForecast compares a run with what a dry run says of it: an account with a rate, and
// a lane with a ceiling that holds it up.
func TestForecast(t *testing.T) {
	const gmail, other = 240, 400
	// The slack is for a busy machine, and for the first connections.
	const slack = 500 * time.Millisecond
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "    limits: {rate: 200/s, connections: 10}\n    lanes: {gmail: {rate: 40/s}}\n")})
	var b strings.Builder
	b.WriteString("email,first_name,city\n")
	for i := range other {
		fmt.Fprintf(&b, "p%d@example.org,P,C\n", i)
		if i < gmail {
			fmt.Fprintf(&b, "p%d@gmail.com,P,C\n", i)
		}
	}
	w.write("people.csv", b.String())

	out, _ := w.run(0, "campaign", "launch", "campaign.yaml", "--dry-run", "--json")
	var plan forecastDocument
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatalf("parse %q: %v", out, err)
	}
	w.worker()
	w.finished(w.launch(), time.Minute)

	sink.Stats() // writes everything down
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, r := range sink.Records() {
		provider := "other"
		if strings.HasSuffix(r.Rcpt, "@gmail.com") {
			provider = "gmail"
		}
		if at, known := first[provider]; !known || r.At.Before(at) {
			first[provider] = r.At
		}
		if r.At.After(last[provider]) {
			last[provider] = r.At
		}
	}

	limits := map[string]string{}
	for _, lane := range plan.Forecast {
		limits[lane.Provider] = lane.Limit
		want := lane.Finish.Sub(lane.Starts)
		took := last[lane.Provider].Sub(first[lane.Provider])
		t.Logf("%s: %d recipients in %s, forecast %s", lane.Provider, lane.Recipients, took, want)
		if (took - want).Abs() > want/10+slack {
			t.Errorf("%s took %s, the forecast was %s", lane.Provider, took, want)
		}
	}
	if limits["gmail"] != "lane" || limits["other"] != "rate" {
		t.Errorf("bounded by %v, want gmail by its lane and the others by the rate", limits)
	}
}
