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
	Host   string `json:"host"`
	Port   int    `json:"port"`
	TLS    string `json:"tls"`
	Limits Limits `json:"limits"`
	// Connections are those that are open now, over all processes.
	Connections int     `json:"connections"`
	Closed      *Closed `json:"closed"` // nil: it is open
}

// Limits are the ceilings of an account over all processes.
type Limits struct {
	RatePerS              float64 `json:"rate_per_s"` // 0: none
	Connections           int     `json:"connections"`
	MessagesPerConnection int     `json:"messages_per_connection"`
}

// LimitsOf returns the limits of an account.
func LimitsOf(acct configs.Account) Limits {
	l := acct.Limits
	return Limits{RatePerS: l.Rate, Connections: l.Connections, MessagesPerConnection: l.MessagesPerConnection}
}

// Closed says why nothing is sent through an account just now.
type Closed struct {
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // when it opens by itself
}

// States returns all accounts, in the order of their names.
func States(ctx context.Context, cfg *configs.Config, accounts *throttle.Accounts, conns *throttle.Conns) ([]State, error) {
	names := Names(cfg)
	closed, err := accounts.States(ctx, names...)
	if err != nil {
		return nil, err
	}

	states := []State{}
	for _, name := range names {
		acct := cfg.Accounts[name]
		s := State{Name: name, Host: acct.Host, Port: acct.Port, TLS: acct.TLS, Limits: LimitsOf(acct)}
		counts, err := conns.Counts(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, n := range counts {
			s.Connections += n
		}
		if c, ok := closed[name]; ok && c.Code != string(codes.BrokenState) { // `doctor` names that
			s.Closed = &Closed{c.Code, c.Reason, c.Since, c.Until}
		}
		states = append(states, s)
	}

	return states, nil
}
