package report

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"broadside/campaign"
)

// document is the JSON of a run: first what every reader may rely on, in the
// order of the contract, then what may be absent.
type document struct {
	Run             string            `json:"run"`
	Campaign        string            `json:"campaign"`
	State           campaign.RunState `json:"state"`
	Total           int64             `json:"total"`
	Counts          counts            `json:"counts"`
	After           After             `json:"after"`
	Tracking        *Tracking         `json:"tracking,omitempty"`
	Skipped         campaign.Skipped  `json:"skipped"`
	CreatedAt       moment            `json:"created_at"`
	FirstAcceptedAt moment            `json:"first_accepted_at"`
	FinishedAt      moment            `json:"finished_at"`
	RatePerS        float64           `json:"rate_per_s"`
	Waiting         []wait            `json:"waiting"`

	Reason   string   `json:"reason,omitempty"`
	Canary   *canary  `json:"canary,omitempty"`
	Waves    []wave   `json:"waves,omitempty"`
	Subject  string   `json:"subject,omitempty"`
	From     string   `json:"from,omitempty"`
	Topic    string   `json:"topic,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Parent   string   `json:"parent,omitempty"`
	Linked   []string `json:"linked,omitempty"`
	Parts    []part   `json:"parts,omitempty"`
	Replies  []reply  `json:"replies,omitempty"`

	CameBack      []Return     `json:"came_back,omitempty"`
	CameBackTexts []ReturnText `json:"came_back_texts,omitempty"`
}

type canary struct {
	Recipients int    `json:"recipients"`
	GoesOnAt   moment `json:"goes_on_at"`
}

type part struct {
	Provider campaign.Provider `json:"provider"`
	Total    int64             `json:"total"`
	Counts   counts            `json:"counts"`
}

type reply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
	State    string `json:"state"`
	Count    int64  `json:"count"`
}

// MarshalJSON returns the document that --json prints.
func (r Run) MarshalJSON() ([]byte, error) {
	d := document{
		Run: r.Run, Campaign: r.Campaign, State: r.State,
		Total: r.Total, Counts: counts(r.Counts), After: r.After, Tracking: r.Tracking.redacted(), Skipped: r.Skipped,
		CreatedAt: moment(r.CreatedAt), FirstAcceptedAt: moment(r.FirstAcceptedAt), FinishedAt: moment(r.FinishedAt),
		RatePerS: r.roundedRate(), Waiting: waitsOf(r.Waiting),
		Reason: Redact(r.Reason), Subject: r.Subject, From: r.From, Topic: r.Topic, Audience: r.Audience, Accounts: r.Accounts, Parent: r.Parent, Linked: r.Linked,
	}
	if r.Canary != nil {
		d.Canary = &canary{r.Canary.Recipients, moment(r.Canary.GoesOnAt)}
	}
	for _, w := range r.Waves {
		d.Waves = append(d.Waves, wave{moment(w.At), w.Recipients, w.Zones, w.More, r.isToCome(w)})
	}
	for _, p := range r.Parts {
		d.Parts = append(d.Parts, part{p.Provider, p.Total, counts(p.Counts)})
	}
	for _, p := range r.Replies {
		d.Replies = append(d.Replies, reply{p.Code, p.Enhanced, Redact(p.Text), p.State.String(), p.Count})
	}
	d.CameBack = r.Returns
	for _, t := range r.ReturnTexts {
		t.Text = Redact(t.Text)
		d.CameBackTexts = append(d.CameBackTexts, t)
	}
	// Whether < becomes \u003c is the caller's choice: what is escaped here
	// could not be undone by them.
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// states are the states that reports show, in the order of the contract.
// Issued is missing: it is counted as pending.
var states = campaign.States[:len(campaign.States)-1]

// counts are printed in the order of states, all of them.
type counts campaign.Counts

func (c counts) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, s := range states {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, s.String()...)
		b = append(b, '"', ':')
		b = strconv.AppendInt(b, campaign.Counts(c).Report(s), 10)
	}
	return append(b, '}'), nil
}

// A moment is printed as RFC 3339 in UTC with milliseconds, and as null when
// it has not come.
type moment time.Time

func (m moment) MarshalJSON() ([]byte, error) {
	if time.Time(m).IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + stamp(time.Time(m)) + `"`), nil
}

// stamp returns t as RFC 3339 in UTC with milliseconds; empty when t is zero.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
