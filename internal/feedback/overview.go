package feedback

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"broadside/campaign"
)

// A Road is how much of one class came by one road.
type Road struct {
	Source string `json:"source"` // "hook:ses", "mailbox", ...
	Class  string `json:"class"`  // of campaign.Class; "untrusted", "quarantined"
	Today  int64  `json:"today"`  // since midnight, UTC
	Total  int64  `json:"total"`
}

// An Overview is what came back, by all roads. Its JSON is that of `feedback ls --json`.
type Overview struct {
	Roads  []Road   `json:"roads"`  // by source and class
	Recent []Recent `json:"recent"` // the newest first
}

// Overview reads the journal.
func (j *Journal) Overview(ctx context.Context) (Overview, error) {
	out := Overview{Roads: []Road{}, Recent: []Recent{}}
	total, err := j.counts(ctx, j.key("counts"))
	if err != nil {
		return out, err
	}
	today, err := j.counts(ctx, j.key("counts:"+j.date(0)))
	if err != nil {
		return out, err
	}
	for field, n := range total {
		source, class, _ := strings.Cut(field, "\t")
		out.Roads = append(out.Roads, Road{source, class, today[field], n})
	}
	slices.SortFunc(out.Roads, func(a, b Road) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Class, b.Class))
	})

	lines, err := j.rdb.LRange(ctx, j.key("recent"), 0, maxRecent-1).Result()
	if err != nil {
		return out, campaign.ReadError(err, "what came back and was not understood", j.key("recent"))
	}
	for _, line := range lines {
		var recent Recent
		if json.Unmarshal([]byte(line), &recent) == nil {
			out.Recent = append(out.Recent, recent)
		}
	}
	return out, nil
}

func (j *Journal) counts(ctx context.Context, key string) (map[string]int64, error) {
	fields, err := j.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the counts of what came back", key)
	}
	counts := map[string]int64{}
	for field, text := range fields {
		counts[field], _ = strconv.ParseInt(text, 10, 64) // our own; a broken one is 0
	}
	return counts, nil
}
