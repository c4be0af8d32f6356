package report

import (
	"slices"

	"broadside/campaign"
)

// A comparison shows several runs side by side: a column for each run, a row
// for each number that any of them has.
type comparison struct {
	Heads []head
	Rows  []comparisonRow
}

type head struct {
	Run   string
	State campaign.RunState
}

// A comparisonRow has a cell for each run. Kind is its colour, as in a line.
type comparisonRow struct {
	Name  string
	Kind  string
	Cells []comparisonCell
}

// A comparisonCell is a number with its share, or only a text.
type comparisonCell struct {
	Text  string
	Share string
	Width string // as of a line; empty: a text
}

// unknown is the count of what was never reported for a run.
const unknown = -1

func compare(runs []Run) comparison {
	var c comparison
	for _, r := range runs {
		c.Heads = append(c.Heads, head{r.Run, r.State})
	}
	c.texts("rows read", runs, func(r Run) string { return grouped(r.Rows()) })
	c.texts("recipients", runs, func(r Run) string { return grouped(r.Total) })
	for _, s := range states {
		c.numbers(line{Word: s.String(), Kind: s.String()}, slices.Contains(always, s), runs, func(r Run) (int64, int64) {
			return r.Counts.Report(s), r.Total
		})
	}
	for i, l := range (Run{}).allAfterLines() {
		l.Word = "later " + l.Word
		c.numbers(l, false, runs, func(r Run) (int64, int64) {
			if r.After == (After{}) {
				return unknown, 0
			}
			after := r.allAfterLines()[i]
			return after.Count, after.Of
		})
	}
	for _, people := range []struct {
		word  string
		count func(*Tracking) int64
	}{{"opened", (*Tracking).opened}, {"clicked", (*Tracking).clicked}} {
		c.numbers(line{Word: people.word, Kind: "after"}, false, runs, func(r Run) (int64, int64) {
			return people.count(r.Tracking), r.Counts[campaign.Accepted]
		})
	}
	c.texts("rate", runs, func(r Run) string { return rate(r.Rate()) })
	c.texts("first accepted", runs, func(r Run) string { return clock(r.FirstAcceptedAt) })
	c.texts("took", runs, Run.took)
	return c
}

// texts adds a row of texts; a run without one shows a dash.
func (c *comparison) texts(name string, runs []Run, value func(Run) string) {
	row := comparisonRow{Name: name}
	for _, r := range runs {
		row.Cells = append(row.Cells, comparisonCell{Text: orDash(value(r))})
	}
	c.Rows = append(c.Rows, row)
}

// numbers adds a row of counts and what they are a share of, unless all are
// zero or unknown and it is not an outcome.
func (c *comparison) numbers(of line, outcome bool, runs []Run, value func(Run) (int64, int64)) {
	row := comparisonRow{Name: of.Word, Kind: of.Kind}
	used := outcome
	for _, r := range runs {
		l := of
		l.Count, l.Of = value(r)
		if l.Count == unknown {
			row.Cells = append(row.Cells, comparisonCell{Text: orDash("")})
			continue
		}
		used = used || l.Count != 0
		row.Cells = append(row.Cells, comparisonCell{grouped(l.Count), l.Share(), l.Width()})
	}
	if used {
		c.Rows = append(c.Rows, row)
	}
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
