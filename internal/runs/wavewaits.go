package runs

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/zones"
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
	if pending == 0 || pending > toCome || s.isUnderWay() {
		return report.Wait{}, false
	}
	return report.Wait{
		For: report.ForSlot, What: s.Campaign, Code: codes.Slot, Until: next.At,
		Reason: codes.Slot.Reason("each recipient gets it by their own clock, the next %d in %s", next.Recipients, report.ZonesText(next)),
	}, true
}

// isUnderWay reports whether a worker has some recipient in hand.
func (s Status) isUnderWay() bool { return s.Counts[campaign.Issued]+s.Counts[campaign.Sending] > 0 }

// maxClocks is how many recipients of a run are looked at to find out when the next of them
// may get the message. Of a larger run the waves alone tell.
const maxClocks = 250_000

// clockSlack is how much later the moment of a recipient may be than what it is waited
// for: it is rounded, and workers wait a little longer than until hours open.
const clockSlack = 3 * time.Second

// clockWait returns the wait of such a run while everybody who is left of waves that have
// begun waits as well: for the hours of their own clock, since they were reached too late,
// or for their moment of a spread. is: there is one. Those who wait for one of others,
// such as a paused lane, do not wait for a clock.
func (r *Runs) clockWait(ctx context.Context, s Status, now time.Time, others []report.Wait) (wait report.Wait, is bool, err error) {
	if len(s.Waves()) == 0 || s.Counts[campaign.Pending] == 0 || s.isUnderWay() || s.Total() > maxClocks {
		return report.Wait{}, false, nil
	}

	next, found, err := r.nextPending(ctx, s, now)
	if err != nil || !found {
		return report.Wait{}, false, err
	}

	for _, w := range others {
		if w.Until.IsZero() || !w.Until.Add(clockSlack).Before(next.at) {
			return report.Wait{}, false, nil
		}
	}

	wait = report.Wait{For: report.ForSlot, What: s.Campaign, Code: codes.Slot, Until: next.at}
	zone := r.closedZone(ctx, s, next, now)
	if zone == nil {
		wait.Reason = codes.Slot.Reason("each recipient gets it at a moment of their own")
		return wait, true, nil
	}

	wait.For = report.ForWindow
	wait.Code = codes.Window
	wait.Reason = codes.Window.Reason("each recipient gets it in hours of their own clock, which open next in %s", zone)
	return wait, true, nil
}

// A nextRecipient is the first of those who wait to get the message.
type nextRecipient struct {
	part, index int
	at          time.Time
}

// nextPending returns the first of the recipients who wait. found: there is one, and no one
// may get the message before longSlot is over.
func (r *Runs) nextPending(ctx context.Context, s Status, now time.Time) (next nextRecipient, found bool, err error) {
	run := s.Handle()
	soon := now.Add(longSlot)
	var retry time.Time // of the first who was deferred

	for _, p := range run.Sizes {
		for first := 0; first < p.Size; first += ledger.PageCells {
			cells, err := r.Ledger.Page(ctx, run, p.Part, first/ledger.PageCells)
			if err != nil {
				return nextRecipient{}, false, err
			}

			for i, c := range cells {
				if c.State != campaign.Pending && c.State != campaign.Deferred {
					continue
				}
				at := s.Created.Add(c.When)
				if at.Before(soon) {
					return nextRecipient{}, false, nil
				}

				switch {
				case c.State == campaign.Deferred:
					if retry.IsZero() || at.Before(retry) {
						retry = at
					}
				case !found || at.Before(next.at):
					next = nextRecipient{part: p.Part, index: first + i, at: at}
					found = true
				}
			}
		}
	}

	if !retry.IsZero() && retry.Before(next.at) {
		return nextRecipient{}, false, nil
	}
	return next, found, nil
}

// closedZone returns the zone of a recipient who waits until the hours of the run open by the
// clock there; nil: they are open, there are none, or the row cannot be read.
func (r *Runs) closedZone(ctx context.Context, s Status, n nextRecipient, now time.Time) *time.Location {
	snapshot, err := r.Ledger.Snapshot(ctx, s.Handle())
	if err != nil || snapshot.Hours == nil || snapshot.Hours.Window == nil {
		return nil
	}

	fallback, err := time.LoadLocation(snapshot.Hours.Fallback)
	if err != nil {
		return nil
	}

	inChunk := n.index % audience.ChunkSize
	chunk, err := r.chunk(ctx, s.Handle(), n.part, n.index-inChunk)
	if err != nil || inChunk >= chunk.Len() {
		return nil
	}

	zone, _ := zones.New(snapshot.Hours.Field, fallback).Of(chunk.Row(inChunk).Values)
	hours := snapshot.Hours.Window.In(zone)
	if hours.Open(now) || hours.Next(now).Add(clockSlack).Before(n.at) {
		return nil // the hours are not what is waited for
	}
	return zone
}
