package report_test

import (
	"bytes"
	"strings"
	"testing"

	"broadside/internal/report"
)

// TestPainted: paint sees the words for how things are, those of no one left out,
// and moves no column.
func TestPainted(t *testing.T) {
	t.Parallel()
	r := october()
	r.Counts = nil
	r.Reason, r.Total = "BS-OPERATOR: paused", 0
	mark := func(text string) string { return "<" + text + ">" }
	for name, c := range map[string]struct {
		run        report.Run
		want, less string
	}{
		"state":   {october(), "20261001T070000Z  <finished>\n", ""},
		"counts":  {october(), "\n  <bounced>       150", "<deferred>"},
		"replies": {october(), "    40  <failed>     554", ""},
		"reason":  {r, "<reason: BS-OPERATOR: paused>", "<accepted>"},
		"doubts":  {r, "<warning: The providers", ""},
	} {
		var b bytes.Buffer
		if err := report.Text(&b, c.run, mark); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); !strings.Contains(got, c.want) || c.less != "" && strings.Contains(got, c.less) {
			t.Errorf("%s: want %q, and not %q, in\n%s", name, c.want, c.less, got)
		}
	}
}
