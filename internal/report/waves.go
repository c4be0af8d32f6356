package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
)

// wave is a Wave in the JSON document.
type wave struct {
	At         moment   `json:"at"`
	Recipients int64    `json:"recipients"`
	Zones      []string `json:"zones"`
	More       int      `json:"more_zones"`
	ToCome     bool     `json:"to_come"` // none of them has got it
}

// textWaves writes when recipients get the message by their own clocks.
func textWaves(b *bytes.Buffer, r Run) {
	if len(r.Waves) == 0 {
		return
	}
	rows := [][]string{{"WAVE", "RECIPIENTS", "", "ZONES"}}
	for _, w := range r.Waves {
		state := ""
		if r.isToCome(w) {
			state = "to come"
		}
		rows = append(rows, []string{clock(w.At), plain(w.Recipients), state, oneLine(ZonesText(w))})
	}
	b.WriteByte('\n')
	table(b, "lrll", rows, plainPaint)
}

// waveRows returns the waves as a table for pages; the first row is the header, nil: there
// are none.
func (r Run) waveRows() [][]string {
	if len(r.Waves) == 0 {
		return nil
	}
	rows := [][]string{{"begins", "local time", "recipients", "state", "zones"}}
	for _, w := range r.Waves {
		state := ""
		switch {
		case r.isToCome(w):
			state = "to come"
		case r.hasBegun(w):
			state = "begun"
		}
		rows = append(rows, []string{clock(w.At), localTime(w), grouped(w.Recipients), state, oneLine(ZonesText(w))})
	}
	return rows
}

// localTime returns what the clocks of a wave show when it begins, as far as its zones are
// named. They differ where it has those whose time had passed, who all get the message at once.
func localTime(w campaign.Wave) string {
	text := ""
	for _, name := range w.Zones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return "" // not known on this machine
		}

		local := w.At.In(zone).Format("Mon 15:04")
		if text != "" && text != local {
			return "differs"
		}
		text = local
	}
	return text
}

// isToCome reports whether the time of a wave has not come.
func (r Run) isToCome(w campaign.Wave) bool { return w.At.After(r.ReadAt) && !r.State.Over() }

// hasBegun reports whether the time of a wave came before the run was over.
func (r Run) hasBegun(w campaign.Wave) bool {
	return !w.At.After(r.ReadAt) && (r.FinishedAt.IsZero() || !w.At.After(r.FinishedAt))
}

// ZonesText names the zones of a wave.
func ZonesText(w campaign.Wave) string {
	text := strings.Join(w.Zones, ", ")
	if w.More > 0 {
		text += fmt.Sprintf(" and %d more", w.More)
	}
	return text
}
