package e2e

import (
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestARunWaitsForItsWindow launches a campaign whose window opens in two days, and one
// whose window is open.
func TestARunWaitsForItsWindow(t *testing.T) {
	t.Parallel()
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 50, accounts: account("sink", sink.Addr(), "")})
	file := func(name, window string) string {
		t.Helper()
		w.write(name+".yaml", strings.ReplaceAll(`id: NAME
topic: newsletter
from: Acme News <news@acme.example>
subject: Hello
timezone: UTC
audience: {source: people.csv}
content: {markdown: letter.md}
schedule: {window: `+window+`}
`, "NAME", name))
		return name + ".yaml"
	}
	launch := func(file string) string {
		t.Helper()
		out, _ := w.run(0, "campaign", "launch", file, "--json", "--yes")
		return parseDocument(t, out).Run
	}

	later := time.Now().UTC().AddDate(0, 0, 2)
	closed := launch(file("later", later.Weekday().String()[:3]+" 10:00-11:00"))
	open := launch(file("now", "00:00-24:00"))
	w.worker()
	w.finished(open, time.Minute)

	d := w.until(closed, 20*time.Second, "waiting for its window", func(d document) bool { return len(d.Waiting) > 0 && d.Waiting[0].For == "window" })
	opens := time.Date(later.Year(), later.Month(), later.Day(), 10, 0, 0, 0, time.UTC)
	if wait := d.Waiting[0]; wait.What != "later" || wait.Code != "BS-WINDOW" || !wait.Until.Equal(opens) {
		t.Errorf("it waits for %+v, want until %s", wait, opens)
	}
	if d.Counts["pending"] != 50 || sink.Count() != 50 {
		t.Errorf("%v, and %d messages at the sink, want 50 of the other run", d.Counts, sink.Count())
	}
}

// TestARunIsSpreadOverATime looks at the first seconds of a run that is spread over a
// minute.
func TestARunIsSpreadOverATime(t *testing.T) {
	t.Parallel()
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 300, accounts: account("sink", sink.Addr(), "")})
	w.write("campaign.yaml", `id: news
topic: newsletter
from: Acme News <news@acme.example>
subject: Hello
audience: {source: people.csv}
content: {markdown: letter.md}
schedule: {spread: 1m}
`)
	w.worker()
	w.launch()
	first := firstOf(t, sink)
	<-time.After(time.Until(first.Add(4 * time.Second)))
	at := acceptedAt(sink, "")
	isCeiling(t, "the run", at, 5, time.Second)
	if len(at) < 12 {
		t.Errorf("%d messages in 4 s, want 5 in each", len(at))
	}
}
