package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"broadside/campaign"
)

// A Paint returns text that is, or begins with, a word for how things are, as
// "failed" or "warning: ...", with the colour of that word around it.
type Paint func(text string) string

func plainPaint(text string) string { return text }

// Text writes the report for a terminal: no colour but those of paint, which may
// be nil, no control characters, numbers in plain digits.
func Text(w io.Writer, r Run, paint Paint) error {
	if paint == nil {
		paint = plainPaint
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s  %s\n", r.Run, paint(string(r.State)))
	if r.Reason != "" {
		fmt.Fprintln(&b, paint("reason: "+Redact(r.Reason)))
	}
	if r.Canary != nil {
		fmt.Fprintln(&b, paint(r.Canary.String()))
	}
	for _, w := range r.Waiting {
		fmt.Fprintln(&b, paint("waits for "+w.String()))
	}
	b.WriteByte('\n')
	var facts [][]string
	for _, f := range r.facts(r.From) {
		facts = append(facts, []string{f.Name, f.Value})
	}
	table(&b, "ll", facts, plainPaint)
	textCounts(&b, r, paint)
	textWaves(&b, r)
	textParts(&b, r.Parts)
	textReplies(&b, r.Replies, paint)
	textReturns(&b, r)
	return write(w, b.Bytes())
}

func textCounts(b *bytes.Buffer, r Run, paint Paint) {
	lines := stateLines(r.Counts, r.Total)
	fmt.Fprintf(b, "\n%d rows read = %s\n", r.Rows(), sum(r.rowLines(), plain))
	fmt.Fprintf(b, "%d recipients = %s\n\n", r.Total, sum(lines, plain))
	for _, w := range r.warnings() {
		fmt.Fprintf(b, "%s\n\n", paint("warning: "+w))
	}
	textLines(b, lines, paint)
	if after := r.afterLines(); len(after) > 0 {
		b.WriteString("\nafter they were accepted:\n")
		textLines(b, after, paint)
	}
	textTracking(b, r, paint)
}

func textTracking(b *bytes.Buffer, r Run, paint Paint) {
	lines := r.trackingLines(plain)
	if len(lines) == 0 {
		return
	}
	b.WriteString("\nopens and clicks (docs/tracking.md says what they can tell):\n")
	textLines(b, lines, paint)
	for _, rows := range r.trackingTables(plain) {
		for i, name := range rows[0] {
			rows[0][i] = strings.ToUpper(name)
		}
		b.WriteByte('\n')
		table(b, "l"+strings.Repeat("r", len(rows[0])-1), rows, plainPaint)
	}
}

func textLines(b *bytes.Buffer, lines []line, paint Paint) {
	rows := make([][]string, 0, len(lines))
	counts := map[string]int64{}
	for _, l := range lines {
		counts[l.Word] = l.Count
		rows = append(rows, []string{l.Word, plain(l.Count), l.Share(), l.Note})
	}
	table(b, "srrl", rows, func(word string) string {
		if counts[word] == 0 {
			return word
		}
		return paint(word)
	})
}

// textParts writes a row for each provider and a column for each state that
// somebody is in.
func textParts(b *bytes.Buffer, parts []Part) {
	if len(parts) == 0 {
		return
	}
	used := usedStates(parts)
	head := []string{"PROVIDER", "TOTAL"}
	for _, s := range used {
		head = append(head, strings.ToUpper(s.String()))
	}
	rows := [][]string{head}
	for _, p := range parts {
		row := []string{string(p.Provider), plain(p.Total)}
		for _, s := range used {
			row = append(row, plain(p.Counts.Report(s)))
		}
		rows = append(rows, row)
	}
	b.WriteByte('\n')
	table(b, "l"+strings.Repeat("r", len(used)+1), rows, plainPaint)
}

// usedStates returns the states that anybody of the parts is in, accepted
// always.
func usedStates(parts []Part) []campaign.State {
	var used []campaign.State
	for _, s := range states {
		var n int64
		for _, p := range parts {
			n += p.Counts.Report(s)
		}
		if n > 0 || s == campaign.Accepted {
			used = append(used, s)
		}
	}
	return used
}

func textReplies(b *bytes.Buffer, replies []ReplyCount, paint Paint) {
	if len(replies) == 0 {
		return
	}
	rows := [][]string{{"REPLIES", "STATE", "CODE", "FOR EXAMPLE"}}
	for _, c := range replies {
		rows = append(rows, []string{plain(c.Count), c.State.String(), c.result(), Redact(c.Text)})
	}
	b.WriteByte('\n')
	table(b, "rsll", rows, paint)
}

// textReturns writes what came back, by day and provider, and what was said.
func textReturns(b *bytes.Buffer, r Run) {
	if rows := r.returnRows(plain); rows != nil {
		for i, name := range rows[0] {
			rows[0][i] = strings.ToUpper(name)
		}
		b.WriteByte('\n')
		table(b, "ll"+strings.Repeat("r", len(rows[0])-2), rows, plainPaint)
	}
	if len(r.ReturnTexts) == 0 {
		return
	}
	rows := [][]string{{"CAME BACK", "KIND", "TEXT"}}
	for _, t := range r.ReturnTexts {
		rows = append(rows, []string{plain(t.Count), string(t.Kind), t.shown()})
	}
	b.WriteByte('\n')
	table(b, "rll", rows, plainPaint)
}

// table writes rows of equal length, two spaces apart and two from the left;
// align has an l or r for each column, and an s for one of states, on the left
// and painted.
func table(b *bytes.Buffer, align string, rows [][]string, paint Paint) {
	widths := make([]int, len(align))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var out strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch align[i] {
			case 'r':
				out.WriteString("  " + pad + cell)
			case 's':
				out.WriteString("  " + paint(cell) + pad)
			default:
				out.WriteString("  " + cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
	}
}

func write(w io.Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
