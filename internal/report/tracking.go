package report

import (
	"fmt"
	"strings"

	"broadside/campaign"
)

// Tracking is what readers did with the letters of a run whose campaign counts that.
// Numbers of people are within about 1 %.
type Tracking struct {
	Opens  *Opens  `json:"opens,omitempty"`  // nil: they are not counted
	Clicks *Clicks `json:"clicks,omitempty"` // nil: they are not counted

	Machines []Machine        `json:"machines"` // what was no reader's, and counts nowhere else
	Parts    []PartEngagement `json:"parts"`
}

// Opens are requests for the picture in the letter.
type Opens struct {
	Total  int64 `json:"total"`
	People int64 `json:"people"`
	Google int64 `json:"google_proxy"` // of Total, through Gmail's proxy for images
	Yahoo  int64 `json:"yahoo_proxy"`

	// Apple's proxy asks for the pictures of all letters, whether or not they are opened.
	// These are not in Total.
	Apple       int64 `json:"apple_proxy"`
	ApplePeople int64 `json:"apple_proxy_people"`
}

// Clicks are requests for links of the letter.
type Clicks struct {
	Total   int64        `json:"total"`
	People  int64        `json:"people"`
	Pending int64        `json:"pending_people"` // whose clicks of the last seconds are not in Total yet
	Links   []LinkClicks `json:"links"`          // in the order of the letter
}

// LinkClicks is how often a link was followed.
type LinkClicks struct {
	URL    string `json:"url"` // with the names of merge fields in brackets
	Clicks int64  `json:"clicks"`
}

// A Machine is how many opens and clicks were no reader's, for one reason.
type Machine struct {
	Reason string `json:"reason"`
	Opens  int64  `json:"opens"`
	Clicks int64  `json:"clicks"`
}

// PartEngagement is the opens and clicks of the people of one mailbox provider.
type PartEngagement struct {
	Provider campaign.Provider `json:"provider"`
	Opens    int64             `json:"opens"`
	Apple    int64             `json:"apple_proxy"`
	Clicks   int64             `json:"clicks"`
}

// redacted returns t without the addresses that an author may have put into links.
func (t *Tracking) redacted() *Tracking {
	if t == nil || t.Clicks == nil {
		return t
	}
	clicks := *t.Clicks
	clicks.Links = make([]LinkClicks, len(t.Clicks.Links))
	for i, l := range t.Clicks.Links {
		clicks.Links[i] = LinkClicks{URL: Redact(l.URL), Clicks: l.Clicks}
	}
	out := *t
	out.Clicks = &clicks
	return &out
}

// opened returns how many people opened a letter; unknown where that is not counted.
func (t *Tracking) opened() int64 {
	if t == nil || t.Opens == nil {
		return unknown
	}
	return t.Opens.People
}

// clicked returns how many people followed a link; unknown where that is not counted.
func (t *Tracking) clicked() int64 {
	if t == nil || t.Clicks == nil {
		return unknown
	}
	return t.Clicks.People
}

// machineNotes say what reasons mean.
var machineNotes = map[string]string{
	"head":     "only asked whether there is something",
	"prefetch": "loaded before anybody asked for it",
	"soon":     "within seconds of sending",
	"agent":    "a scanner, a preview, a crawler",
	"network":  "from a network of mail gateways",
	"burst":    "followed most of the links at once",
}

// trackingLines returns the numbers of people as shares of accepted.
func (r Run) trackingLines(number func(int64) string) []line {
	t := r.Tracking
	if t == nil {
		return nil
	}
	accepted := r.Counts[campaign.Accepted]
	var lines []line
	if o := t.Opens; o != nil {
		lines = append(lines, line{"opened", "after", o.People, accepted, fmt.Sprintf("%s opens, %s by Gmail's proxy, %s by Yahoo's", number(o.Total), number(o.Google), number(o.Yahoo))})
		lines = append(lines, line{"loaded by Apple", "after", o.ApplePeople, accepted, "by its proxy, opened or not"})
	}
	if c := t.Clicks; c != nil {
		note := number(c.Total) + " clicks"
		if c.Pending > 0 {
			note += ", of the last seconds not all are in"
		}
		lines = append(lines, line{"clicked", "after", c.People, accepted, note})
	}
	return lines
}

// trackingTables returns the tables behind those numbers, each with its header; the first
// column of each is text, and the others are numbers but for the last of the second.
func (r Run) trackingTables(number func(int64) string) (tables [][][]string) {
	t := r.Tracking
	if t == nil {
		return nil
	}
	if t.Clicks != nil && len(t.Clicks.Links) > 0 {
		rows := [][]string{{"link", "clicks"}}
		for _, l := range t.Clicks.Links {
			rows = append(rows, []string{oneLine(Redact(l.URL)), number(l.Clicks)})
		}
		tables = append(tables, rows)
	}
	if len(t.Parts) > 0 {
		rows := [][]string{{"provider", "opens", "loaded by Apple", "clicks"}}
		for _, p := range t.Parts {
			rows = append(rows, []string{string(p.Provider), number(p.Opens), number(p.Apple), number(p.Clicks)})
		}
		tables = append(tables, rows)
	}
	if len(t.Machines) > 0 {
		rows := [][]string{{"machines", "opens", "clicks"}}
		for _, m := range t.Machines {
			reason := oneLine(m.Reason)
			if note := machineNotes[m.Reason]; note != "" {
				reason += ": " + note
			}
			rows = append(rows, []string{reason, number(m.Opens), number(m.Clicks)})
		}
		tables = append(tables, rows)
	}
	return tables
}

// trackingCells returns the columns of a sheet; empty where nothing is counted.
func (r Run) trackingCells() []fact {
	cells := map[string]string{}
	var links []string
	if t := r.Tracking; t != nil && t.Opens != nil {
		cells["opens"] = plain(t.Opens.Total)
		cells["people"] = plain(t.Opens.People)
		cells["apple"] = plain(t.Opens.ApplePeople)
	}
	if t := r.Tracking; t != nil && t.Clicks != nil {
		cells["clicks"] = plain(t.Clicks.Total)
		cells["clicked"] = plain(t.Clicks.People)
		for _, l := range t.Clicks.Links {
			links = append(links, fmt.Sprintf("%d %s", l.Clicks, Redact(l.URL)))
		}
	}
	var machines int64
	if r.Tracking != nil {
		for _, m := range r.Tracking.Machines {
			machines += m.Opens + m.Clicks
		}
		cells["machines"] = plain(machines)
	}
	return []fact{
		{"tracking_opens", cells["opens"]},
		{"tracking_opens_people", cells["people"]},
		{"tracking_apple_proxy_people", cells["apple"]},
		{"tracking_clicks", cells["clicks"]},
		{"tracking_clicks_people", cells["clicked"]},
		{"tracking_machines", cells["machines"]},
		{"tracking_links", cell(strings.Join(links, "; "))},
	}
}
