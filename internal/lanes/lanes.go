// Package lanes is for the people who look after the lanes of accounts: how each stands
// now and why, and how they close one, open it again, or decide about one that the storm
// guard has closed. What a lane has learnt, and how it slows down and climbs, is in
// package throttle; workers follow what is changed here within a second.
//
// Discarding the suppressions of a storm can be cut off at any point and repeated: the
// lane is opened last.
package lanes

import (
	"context"
	"maps"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/throttle"
)

// Lanes are the lanes of the accounts of an installation. They are safe for concurrent
// use.
type Lanes struct {
	Config      *configs.Config
	Learnt      *throttle.Lanes
	Conns       *throttle.Conns
	Ledger      *ledger.Ledger
	Suppression *suppression.Store
}

// A Lane is a lane as it stands at one moment. Rates are messages a second.
type Lane struct {
	Account  string
	Provider string // a mailbox provider, or a domain of the long tail
	State    throttle.LaneState
	Rate     *float64 // nil: no ceiling; 0: nothing leaves
	Ceiling  *float64 // that the configuration gives it; nil: none
	// Connections are those that are open for it, over all processes; nil: it has no limit
	// of its own, so they are not counted.
	Connections *int
	// Queued are the recipients of running runs that wait at the provider and may go by the
	// account; nil: they are not counted by domain.
	Queued *int64
	Code   string // why it is not open
	Reason string
	Since  time.Time // when its state began; zero: it is open
	Until  time.Time // slowed: when it next climbs; paused: the next probe; zero: no moment is known
}

// Name returns ACCOUNT/PROVIDER.
func (l Lane) Name() string { return l.Account + "/" + l.Provider }

// List returns the lanes of all accounts that are not open, have limits of their own, or
// have recipients that wait; by account and name.
func (s *Lanes) List(ctx context.Context, now time.Time) ([]Lane, error) {
	accounts := account.Names(s.Config)
	learnt, err := s.Learnt.Read(ctx, accounts...)
	if err != nil {
		return nil, err
	}
	queued, err := s.queued(ctx)
	if err != nil {
		return nil, err
	}

	all := []Lane{} // JSON of none is [], not null
	for _, name := range accounts {
		shown := map[string]bool{}
		for lane := range s.Config.Accounts[name].Lanes {
			shown[lane] = true
		}
		for lane, l := range learnt[name] {
			shown[lane] = shown[lane] || l.State(now) != throttle.LaneOpen || l.Code == string(codes.BrokenState)
		}
		for lane, n := range queued[name] {
			shown[lane] = shown[lane] || n > 0
		}
		for _, lane := range slices.Sorted(maps.Keys(shown)) {
			if !shown[lane] {
				continue
			}
			l, err := s.lane(ctx, now, Name{name, lane}, learnt[name][lane], queued)
			if err != nil {
				return nil, err
			}
			all = append(all, l)
		}
	}
	return all, nil
}

// show returns one lane that was just changed.
func (s *Lanes) show(ctx context.Context, now time.Time, name Name, l throttle.Lane) (Lane, error) {
	queued, err := s.queued(ctx)
	if err != nil {
		return Lane{}, err
	}
	return s.lane(ctx, now, name, l, queued)
}

// lane puts what is known of one lane together.
func (s *Lanes) lane(ctx context.Context, now time.Time, name Name, l throttle.Lane, queued map[string]map[string]int64) (Lane, error) {
	out := Lane{
		Account: name.Account, Provider: name.Lane, State: l.State(now),
		Code: l.Code, Reason: l.Reason, Since: l.Since, Until: l.Until,
	}
	if out.State == throttle.LaneOpen && out.Code != string(codes.BrokenState) { // why it was slowed down once
		out.Code, out.Reason = "", ""
		out.Since, out.Until = time.Time{}, time.Time{}
	}
	limits := s.Config.Accounts[name.Account].Lanes[name.Lane]
	if limits.Rate > 0 {
		out.Ceiling = &limits.Rate
	}
	out.Rate = rateOf(now, l, out.Ceiling)
	if out.State == throttle.LaneSlowed {
		out.Until = l.NextClimb(now)
	}
	if slices.Contains(campaign.Providers, campaign.Provider(name.Lane)) {
		n := queued[name.Account][name.Lane]
		out.Queued = &n
	}
	if limits.Connections == 0 {
		return out, nil
	}

	counts, err := s.Conns.Counts(ctx, name.String()) // the name under which workers count them
	if err != nil {
		return Lane{}, err
	}
	open := 0
	for _, n := range counts {
		open += n
	}
	out.Connections = &open
	return out, nil
}

// rateOf returns the rate of a lane with a ceiling (nil: none), nil when nothing bounds
// it.
func rateOf(now time.Time, l throttle.Lane, ceiling *float64) *float64 {
	rate := 0.0
	switch l.State(now) {
	case throttle.LaneOpen:
		return ceiling
	case throttle.LaneSlowed:
		rate = l.Rate(now)
		if ceiling != nil {
			rate = min(rate, *ceiling)
		}
	}
	return &rate
}

// queued returns how many recipients of running runs wait, by account and provider. Those
// of a run with several accounts count for each. A run that cannot be read is left out:
// `doctor` names it.
func (s *Lanes) queued(ctx context.Context) (map[string]map[string]int64, error) {
	ids, err := s.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}

	all := map[string]map[string]int64{}
	for _, id := range ids {
		rec, err := s.Ledger.Record(ctx, id)
		if ledger.Gone(err) || campaign.IsBroken(err) || err == nil && rec.State != campaign.Running {
			continue
		}
		if err != nil {
			return nil, err
		}
		tally, err := s.Ledger.Counts(ctx, id)
		if campaign.IsBroken(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, name := range rec.Accounts {
			if all[name] == nil {
				all[name] = map[string]int64{}
			}
			addWaiting(all[name], tally)
		}
	}
	return all, nil
}

// addWaiting adds the recipients of a run that wait to those of their providers.
func addWaiting(queued map[string]int64, tally *ledger.Tally) {
	for part, counts := range tally.Parts {
		if part >= 0 && part < len(campaign.Providers) {
			queued[string(campaign.Providers[part])] += counts[campaign.Pending] + counts[campaign.Issued] + counts[campaign.Deferred]
		}
	}
}
