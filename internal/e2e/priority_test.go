package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

const (
	// overtaken is how much longer than alone a run of high priority takes in the middle
	// of bulk mail at most.
	overtaken = 2 * time.Second
	// busySlack is what a busy machine adds: the commands and workers of this test share
	// its processors with bulk mail, which takes all that it can.
	busySlack = time.Second
)

// bulkMail is how many recipients a bulk run has: 100,000 when BROADSIDE_LONG_RATES is set.
func bulkMail(short int) int {
	if rateTime(0, 1) > 0 {
		return 100_000
	}
	return short
}

// people returns n addresses, whose local parts begin with a name, at some domains in turn.
func people(n int, name string, domains ...string) (to []string) {
	for i := range n {
		to = append(to, fmt.Sprintf("%s%d@%s", name, i, domains[i%len(domains)]))
	}
	return to
}

// newsletter writes another campaign, ID.yaml, with its audience; more are lines of YAML.
func (w *world) newsletter(id string, to []string, more string) {
	w.t.Helper()
	w.write(id+".yaml", "id: "+id+`
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience: {source: `+id+`.csv}
content: {markdown: letter.md}
`+more)
	w.write(id+".csv", "email,first_name,city\n"+strings.Join(to, ",Ada,London\n")+",Ada,London\n")
}

// launchAs launches a campaign that newsletter has written.
func (w *world) launchAs(id string) (run string) {
	w.t.Helper()
	out, _ := w.run(0, "campaign", "launch", id+".yaml", "--again", "--json")
	return parseDocument(w.t, out).Run
}

// takenOf returns when the messages arrived, since a moment, of those whose addresses
// begin with a name.
func takenOf(sink *testkit.RecSink, name string, since time.Time) (at []time.Time) {
	for _, r := range sink.Records() {
		if r.Kind == 'A' && strings.HasPrefix(r.Rcpt, name) && r.At.After(since) {
			at = append(at, r.At)
		}
	}
	return at
}

// TestHighPriorityOvertakesBulkMail launches a run of 100 recipients in the middle of two
// bulk runs. It takes hardly longer than alone, whatever bounds the pace. If it only took
// turns with the others it would take three times as long.
func TestHighPriorityOvertakesBulkMail(t *testing.T) {
	domains := []string{"gmail.com", "outlook.com", "example.org", "one.example", "two.example"}
	for _, c := range []struct {
		name, limits string
		workers      int
		bulk         int    // recipients of each bulk run
		more         string // of the first bulk campaign
	}{
		{"as fast as the server takes it", "    limits: {connections: 8}\n", 2, 40_000, ""},
		{"a rate", "    limits: {rate: 50/s, connections: 8}\n", 2, 5_000, ""},
		{"a bulk run with a rate of its own", "    limits: {rate: 50/s, connections: 8}\n", 2, 5_000, "delivery: {rate: 45/s}\n"},
		{"lanes with rates", "    limits: {rate: 50/s, connections: 8}\n    lanes: {gmail: {rate: 5/s}, example.org: {rate: 5/s}}\n", 2, 5_000, ""},
		{"lanes with few connections", "    limits: {connections: 8}\n    lanes: {gmail: {connections: 2}, outlook: {connections: 1}}\n", 2, 40_000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			const urgent = 100
			sink := testkit.NewRecsink(t)
			w := newWorld(t, setup{accounts: account("sink", sink.Addr(), c.limits)})
			w.newsletter("alert", people(urgent, "urgent", domains...), "priority: high\n")
			w.newsletter("news", people(bulkMail(c.bulk), "bulk-a", domains...), c.more)
			w.newsletter("offer", people(bulkMail(c.bulk), "bulk-b", domains...), "")
			for range c.workers {
				w.quietWorker()
			}

			takes := func() time.Duration {
				launched := time.Now()
				w.finished(w.launchAs("alert"), time.Minute)
				at := takenOf(sink, "urgent", launched)
				if len(at) != urgent {
					t.Fatalf("%d messages of high priority arrived, want %d", len(at), urgent)
				}
				return at[urgent-1].Sub(launched)
			}
			alone := takes()
			w.launchAs("news")
			w.launchAs("offer")
			const under = 50 // of each
			for range testkit.Tries(time.Minute) {
				if len(takenOf(sink, "bulk-a", time.Time{})) > under && len(takenOf(sink, "bulk-b", time.Time{})) > under {
					break
				}
			}

			among := takes()
			sent := len(takenOf(sink, "bulk", time.Time{}))
			t.Logf("alone %s, among bulk mail %s, of which %d were sent by then", alone, among, sent)
			if sent < 2*under || sent >= 2*bulkMail(c.bulk) {
				t.Errorf("%d of %d messages of bulk mail were sent: it was not under way", sent, 2*bulkMail(c.bulk))
			}
			if limit := alone + overtaken + busySlack; among > limit {
				t.Errorf("%s among bulk mail, %s alone: expected at most %s", among, alone, limit)
			}
		})
	}
}

// TestTestCopiesOvertakeBulkMail sends copies while an account has all it can do.
func TestTestCopiesOvertakeBulkMail(t *testing.T) {
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 20_000, accounts: account("sink", sink.Addr(), "    limits: {rate: 200/s, connections: 8}\n")})
	for range 2 {
		w.quietWorker()
	}
	w.launch()
	firstOf(t, sink)
	begun := time.Now()
	w.run(0, "campaign", "test", "campaign.yaml", "--to", "editor@acme.example")
	at := takenOf(sink, "editor", begun)
	if len(at) == 0 {
		t.Fatal("no copy arrived")
	}
	if took := at[len(at)-1].Sub(begun); took > time.Second+busySlack {
		t.Errorf("the copies took %s", took)
	}
}

// TestRunsOfOnePriorityShareARate launches a small run in the middle of a large one. From
// its first message to its last it has about half of the messages of the account.
func TestRunsOfOnePriorityShareARate(t *testing.T) {
	const rate, small = 100, 300
	domains := []string{"gmail.com"} // one lane: several do not have exactly the same part
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), fmt.Sprintf("    limits: {rate: %d/s, connections: 8}\n", rate))})
	w.newsletter("large", people(3000, "large", domains...), "")
	w.newsletter("small", people(small, "small", domains...), "")
	w.quietWorker() // one: several do not have exactly the same part of the rate
	w.launchAs("large")
	firstOf(t, sink)
	launched := time.Now()
	w.finished(w.launchAs("small"), time.Minute)

	at := takenOf(sink, "small", launched)
	if len(at) != small {
		t.Fatalf("%d messages of the small run arrived, want %d", len(at), small)
	}
	first, last := at[0], at[small-1]
	others := 0
	for _, at := range takenOf(sink, "large", first) {
		if at.Before(last) {
			others++
		}
	}
	share := float64(small) / float64(small+others)
	t.Logf("the small run had %.1f %% of %d messages in %s, the first after %s", 100*share, small+others, last.Sub(first), first.Sub(launched))
	// Ten points for what was under way at the beginning, and for a busy machine. First come,
	// first served would be less than ten percent.
	if share < 0.4 || share > 0.6 {
		t.Errorf("the small run had %.1f %% of the messages, expected half", 100*share)
	}
}
