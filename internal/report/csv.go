package report

import (
	"bytes"
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"strings"
)

// CSV writes a header and one row for each run (RFC 4180, but lines end with
// LF). Columns are named as in the JSON document; those of its objects after
// and skipped begin with the object's name. Times that have not come are empty. New
// columns are only ever appended.
func CSV(w io.Writer, runs ...Run) error {
	var b bytes.Buffer
	c := csv.NewWriter(&b)
	names := make([]string, 0, 40)
	for _, col := range columns(Run{}) {
		names = append(names, col.Name)
	}
	rows := [][]string{names}
	for _, r := range runs {
		var row []string
		for _, col := range columns(r) {
			row = append(row, col.Value)
		}
		rows = append(rows, row)
	}
	if err := c.WriteAll(rows); err != nil {
		return err
	}
	return write(w, b.Bytes())
}

// columns returns the row of a run with the names of its columns.
func columns(r Run) []fact {
	cols := []fact{
		{"run", r.Run},
		{"campaign", r.Campaign},
		{"state", string(r.State)},
		{"rows", plain(r.Rows())},
		{"total", plain(r.Total)},
	}
	for _, s := range states {
		cols = append(cols, fact{s.String(), plain(r.Counts.Report(s))})
	}
	counts, texts := r.returnCells()
	cols = append(append(
		cols,
		fact{"after_delivered", plain(r.After.Delivered)},
		fact{"after_bounced", plain(r.After.Bounced)},
		fact{"after_blocked", plain(r.After.Blocked)},
		fact{"after_complained", plain(r.After.Complained)},
		fact{"after_unsubscribed", plain(r.After.Unsubscribed)},
		fact{"skipped_invalid", plain(r.Skipped.Invalid)},
		fact{"skipped_duplicate", plain(r.Skipped.Duplicate)},
		fact{"skipped_excluded", plain(r.Skipped.Excluded)},
		fact{"skipped_limited", plain(r.Skipped.Limited)},
		fact{"created_at", stamp(r.CreatedAt)},
		fact{"first_accepted_at", stamp(r.FirstAcceptedAt)},
		fact{"finished_at", stamp(r.FinishedAt)},
		fact{"rate_per_s", strconv.FormatFloat(r.roundedRate(), 'f', -1, 64)},
		fact{"reason", cell(Redact(r.Reason))},
		fact{"subject", cell(r.Subject)},
		fact{"from", cell(sender(r.From))},
		fact{"topic", cell(r.Topic)},
		fact{"audience", cell(r.Audience)},
		fact{"accounts", cell(strings.Join(r.Accounts, " "))},
		fact{"parent", r.Parent},
		fact{"came_back", cell(counts)},
		fact{"came_back_texts", cell(texts)},
		fact{"skipped_filtered", plain(r.Skipped.Filtered)},
		fact{"skipped_sampled", plain(r.Skipped.Sampled)},
	), r.trackingCells()...)
	return append(cols, fact{"skipped_passed", plain(r.Skipped.Passed)})
}

// cell returns text on one line that no spreadsheet takes for a formula.
func cell(text string) string {
	text = oneLine(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

// roundedRate returns the rate with one decimal, as documents have it.
func (r Run) roundedRate() float64 { return math.Round(r.Rate()*10) / 10 }
