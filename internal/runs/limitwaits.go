package runs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/report"
	"broadside/throttle"
)

// limitWaits returns what accounts and their lanes do not take now.
func (r *Runs) limitWaits(ctx context.Context, s Status) ([]report.Wait, error) {
	closed, err := r.Accounts.States(ctx, s.Accounts...)
	if err != nil {
		return nil, err
	}

	lanes, err := r.Lanes.Read(ctx, s.Accounts...)
	if err != nil {
		return nil, err
	}

	var waits []report.Wait
	now := time.Now()
	without := r.withoutRecipients(ctx, s.Handle(), shutDomains(now, lanes))
	for _, name := range s.Accounts {
		if c, found := closed[name]; found && c.Code != string(codes.BrokenState) {
			waits = append(waits, AccountWait(name, c))
		}
		for _, lane := range slices.Sorted(maps.Keys(lanes[name])) {
			l := lanes[name][lane]
			if l.State(now) != throttle.LaneOpen && s.isHeldUpBy(lane) && !without[lane] {
				waits = append(waits, LaneWait(now, name, lane, l))
			}
		}

		spent, err := r.quotaWaits(ctx, name)
		if err != nil {
			return nil, err
		}
		waits = append(waits, spent...)
	}

	slots, err := r.slotWaits(ctx, s)
	return append(waits, slots...), err
}

// longSlot is how far away a slot is that a run waits for: less is a pace, and no
// wait.
const longSlot = 5 * time.Second

// slotWaits returns the wait for a slot of a rate that is low, when there is one.
func (r *Runs) slotWaits(ctx context.Context, s Status) ([]report.Wait, error) {
	if r.NextSlot == nil {
		return nil, nil
	}

	next, err := r.NextSlot(ctx, s.ID, s.Accounts)
	if err != nil || time.Until(next) < longSlot {
		return nil, err
	}
	return []report.Wait{{
		For: report.ForSlot, What: s.Campaign, Code: codes.Slot, Until: next,
		Reason: codes.Slot.Reason("the rate allows the next message then"),
	}}, nil
}

// isHeldUpBy reports whether a recipient of the run waits in the part of a lane.
func (s Status) isHeldUpBy(lane string) bool {
	part := slices.Index(campaign.Providers, campaign.Provider(lane))
	if part < 0 { // a domain
		part = campaign.PartOf(lane)
	}
	return s.Parts[part].Open() > 0
}

// quotaWaits returns the quotas of an account that are spent.
func (r *Runs) quotaWaits(ctx context.Context, account string) ([]report.Wait, error) {
	if r.Used == nil {
		return nil, nil
	}

	used, err := r.Used(ctx, account)
	if err != nil {
		return nil, err
	}

	var waits []report.Wait
	for _, u := range used {
		if !u.Until.IsZero() {
			waits = append(waits, quotaWait(account, u))
		}
	}
	return waits, nil
}

func quotaWait(account string, u throttle.Usage) report.Wait {
	w := report.Wait{For: report.ForQuota, What: account, Code: codes.Quota, Until: u.Until}
	if u.Quota.Window == 0 {
		w.For = report.ForWarmup
		w.Code = codes.Warmup
	}
	w.Reason = w.Code.Reason("%s", limitText(account, u.Quota))
	return w
}

// limitText says which quota is spent. One of a warm-up that allows nothing is that of
// the days before the first.
func limitText(account string, q throttle.Quota) string {
	switch {
	case q.Window > 0:
		return fmt.Sprintf("%d messages in any %s are sent", q.Messages, q.Name)
	case q.Messages == 0:
		return fmt.Sprintf("the warm-up of %s begins on %s", account, q.End.Format(time.DateOnly))
	}
	return fmt.Sprintf("the %d messages of this day of the warm-up are sent", q.Messages)
}

// AccountWait puts a closed account into the words of reports.
func AccountWait(account string, c throttle.State) report.Wait {
	w := report.Wait{For: report.ForAccount, What: account, Code: codes.Code(c.Code), Reason: c.Reason, Until: c.Until}
	return withCode(w)
}

// LaneWait puts a lane that is not open into the words of reports: until the next
// climb of one that is slowed, the next probe of one that is paused.
func LaneWait(now time.Time, account, lane string, l throttle.Lane) report.Wait {
	w := report.Wait{For: report.ForLane, What: account + "/" + lane, Code: codes.Code(l.Code), Reason: l.Reason, Until: l.Until}
	if l.State(now) == throttle.LaneSlowed {
		w.Until = l.NextClimb(now)
	}
	return withCode(w)
}

func withCode(w report.Wait) report.Wait {
	if codes.Of(w.Reason) == "" && w.Code != "" {
		w.Reason = w.Code.Reason("%s", w.Reason)
	}
	return w
}

// withExpiry says of each wait how many recipients will expire before it is over.
func (s Status) withExpiry(waits []report.Wait, now time.Time) []report.Wait {
	expires := s.Created.Add(s.Expires)
	if s.Expires <= 0 || now.After(expires) {
		return waits
	}

	for i, w := range waits {
		if n := s.waitingFor(w); n > 0 && w.Until.After(expires) {
			waits[i].Reason += fmt.Sprintf("; %d recipients will expire before that (expires_after, at %s)", n, expires.UTC().Format(time.RFC3339))
		}
	}
	return waits
}

// waitingFor returns how many recipients wait for the same thing.
func (s Status) waitingFor(w report.Wait) int64 {
	lane := ""
	if w.For == report.ForLane {
		_, lane, _ = strings.Cut(w.What, "/")
	}

	var n int64
	for part, counts := range s.Parts {
		if lane == "" || part < len(campaign.Providers) && string(campaign.Providers[part]) == lane {
			n += counts.Open()
		}
	}
	return n
}
