package main

import (
	"fmt"
	"io"
	"strings"

	"broadside/campaign"
	"broadside/internal/launch"
	"broadside/internal/report"
)

// shownWaves is how many waves of a plan are shown; --json has all of them.
const shownWaves = 40

// showLocal prints when the recipients of a plan get the message by their own clocks.
func showLocal(w io.Writer, p launch.Plan) {
	l := p.Local
	if l == nil {
		return
	}

	at := "as soon as the run is made, by each recipient's clock"
	if !l.At.IsZero() {
		at = l.At.Format("2006-01-02 15:04") + " by each recipient's clock"
	}
	fmt.Fprintf(w, "local time  %s\n", at)
	for _, wave := range l.Waves[:min(len(l.Waves), shownWaves)] {
		fmt.Fprintf(w, "            %s  %12s  %s\n", wave.At.UTC().Format("2006-01-02 15:04 MST"), peopleWord(wave.Recipients), report.ZonesText(wave))
	}
	if more := len(l.Waves) - shownWaves; more > 0 {
		fmt.Fprintf(w, "            and %d more moments: --json has all of them\n", more)
	}
	if l.Empty+l.Unknown > 0 {
		unknown := ""
		if len(l.Names) > 0 {
			unknown = " (such as " + strings.Join(l.Names, ", ") + ")"
		}
		fmt.Fprintf(w, "            %d without a zone and %d with one that is not known%s go by the clock of %s\n", l.Empty, l.Unknown, unknown, l.Fallback)
	}
}

// A localDocument is when recipients get the message by their own clocks, in the JSON of a
// plan.
type localDocument struct {
	At       *string         `json:"at"` // what their clocks show; null: when the run is made
	Waves    []campaign.Wave `json:"waves"`
	Fallback string          `json:"fallback"`
	Empty    int64           `json:"without_zone"`
	Unknown  int64           `json:"unknown_zone"`
	Names    []string        `json:"unknown"` // some of what those have instead
}

func localDocumentOf(p launch.Plan) *localDocument {
	l := p.Local
	if l == nil {
		return nil
	}
	d := &localDocument{
		Waves: append([]campaign.Wave{}, l.Waves...), Fallback: l.Fallback, Empty: l.Empty, Unknown: l.Unknown, Names: append([]string{}, l.Names...),
	}
	if !l.At.IsZero() {
		at := l.At.Format("2006-01-02T15:04:05")
		d.At = &at
	}
	return d
}
