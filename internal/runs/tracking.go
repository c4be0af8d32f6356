package runs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/report"
	"broadside/templates"
)

// tracking reads what readers did with the letters of a run; nil where that is not counted,
// or counted for the run whose messages this one sends again.
func (r *Runs) tracking(ctx context.Context, run *ledger.Run) (*report.Tracking, error) {
	s, err := r.Ledger.Snapshot(ctx, run)
	if ledger.Gone(err) || campaign.IsBroken(err) {
		return nil, nil // a report says what can be known
	}
	if err != nil {
		return nil, err
	}
	if !counts(s) {
		return nil, nil
	}
	return r.trackingOf(ctx, run, s)
}

// counts reports whether what readers do with the letters of a snapshot is counted.
func counts(s *campaign.Snapshot) bool { return s.Tracking.Any() && s.Origin == "" }

// trackingOf reads what readers did with the letters of a run that counts it.
func (r *Runs) trackingOf(ctx context.Context, run *ledger.Run, s *campaign.Snapshot) (*report.Tracking, error) {
	hits, err := r.Ledger.Hits(ctx, run)
	if err != nil {
		return nil, err
	}

	t := &report.Tracking{Machines: machines(hits), Parts: engagement(hits)}
	if s.Tracking.Opens {
		t.Opens = opens(hits)
	}
	if s.Tracking.Clicks {
		t.Clicks = clicks(hits, *s)
	}
	return t, nil
}

// trackingEvery is how often Wait reads opens and clicks.
const trackingEvery = 3 * time.Second

// A trackingReader reads now and then what readers do with the letters of one run. Of a run
// that does not count it, it reads the snapshot, once.
type trackingReader struct {
	runs     *Runs
	readAt   time.Time
	snapshot *campaign.Snapshot // nil: not read yet
	tracking *report.Tracking
}

// read returns what is counted, as far as it is known; nil where nothing is.
func (t *trackingReader) read(ctx context.Context, run *ledger.Run) *report.Tracking {
	now := time.Now()
	if run == nil || now.Sub(t.readAt) < trackingEvery || t.snapshot != nil && !counts(t.snapshot) {
		return t.tracking
	}
	t.readAt = now

	if t.snapshot == nil {
		s, err := t.runs.Ledger.Snapshot(ctx, run)
		if err != nil {
			return nil // it is tried again
		}
		t.snapshot = s
		if !counts(s) {
			return nil
		}
	}
	tracking, err := t.runs.trackingOf(ctx, run, t.snapshot)
	if err == nil {
		t.tracking = tracking
	}
	return t.tracking
}

// opens adds up the opens, by whose proxy asked.
func opens(hits *ledger.HitCounts) *report.Opens {
	o := &report.Opens{People: hits.Opened, ApplePeople: hits.Proxied}
	for _, c := range hits.Opens {
		if c.Alone {
			o.Apple += c.Count
			continue
		}
		o.Total += c.Count
		switch c.Proxy {
		case "google":
			o.Google += c.Count
		case "yahoo":
			o.Yahoo += c.Count
		}
	}
	return o
}

// clicks adds up the clicks, and names the links.
func clicks(hits *ledger.HitCounts, s campaign.Snapshot) *report.Clicks {
	c := &report.Clicks{People: hits.Clicked, Pending: hits.Held, Links: []report.LinkClicks{}}
	for _, n := range hits.Clicks {
		c.Total += n
	}

	links, _ := templates.Links(s) // without them the links have numbers
	for i, url := range links {
		c.Links = append(c.Links, report.LinkClicks{URL: url, Clicks: hits.Links[i+1]})
	}
	for n := len(links) + 1; n <= templates.MaxLinks; n++ {
		if hits.Links[n] > 0 {
			c.Links = append(c.Links, report.LinkClicks{URL: fmt.Sprintf("link %d", n), Clicks: hits.Links[n]})
		}
	}
	return c
}

// machines adds up what was no reader's, by reason.
func machines(hits *ledger.HitCounts) []report.Machine {
	all := []report.Machine{}
	at := map[string]int{}
	for _, m := range hits.Machines {
		i, ok := at[m.Reason]
		if !ok {
			i = len(all)
			at[m.Reason] = i
			all = append(all, report.Machine{Reason: m.Reason})
		}
		if m.Click {
			all[i].Clicks += m.Count
		} else {
			all[i].Opens += m.Count
		}
	}
	slices.SortFunc(all, func(a, b report.Machine) int { return cmp.Compare(a.Reason, b.Reason) })
	return all
}

// engagement adds up opens and clicks by mailbox provider.
func engagement(hits *ledger.HitCounts) []report.PartEngagement {
	of := map[int]*report.PartEngagement{}
	part := func(n int) *report.PartEngagement {
		if of[n] == nil {
			of[n] = &report.PartEngagement{}
		}
		return of[n]
	}
	for _, c := range hits.Opens {
		if c.Alone {
			part(c.Part).Apple += c.Count
		} else {
			part(c.Part).Opens += c.Count
		}
	}
	for n, count := range hits.Clicks {
		part(n).Clicks += count
	}

	all := []report.PartEngagement{}
	for n, provider := range campaign.Providers {
		if p := of[n]; p != nil {
			p.Provider = provider
			all = append(all, *p)
		}
	}
	return all
}
