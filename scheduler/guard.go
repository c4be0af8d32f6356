package scheduler

import (
	"context"
	"fmt"
	"math"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/configs/units"
)

// A rate says nothing about a few recipients: the first bounce of a run is
// 100 %. A run is judged from the tenth bad recipient on, when a hundred were
// tried or twenty are bad; complaints, which are rarer and weigh more, from
// [campaign.LeastComplaints] on.
const (
	leastBad   = 10
	leastTried = 100
	manyBad    = 20
)

// enough reports whether this many bad recipients, of those tried, are enough to
// judge the run by.
type enough func(code codes.Code, bad, tried int64) bool

func inFlight(code codes.Code, bad, tried int64) bool {
	if code == codes.GuardComplaint {
		return bad >= campaign.LeastComplaints
	}
	return bad >= leastBad && (tried >= leastTried || bad >= manyBad)
}

// ofCanary is enough for a canary, which is a sample of the size that was asked for.
// One bad recipient alone does not stop the run, unless only one was tried.
func ofCanary(_ codes.Code, bad, tried int64) bool { return bad >= min(2, tried) }

// A share is how many of a run's recipients had something happen to them.
type share struct {
	code       codes.Code
	limit      float64 // 0: none
	bad, tried int64
	what       string
}

// over reports whether the share is more than a limit.
func (s share) over(limit float64) bool {
	return s.bad > 0 && float64(s.bad)/float64(max(s.tried, 1)) > limit
}

// say returns the share in words.
func (s share) say() string {
	rate := float64(s.bad) / float64(max(s.tried, 1))
	return fmt.Sprintf("%s of %d %s", units.FormatPercent(math.Round(rate*1e4)/1e4), s.tried, s.what)
}

// breach returns which limit is exceeded, and how; an empty code for none.
// base is what had happened when the guards began to count.
func breach(g campaign.Guard, all, base campaign.Sample, isEnough enough) (codes.Code, string) {
	since := all.Since(base)
	rates := []share{
		{codes.GuardBounce, g.MaxBounceRate, since.Bounced, since.Tried(), "bounced"},
		{codes.GuardDeferral, g.MaxDeferralRate, since.Deferred, since.Tried(), "are deferred"},
	}
	for _, s := range append(rates, complaints(g, all, since)...) {
		if s.limit > 0 && s.over(s.limit) && isEnough(s.code, s.bad, s.tried) {
			return s.code, fmt.Sprintf("%s (limit %s)", s.say(), units.FormatPercent(s.limit))
		}
	}

	return "", ""
}

// complaints returns who complained: of all, and of those at each provider. Complaints
// come late, so they are compared with all who got the message.
func complaints(g campaign.Guard, all, since campaign.Sample) []share {
	out := []share{{codes.GuardComplaint, g.MaxComplaintRate, since.Complained, all.Accepted, "complained"}}
	for _, p := range campaign.Providers {
		if at := since.At[p]; at.Complained >= campaign.LeastComplaints && all.At[p].Accepted >= campaign.LeastAccepted {
			out = append(out, share{codes.GuardComplaint, g.MaxComplaintRate, at.Complained, all.At[p].Accepted, "at " + string(p) + " complained"})
		}
	}
	return out
}

// warn logs once, for the run and for each provider, that more complain than providers
// like to see.
func (f *Feeder) warn(s *sweep, rec *ledger.Record, all campaign.Sample) {
	if rec.Guard.MaxComplaintRate == 0 {
		return
	}
	for _, c := range complaints(rec.Guard, all, all) {
		if !c.over(campaign.ComplaintWarning) || c.bad < campaign.LeastComplaints || s.warned[c.what] {
			continue
		}
		s.warned[c.what] = true
		f.cfg.Log.Warn("many readers mark the run as spam", "run", rec.ID, "complaints", c.say(),
			"healthy_below", units.FormatPercent(campaign.ComplaintWarning), "pauses_above", units.FormatPercent(c.limit))
	}
}

// guard pauses a run that exceeds its limits, and watches over its canary. It
// reports whether the run was paused.
func (f *Feeder) guard(ctx context.Context, s *sweep, rec *ledger.Record, tally *ledger.Tally, now time.Time) (paused bool, err error) {
	all := tally.Sample()
	if code, why := breach(rec.Guard, all, rec.Watch.Base, inFlight); code != "" {
		return true, f.stop(ctx, rec, code, why)
	}
	f.warn(s, rec, all)

	switch ends := rec.CanaryEnds(); {
	case !rec.Canary():
		s.release()
		return false, nil
	case ends.IsZero():
		settled, err := f.canarySettled(ctx, s, tally.Counts, now)
		if err != nil || !settled {
			return false, err
		}
		f.cfg.Log.Info("canary is settled", "run", rec.ID, "accepted", all.Accepted, "goes_on_at", now.Add(rec.Guard.CanaryWait))
		return false, f.ledger.NoteCanarySettled(ctx, rec.ID, now)
	case now.Before(ends):
		return false, nil
	}

	if _, why := breach(rec.Guard.ForCanary(), all, rec.Watch.Base, ofCanary); why != "" {
		return true, f.stop(ctx, rec, codes.Canary, "of the first recipients, "+why)
	}

	f.cfg.Log.Info("canary is over: the rest is released", "run", rec.ID, "accepted", all.Accepted, "bounced", all.Bounced, "deferred", all.Deferred)
	s.release()

	return false, f.ledger.NoteCanaryOver(ctx, rec.ID, now)
}

// stop pauses a run. Recipients that are claimed already are still sent to: at most
// one message for each open connection.
func (f *Feeder) stop(ctx context.Context, rec *ledger.Record, code codes.Code, why string) error {
	paused, err := f.ledger.PauseFor(ctx, rec.ID, code, why)
	if paused {
		f.cfg.Log.Warn("run paused by a guard", "run", rec.ID, "code", string(code), "reason", why)
	}
	return err
}

// canarySettled reports whether every recipient of the canary has had an answer. It
// reads the cells when no recipient is under way, and at most once a second.
func (f *Feeder) canarySettled(ctx context.Context, s *sweep, c campaign.Counts, now time.Time) (bool, error) {
	if c[campaign.Issued]+c[campaign.Sending] > 0 || now.Before(s.looked.Add(time.Second)) {
		return false, nil
	}

	s.looked = now
	for _, p := range s.parts {
		for page := range p.due {
			cells, err := f.page(ctx, s.run, p.number, page)
			if err != nil {
				return false, err
			}
			for i, c := range cells {
				if (c.State == campaign.Pending || c.State == campaign.Issued || c.State == campaign.Sending) && p.early(page*ledger.PageCells+i) {
					return false, nil
				}
			}
		}
	}

	return true, nil
}

// shares divides a canary among parts by their sizes: what rounding leaves goes
// to the largest remainders. For a small audience the canary is all of it.
func shares(canary int, sizes []ledger.PartSize) []int {
	var total int64
	for _, p := range sizes {
		total += int64(p.Size)
	}

	out := make([]int, len(sizes))
	if total == 0 {
		return out
	}

	n := min(int64(canary), total)
	rest := make([]int64, len(sizes))
	left := n
	for i, p := range sizes {
		exact := n * int64(p.Size)
		out[i], rest[i] = int(exact/total), exact%total
		left -= exact / total
	}

	for ; left > 0; left-- {
		most := 0
		for i := range rest {
			if rest[i] > rest[most] {
				most = i
			}
		}
		out[most]++
		rest[most] = -1
	}

	return out
}
