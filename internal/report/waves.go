package report

import (
	"bytes"
	"fmt"
	"strings"

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

// isToCome reports whether the time of a wave has not come.
func (r Run) isToCome(w campaign.Wave) bool { return w.At.After(r.ReadAt) && !r.State.Over() }

// ZonesText names the zones of a wave.
func ZonesText(w campaign.Wave) string {
	text := strings.Join(w.Zones, ", ")
	if w.More > 0 {
		text += fmt.Sprintf(" and %d more", w.More)
	}
	return text
}
