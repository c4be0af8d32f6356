package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"broadside/campaign/address"
)

// json prints v as the one document of a command.
func (c *cli) json(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// table prints rows in columns under a header. A column of numbers is aligned
// to the right; one that says how things are has its colours.
func (c *cli) table(header []string, rows [][]string) error {
	numbers := make([]bool, len(header))
	widths := make([]int, len(header))
	for i := range header {
		numbers[i] = len(rows) > 0
		widths[i] = utf8.RuneCountInString(header[i])
		for _, row := range rows {
			row[i] = printable(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			if _, err := strconv.ParseFloat(row[i], 64); err != nil && row[i] != "" {
				numbers[i] = false
			}
		}
	}

	ink := c.ink()
	var b strings.Builder
	for _, row := range slices.Concat([][]string{header}, rows) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if slices.Contains(stateColumns, header[i]) {
				cell = ink.word(cell)
			}
			if numbers[i] {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}

		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}

	if _, err := io.WriteString(c.stdout, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}

	return nil
}

// stateColumns are the headers of columns that say how things are.
var stateColumns = []string{"STATE", "OUTCOME"}

// printable replaces control characters: foreign text must not move the
// cursor of a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// visible is printable for what should have been an address: what cannot be seen in
// it is escaped (\u200b).
func visible(text string) string {
	text = printable(text)
	if !strings.ContainsFunc(text, address.Hidden) {
		return text
	}

	var b strings.Builder
	for _, r := range text {
		if address.Hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}

	return b.String()
}

// note prints a remark for people on stderr, apart from the data; --quiet
// leaves it out.
func (c *cli) note(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.stderr, c.errInk().word(fmt.Sprintf(format, args...)))
	}
}

// csvCell returns text that no spreadsheet takes for a formula.
func csvCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// A rowWriter writes rows as CSV with a header, as one JSON object a line, or
// as one JSON array.
type rowWriter struct {
	row   func(fields []string, object any) error
	close func() error
}

// rows returns the writer of a format: csv, jsonl or json.
func (c *cli) rows(format string, header ...string) (*rowWriter, error) {
	if format == "csv" {
		w := csv.NewWriter(c.stdout)
		err := w.Write(header)
		return &rowWriter{
			row:   func(fields []string, _ any) error { return w.Write(fields) },
			close: func() error { w.Flush(); return w.Error() },
		}, err
	}

	first := true
	open := "[\n"
	between := ",\n"
	end := "\n]\n"
	if format == "jsonl" {
		open = ""
		between = "\n"
		end = "\n"
	}

	return &rowWriter{
		row: func(_ []string, object any) error {
			b, err := marshal(object)
			if err != nil {
				return err
			}

			lead := between
			if first {
				lead = open
				first = false
			}

			_, err = io.WriteString(c.stdout, lead+string(b))
			return err
		},
		close: func() error {
			switch {
			case first && format == "jsonl":
				return nil
			case first:
				end = "[]\n"
			}
			_, err := io.WriteString(c.stdout, end)
			return err
		},
	}, nil
}

func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// stamp returns t as RFC 3339 in UTC with milliseconds, as every document has
// it; nil when it has not come.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}
