package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

var errNoRuns = errors.New("render report: there is no run to report")

// Markdown writes the report as GitHub-flavoured Markdown. Several runs are
// compared in a table before each is shown.
func Markdown(w io.Writer, runs ...Run) error {
	if len(runs) == 0 {
		return errNoRuns
	}
	var b bytes.Buffer
	if len(runs) > 1 {
		markdownComparison(&b, runs)
	}
	for _, r := range runs {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		markdownRun(&b, r)
	}
	return write(w, b.Bytes())
}

func markdownComparison(b *bytes.Buffer, runs []Run) {
	c := compare(runs)
	fmt.Fprintf(b, "# %d runs compared\n\n", len(runs))
	names, align := []string{""}, "l"
	for _, h := range c.Heads {
		names = append(names, fmt.Sprintf("%s (%s)", h.Run, h.State))
		align += "r"
	}
	rows := make([][]string, 0, len(c.Rows))
	for _, row := range c.Rows {
		cells := []string{row.Name}
		for _, cell := range row.Cells {
			text := cell.Text
			if cell.Share != "" {
				text += " (" + cell.Share + ")"
			}
			cells = append(cells, text)
		}
		rows = append(rows, cells)
	}
	markdownTable(b, align, names, rows)
}

func markdownRun(b *bytes.Buffer, r Run) {
	fmt.Fprintf(b, "# %s: %s\n\n", escape(r.Run), escape(string(r.State)))
	if r.Reason != "" {
		fmt.Fprintf(b, "**Reason:** %s\n\n", escape(Redact(r.Reason)))
	}
	for _, f := range r.facts(sender(r.From)) {
		fmt.Fprintf(b, "- %s: %s\n", f.Name, escape(f.Value))
	}
	lines := stateLines(r.Counts, r.Total)
	fmt.Fprintf(b, "\n%s rows read = %s\\\n", grouped(r.Rows()), sum(r.rowLines(), grouped))
	fmt.Fprintf(b, "%s recipients = %s\n\n", grouped(r.Total), sum(lines, grouped))
	for _, w := range r.warnings() {
		fmt.Fprintf(b, "**Warning:** %s\n\n", w)
	}
	markdownLines(b, lines)
	if after := r.afterLines(); len(after) > 0 {
		b.WriteString("\n## After they were accepted\n\n")
		markdownLines(b, after)
	}
	markdownWaves(b, r)
	markdownTracking(b, r)
	markdownParts(b, r.Parts)
	markdownReplies(b, r.Replies)
	markdownReturns(b, r)
}

func markdownReturns(b *bytes.Buffer, r Run) {
	if rows := r.returnRows(grouped); rows != nil {
		b.WriteString("\n## What came back, by day\n\n")
		markdownTable(b, "ll"+strings.Repeat("r", len(rows[0])-2), rows[0], rows[1:])
	}
	if len(r.ReturnTexts) == 0 {
		return
	}
	var rows [][]string
	for _, t := range r.ReturnTexts {
		rows = append(rows, []string{grouped(t.Count), string(t.Kind), t.shown()})
	}
	b.WriteString("\n## What was said about it\n\n")
	markdownTable(b, "rll", []string{"messages", "kind", "text"}, rows)
}

func markdownWaves(b *bytes.Buffer, r Run) {
	if rows := r.waveRows(); rows != nil {
		b.WriteString("\n## By the clocks of recipients\n\n")
		markdownTable(b, "llrll", rows[0], rows[1:])
	}
}

func markdownTracking(b *bytes.Buffer, r Run) {
	lines := r.trackingLines(grouped)
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n## Opens and clicks\n\n")
	markdownLines(b, lines)
	for _, rows := range r.trackingTables(grouped) {
		b.WriteByte('\n')
		markdownTable(b, "l"+strings.Repeat("r", len(rows[0])-1), rows[0], rows[1:])
	}
}

func markdownLines(b *bytes.Buffer, lines []line) {
	rows := make([][]string, 0, len(lines))
	for _, l := range lines {
		rows = append(rows, []string{l.Word, grouped(l.Count), l.Share(), l.Note})
	}
	markdownTable(b, "lrrl", []string{"state", "recipients", "share", "meaning"}, rows)
}

func markdownParts(b *bytes.Buffer, parts []Part) {
	if len(parts) == 0 {
		return
	}
	used := usedStates(parts)
	names := []string{"provider", "recipients"}
	for _, s := range used {
		names = append(names, s.String())
	}
	rows := make([][]string, 0, len(parts))
	for _, p := range parts {
		row := []string{string(p.Provider), grouped(p.Total)}
		for _, s := range used {
			row = append(row, grouped(p.Counts.Report(s)))
		}
		rows = append(rows, row)
	}
	b.WriteString("\n## By mailbox provider\n\n")
	markdownTable(b, "l"+strings.Repeat("r", len(names)-1), names, rows)
}

func markdownReplies(b *bytes.Buffer, replies []ReplyCount) {
	if len(replies) == 0 {
		return
	}
	rows := make([][]string, 0, len(replies))
	for _, c := range replies {
		rows = append(rows, []string{grouped(c.Count), c.State.String(), c.result(), Redact(c.Text)})
	}
	b.WriteString("\n## What servers answered\n\n")
	markdownTable(b, "rlll", []string{"recipients", "state", "code", "for example"}, rows)
}

// markdownTable writes a table; align has an l or r for each column.
func markdownTable(b *bytes.Buffer, align string, names []string, rows [][]string) {
	row := func(cells []string) {
		b.WriteByte('|')
		for _, cell := range cells {
			b.WriteString(" " + escape(cell) + " |")
		}
		b.WriteByte('\n')
	}
	row(names)
	b.WriteByte('|')
	for _, a := range align {
		if a == 'r' {
			b.WriteString(" ---: |")
		} else {
			b.WriteString(" --- |")
		}
	}
	b.WriteByte('\n')
	for _, cells := range rows {
		row(cells)
	}
}

// escape returns text so that Markdown shows it as it is: no markup, no link,
// no HTML, no end of a table cell.
func escape(text string) string {
	var b strings.Builder
	for _, r := range oneLine(text) {
		if strings.ContainsRune("\\`*_[]<>|~&#", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
