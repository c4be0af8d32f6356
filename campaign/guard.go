package campaign

import (
	"time"

	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

// A Guard says when a run pauses itself. Rates are fractions from 0 to 1; 0 is
// no limit. It is stored with the run, as JSON.
type Guard struct {
	MaxBounceRate    float64       `json:"max_bounce_rate,omitempty"`    // max_bounce_rate: 5%, of those tried
	MaxDeferralRate  float64       `json:"max_deferral_rate,omitempty"`  // max_deferral_rate: 30%, of those tried
	MaxComplaintRate float64       `json:"max_complaint_rate,omitempty"` // max_complaint_rate: default 0.3%, of those accepted, in all and at each provider
	Canary           int           `json:"canary,omitempty"`             // canary: so many first; 0: none
	CanaryWait       time.Duration `json:"canary_wait,omitempty"`        // canary_wait: default 30m
}

// What applies where the file says nothing. The rates of bounces and deferrals are for
// the canary alone: what comes after it is held to the file's own limits only.
//
// Gmail asks bulk senders to stay below 0.1 % of complaints and never to reach 0.3 %
// (support.google.com/a/answer/81126), Yahoo to stay below 0.3 % (senders.yahooinc.com).
const (
	DefaultCanaryWait       = 30 * time.Minute
	DefaultMaxComplaintRate = 0.003
	CanaryMaxBounceRate     = 0.05
	CanaryMaxDeferralRate   = 0.3

	// ComplaintWarning is the rate from which people are warned, where it does not
	// pause the run.
	ComplaintWarning = 0.001
	// LeastComplaints is how many complaints say something about a run, or about a
	// provider where LeastAccepted got the message.
	LeastComplaints = 3
	LeastAccepted   = 100
)

const (
	maxCanary     = 1_000_000
	maxCanaryWait = 7 * 24 * time.Hour
)

// ForCanary returns the limits that the first recipients must keep.
func (g Guard) ForCanary() Guard {
	for _, r := range []struct {
		rate     *float64
		fallback float64
	}{
		{&g.MaxBounceRate, CanaryMaxBounceRate},
		{&g.MaxDeferralRate, CanaryMaxDeferralRate},
		{&g.MaxComplaintRate, DefaultMaxComplaintRate},
	} {
		if *r.rate == 0 {
			*r.rate = r.fallback
		}
	}

	return g
}

// A Sample counts the outcomes of some recipients of a run that guards look at. It is stored with the run, as JSON.
type Sample struct {
	Accepted   int64 `json:"accepted"`
	Bounced    int64 `json:"bounced"`
	Failed     int64 `json:"failed"`
	Uncertain  int64 `json:"uncertain"`
	Deferred   int64 `json:"deferred"` // now: a recipient that is deferred twice counts once
	Complained int64 `json:"complained"`

	At map[Provider]SampleAt `json:"at,omitempty"` // providers of which somebody complained
}

// A SampleAt is what of a sample belongs to one provider.
type SampleAt struct {
	Accepted   int64 `json:"accepted"`
	Complained int64 `json:"complained"`
}

// Since returns what came after the sample base.
func (s Sample) Since(base Sample) Sample {
	since := Sample{
		Accepted: max(0, s.Accepted-base.Accepted), Bounced: max(0, s.Bounced-base.Bounced),
		Failed: max(0, s.Failed-base.Failed), Uncertain: max(0, s.Uncertain-base.Uncertain),
		Deferred: max(0, s.Deferred-base.Deferred), Complained: max(0, s.Complained-base.Complained),
	}

	for p, at := range s.At {
		before := base.At[p]
		if since.At == nil {
			since.At = map[Provider]SampleAt{}
		}
		since.At[p] = SampleAt{Accepted: max(0, at.Accepted-before.Accepted), Complained: max(0, at.Complained-before.Complained)}
	}
	return since
}

// Tried returns how many recipients have had an answer of some kind.
func (s Sample) Tried() int64 {
	return s.Accepted + s.Bounced + s.Failed + s.Uncertain + s.Deferred
}

func (d *Definition) readGuard(m *strictyaml.Map) {
	g := &d.Guard
	strictyaml.Percent(m, "max_bounce_rate", &g.MaxBounceRate)
	strictyaml.Percent(m, "max_deferral_rate", &g.MaxDeferralRate)
	strictyaml.Percent(m, "max_complaint_rate", &g.MaxComplaintRate)
	strictyaml.Int(m, "canary", &g.Canary, 0, maxCanary, "a number of recipients")
	strictyaml.Duration(m, "canary_wait", &g.CanaryWait, time.Second, maxCanaryWait)
	if (m.Has("canary_wait") || g.Canary > 0) && g.CanaryWait >= d.Delivery.ExpiresAfter {
		m.Problem("canary_wait", "found %s, expected less than delivery.expires_after (%s): all others would be too late",
			units.FormatDuration(g.CanaryWait), units.FormatDuration(d.Delivery.ExpiresAfter))
	}
}
