package account

import (
	"context"
	"time"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/throttle"
)

// A State is an account as it is configured, and how it stands now.
type State struct {
	Name   string `json:"name"`
	Preset string `json:"preset"` // empty: none
	Stream string `json:"stream"`
	Host   string `json:"host"`
	Port   int    `json:"port"`
	TLS    string `json:"tls"`
	Limits Limits `json:"limits"`
	Used   Used   `json:"used"`
	// Warmup is the day that it is; nil: there is no warm-up, or it is over.
	Warmup *Warmup `json:"warmup"`
	// Connections are those that are open now, over all processes.
	Connections int     `json:"connections"`
	Closed      *Closed `json:"closed"` // nil: it is open
}

// Limits are the ceilings of an account over all processes; a rate and a quota of 0 is none.
type Limits struct {
	RatePerS              float64 `json:"rate_per_s"`
	PerHour               int     `json:"per_hour"`
	PerDay                int     `json:"per_day"`
	Connections           int     `json:"connections"`
	ConnectionRatePerS    float64 `json:"connection_rate_per_s"`
	MessagesPerConnection int     `json:"messages_per_connection"`
}

// LimitsOf returns limits as they are shown.
func LimitsOf(l configs.Limits) Limits {
	return Limits{
		RatePerS: l.Rate, PerHour: l.PerHour, PerDay: l.PerDay, Connections: l.Connections,
		ConnectionRatePerS: l.ConnectionRate, MessagesPerConnection: l.MessagesPerConnection,
	}
}

// Used counts the messages of the last 60 minutes and of the last 24 hours, where
// there is a quota of them.
type Used struct {
	Hour int `json:"hour"`
	Day  int `json:"day"`
}

// A Warmup is one day of a warm-up; day 0 is before it begins.
type Warmup struct {
	Day       int `json:"day"`
	Allowance int `json:"allowance"`
	Used      int `json:"used"`
	Held      int `json:"held"` // steps not taken: too much was deferred or complained about
}

// Closed says why nothing is sent through an account just now.
type Closed struct {
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`  // when it opens by itself
	Remedy string    `json:"remedy"` // what an operator can do; empty: the reason says it
}

// A Store is where it is known how accounts stand, for all processes.
type Store struct {
	Accounts *throttle.Accounts
	Conns    *throttle.Conns
	Pacer    *throttle.Pacer
	Days     *throttle.Days
}

// Held returns how many steps of the warm-up of an account have not been taken; 0
// without a warm-up.
func (st Store) Held(ctx context.Context, acct configs.Account, now time.Time, zone *time.Location) (int, error) {
	if len(acct.Warmup.Days) == 0 {
		return 0, nil
	}
	days, err := st.Days.Read(ctx, acct.Name)
	if err != nil {
		return 0, err
	}
	return Held(acct.Warmup, days, now, zone), nil
}

// States returns all accounts as they stand at a moment, in the order of their names.
func (st Store) States(ctx context.Context, cfg *configs.Config, now time.Time) ([]State, error) {
	zone, _ := cfg.Location()
	names := Names(cfg)
	closed, err := st.Accounts.States(ctx, names...)
	if err != nil {
		return nil, err
	}

	states := []State{}
	for _, name := range names {
		acct := cfg.Accounts[name]
		held, err := st.Held(ctx, acct, now, zone)
		if err != nil {
			return nil, err
		}
		acct.Warmup = acct.Warmup.Later(held)
		s := configured(acct, now, zone)
		s.hold(held)
		used, err := st.Pacer.Used(ctx, name, Quotas(acct, now, zone, 0))
		if err != nil {
			return nil, err
		}
		s.count(used)
		counts, err := st.Conns.Counts(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, n := range counts {
			s.Connections += n
		}
		s.Closed = closedOf(closed, name)
		states = append(states, s)
	}

	return states, nil
}

// Closed returns why nothing is sent through an account now; nil when it is open.
func (st Store) Closed(ctx context.Context, name string) (*Closed, error) {
	closed, err := st.Accounts.States(ctx, name)
	if err != nil {
		return nil, err
	}
	return closedOf(closed, name), nil
}

// closedOf returns the closing of one account; nil when there is none.
func closedOf(closed map[string]throttle.State, name string) *Closed {
	c, found := closed[name]
	if !found || c.Code == string(codes.BrokenState) { // `doctor` names that
		return nil
	}
	return &Closed{Code: c.Code, Reason: c.Reason, Since: c.Since, Until: c.Until, Remedy: codes.Code(c.Code).Remedy()}
}

// configured is what the configuration says of an account at a moment.
func configured(acct configs.Account, now time.Time, zone *time.Location) State {
	s := State{
		Name: acct.Name, Preset: acct.Preset, Stream: acct.Stream,
		Host: acct.Host, Port: acct.Port, TLS: acct.TLS, Limits: LimitsOf(acct.Limits),
	}
	if day, allowance, _, _, on := acct.Warmup.Day(now, zone); on {
		s.Warmup = &Warmup{Day: day, Allowance: allowance}
	}
	return s
}

// hold notes steps of the warm-up that were not taken.
func (s *State) hold(held int) {
	if s.Warmup != nil {
		s.Warmup.Held = held
	}
}

// count fills in how many messages count for the quotas of the account.
func (s *State) count(used []throttle.Usage) {
	for _, u := range used {
		switch u.Quota.Name {
		case QuotaHour:
			s.Used.Hour = u.Used
		case QuotaDay:
			s.Used.Day = u.Used
		case QuotaWarmup:
			s.Warmup.Used = u.Used
		}
	}
}
