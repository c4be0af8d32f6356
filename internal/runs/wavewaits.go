package runs

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/report"
)

// waveWait returns the wait of a run whose recipients get the message by their own clocks,
// while everybody who is left waits for their time. is: there is one.
func (s Status) waveWait(now time.Time) (wait report.Wait, is bool) {
	var next campaign.Wave
	var toCome int64
	for _, w := range s.Waves() {
		if !w.At.After(now) {
			continue
		}
		if toCome == 0 {
			next = w
		}
		toCome += w.Recipients
	}

	pending := s.Counts[campaign.Pending]
	if pending == 0 || pending > toCome || s.Counts[campaign.Issued]+s.Counts[campaign.Sending] > 0 {
		return report.Wait{}, false
	}
	return report.Wait{
		For: report.ForSlot, What: s.Campaign, Code: codes.Slot, Until: next.At,
		Reason: codes.Slot.Reason("each recipient gets it by their own clock, the next %d in %s", next.Recipients, report.ZonesText(next)),
	}, true
}
