package lanes

import (
	"encoding/json"
	"time"
)

// MarshalJSON writes the object that the command line promises.
func (l Lane) MarshalJSON() ([]byte, error) { return json.Marshal(l.document()) }

// A document is a lane as programs see it.
type document struct {
	Account     string   `json:"account"`
	Provider    string   `json:"provider"`
	State       string   `json:"state"`
	RatePerS    *float64 `json:"rate_per_s"`
	CeilingPerS *float64 `json:"ceiling_per_s"`
	Connections *int     `json:"connections"`
	Queued      *int64   `json:"queued"`
	Code        string   `json:"code"`
	Reason      string   `json:"reason"`
	Since       *string  `json:"since"`
	Until       *string  `json:"until"`
}

func (l Lane) document() document {
	return document{
		Account: l.Account, Provider: l.Provider, State: string(l.State), RatePerS: l.Rate, CeilingPerS: l.Ceiling,
		Connections: l.Connections, Queued: l.Queued, Code: l.Code, Reason: l.Reason, Since: stamp(l.Since), Until: stamp(l.Until),
	}
}

// MarshalJSON writes the lane, and what was discarded with it.
func (d Discarded) MarshalJSON() ([]byte, error) {
	type discarded struct {
		Suppressions int      `json:"suppressions"`
		Recipients   int      `json:"recipients"`
		Runs         []string `json:"runs"`
	}
	return json.Marshal(struct {
		document
		Discarded discarded `json:"discarded"`
	}{d.Lane.document(), discarded{d.Suppressions, d.Recipients, d.Runs}})
}

// stamp returns a time as RFC 3339 with milliseconds in UTC; nil for none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}
