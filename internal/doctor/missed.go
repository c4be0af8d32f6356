package doctor

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/store"
	"broadside/scheduler"
)

// missedWithin is how long a missed time of a schedule is reported.
const missedWithin = 7 * 24 * time.Hour

// missed names the schedules of which a time was missed in the last days.
func (d *Doctor) missed(ctx context.Context) []Finding {
	schedules, err := d.Schedules.List(ctx)
	if err != nil {
		return Unanswered(err)
	}
	now, err := d.Schedules.Now(ctx)
	if err != nil {
		return Unanswered(err)
	}

	var out []Finding
	for _, e := range schedules {
		if e.Missed == 0 {
			continue
		}
		history, err := d.Schedules.History(ctx, e.ID)
		if err != nil {
			out = append(out, unknown("campaign "+e.ID, codes.Missed, err))
			continue
		}
		if f, found := missedFinding(e.ID, history, now); found {
			out = append(out, f)
		}
	}
	return out
}

// missedFinding says what was missed of a schedule, whose occurrences come newest first.
func missedFinding(id string, history []scheduler.Occurrence, now time.Time) (Finding, bool) {
	var times int64
	var latest scheduler.Occurrence
	for _, o := range history {
		if o.Outcome != scheduler.Missed || now.Sub(o.Recorded) > missedWithin {
			continue
		}
		if times == 0 {
			latest = o
		}
		times += o.Times()
	}
	if times == 0 {
		return Finding{}, false
	}

	at := latest.At
	if !latest.Until.IsZero() {
		at = latest.Until
	}
	text := fmt.Sprintf("times missed in the last days: %d, the latest %s: %s", times, at.UTC().Format(time.RFC3339), latest.Reason)
	return bad("campaign "+id, codes.Missed, store.Warning, text, "nothing was sent at that time",
		"remove what the reason names; `broadside campaign launch "+id+" --now` sends it now, `broadside campaign show "+id+"` has all times"), true
}
