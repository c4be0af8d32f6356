package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"broadside/campaign/codes"
	"broadside/configs"
)

// An AccountState is an account as it is configured, and how it fares now.
type AccountState struct {
	Name   string        `json:"name"`
	Host   string        `json:"host"`
	Port   int           `json:"port"`
	TLS    string        `json:"tls"`
	Limits AccountLimits `json:"limits"`
	// Connections are those that are open now, over all processes.
	Connections int            `json:"connections"`
	Closed      *AccountClosed `json:"closed"` // nil: it is open
}

// AccountLimits are the ceilings of an account over all processes.
type AccountLimits struct {
	RatePerS              float64 `json:"rate_per_s"` // 0: none
	Connections           int     `json:"connections"`
	MessagesPerConnection int     `json:"messages_per_connection"`
}

// AccountClosed says why nothing is sent through an account just now.
type AccountClosed struct {
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // when it opens by itself
}

func limitsOf(acct configs.Account) AccountLimits {
	l := acct.Limits
	return AccountLimits{RatePerS: l.Rate, Connections: l.Connections, MessagesPerConnection: l.MessagesPerConnection}
}

func (a *App) accountNames() []string { return slices.Sorted(maps.Keys(a.Config.Accounts)) }

// AccountStates returns all accounts by name.
func (a *App) AccountStates(ctx context.Context) ([]AccountState, error) {
	names := a.accountNames()
	closed, err := a.Accounts.States(ctx, names...)
	if err != nil {
		return nil, err
	}
	states := []AccountState{}
	for _, name := range names {
		acct := a.Config.Accounts[name]
		s := AccountState{Name: name, Host: acct.Host, Port: acct.Port, TLS: acct.TLS, Limits: limitsOf(acct)}
		counts, err := a.conns.Counts(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, n := range counts {
			s.Connections += n
		}
		if c, ok := closed[name]; ok && c.Code != string(codes.BrokenState) { // which `doctor` names
			s.Closed = &AccountClosed{c.Code, c.Reason, c.Since, c.Until}
		}
		states = append(states, s)
	}
	return states, nil
}
