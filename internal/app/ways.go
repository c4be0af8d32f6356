package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"broadside/configs"
	"broadside/internal/account"
	"broadside/sender"
	"broadside/throttle"
)

// ways returns how a worker sends by each account of the configuration.
func (a *App) ways() ([]sender.AccountConfig, error) {
	zone, _ := a.Config.Location()
	var ways []sender.AccountConfig
	for _, acct := range a.Config.Accounts {
		if a.Embedded() && !acct.Loopback() {
			continue // the embedded store forgets at exit which recipients were mailed
		}
		way, err := a.way(acct, zone)
		if err != nil {
			return nil, err
		}
		ways = append(ways, way)
	}

	slices.SortFunc(ways, func(a, b sender.AccountConfig) int { return strings.Compare(a.Name, b.Name) })
	return ways, nil
}

func (a *App) way(acct configs.Account, zone *time.Location) (sender.AccountConfig, error) {
	smtp, err := account.SMTP(acct, a.Tokens)
	if err != nil {
		return sender.AccountConfig{}, err
	}

	l := acct.Limits
	way := sender.AccountConfig{
		Name: acct.Name, Relay: acct.Preset, SMTP: smtp,
		Rate: l.Rate, OpenRate: l.ConnectionRate, Connections: l.Connections,
		Lanes: map[string]sender.LaneLimit{},
	}
	for name, lane := range acct.Lanes {
		way.Lanes[name] = sender.LaneLimit{
			Rate: lane.Rate, Connections: lane.Connections, MessagesPerConnection: lane.MessagesPerConnection,
		}
	}
	if l.PerHour > 0 || l.PerDay > 0 || len(acct.Warmup.Days) > 0 {
		way.Quotas = func(now time.Time, held int) []throttle.Quota { return account.Quotas(acct, now, zone, held) }
	}
	if len(acct.Warmup.Days) > 0 {
		way.Warming = &sender.Warming{
			Date: func(now time.Time) string { return account.Date(now, zone) },
			Held: func(days map[string]throttle.Day, now time.Time) int {
				return account.Held(acct.Warmup, days, now, zone)
			},
		}
	}
	return way, nil
}

// nextSlot returns when the rates of a run and of one of its accounts allow the next
// message; the zero time when they do now.
func (a *App) nextSlot(ctx context.Context, run string, accounts []string) (time.Time, error) {
	// How fast the campaign may go does not matter for when its next slot is free.
	next, err := a.pacer.Next(ctx, throttle.Limit{Campaign: run, Rate: 1})
	if err != nil {
		return time.Time{}, err
	}

	var first time.Time
	for i, name := range accounts {
		at, err := a.pacer.Next(ctx, throttle.Limit{Account: name, Rate: a.Config.Accounts[name].Limits.Rate})
		if err != nil {
			return time.Time{}, err
		}
		if i == 0 || at.Before(first) {
			first = at
		}
	}
	if first.After(next) {
		next = first
	}
	return next, nil
}

// accounts is where it is known how accounts stand.
func (a *App) accounts() account.Store {
	return account.Store{Accounts: a.Accounts, Conns: a.conns, Pacer: a.pacer, Days: a.days}
}

// held returns how many steps of the warm-up of an account were not taken.
func (a *App) held(ctx context.Context, name string) (int, error) {
	zone, _ := a.Config.Location()
	return a.accounts().Held(ctx, a.Config.Accounts[name], time.Now(), zone)
}

// used returns what is used of the quotas of an account.
func (a *App) used(ctx context.Context, name string) ([]throttle.Usage, error) {
	zone, _ := a.Config.Location()
	acct, now := a.Config.Accounts[name], time.Now()
	held, err := a.accounts().Held(ctx, acct, now, zone)
	if err != nil {
		return nil, err
	}
	return a.pacer.Used(ctx, name, account.Quotas(acct, now, zone, held))
}
