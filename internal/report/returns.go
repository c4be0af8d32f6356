package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/configs/units"
)

// A Return is how often something of one kind came back on one day from one provider.
type Return struct {
	Day      string             `json:"day"` // a date, UTC
	Provider campaign.Provider  `json:"provider"`
	Kind     campaign.EventKind `json:"kind"`
	Count    int64              `json:"count"`
}

// A ReturnText is how often something was said about messages that came back.
type ReturnText struct {
	Kind  campaign.EventKind `json:"kind"`
	Text  string             `json:"text"` // what is the same in all of them; empty: others
	Count int64              `json:"count"`
}

// shown returns the text for readers.
func (t ReturnText) shown() string {
	if t.Text == "" {
		return "other texts"
	}
	return Redact(t.Text)
}

// returnRows returns what came back as a table with its header: a row for each day and
// provider, a column for each kind that came. It is nil when nothing did.
func (r Run) returnRows(number func(int64) string) [][]string {
	if len(r.Returns) == 0 {
		return nil
	}
	var kinds []campaign.EventKind
	for _, kind := range campaign.EventKinds {
		if slices.ContainsFunc(r.Returns, func(b Return) bool { return b.Kind == kind }) {
			kinds = append(kinds, kind)
		}
	}

	header := []string{"day", "provider"}
	for _, kind := range kinds {
		header = append(header, string(kind))
	}
	rows := [][]string{header}
	type group struct {
		day      string
		provider campaign.Provider
	}
	counts := map[group]map[campaign.EventKind]int64{}
	var groups []group
	for _, b := range r.Returns {
		g := group{b.Day, b.Provider}
		if counts[g] == nil {
			counts[g] = map[campaign.EventKind]int64{}
			groups = append(groups, g)
		}
		counts[g][b.Kind] += b.Count
	}
	for _, g := range groups {
		row := []string{g.day, string(g.provider)}
		for _, kind := range kinds {
			row = append(row, number(counts[g][kind]))
		}
		rows = append(rows, row)
	}
	return rows
}

// returnCells returns what came back, and what was said, each in one cell of a sheet.
func (r Run) returnCells() (counts, texts string) {
	var all, said []string
	for _, b := range r.Returns {
		all = append(all, fmt.Sprintf("%s %s %s %d", b.Day, b.Provider, b.Kind, b.Count))
	}
	for _, t := range r.ReturnTexts {
		said = append(said, fmt.Sprintf("%d %s: %s", t.Count, t.Kind, t.shown()))
	}
	return strings.Join(all, "; "), strings.Join(said, "; ")
}

// complaints says where more readers mark the run as spam than providers like to see: in
// all, and at each provider.
func (r Run) complaints() (warnings []string) {
	at := map[campaign.Provider]int64{}
	for _, b := range r.Returns {
		if b.Kind == campaign.EventComplained {
			at[b.Provider] += b.Count
		}
	}

	warn := func(n, accepted int64, where string) {
		rate := float64(n) / float64(max(accepted, 1))
		if n < campaign.LeastComplaints || rate <= campaign.ComplaintWarning {
			return
		}
		warnings = append(warnings, fmt.Sprintf("%s of %d%s complained: providers expect less than %s.",
			units.FormatPercent(math.Round(rate*1e4)/1e4), accepted, where, units.FormatPercent(campaign.ComplaintWarning)))
	}
	warn(r.After.Complained, r.Counts[campaign.Accepted], " recipients")
	for _, p := range r.Parts {
		if accepted := p.Counts[campaign.Accepted]; accepted >= campaign.LeastAccepted {
			warn(at[p.Provider], accepted, " at "+string(p.Provider))
		}
	}
	return warnings
}
