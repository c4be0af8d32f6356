package app

import (
	"context"

	"broadside/internal/courier"
	"broadside/internal/subscribe"
	"broadside/throttle"
)

// Subscriptions returns the forms on which people subscribe, and sends what they ask for
// where its Run runs.
func (a *App) Subscriptions() (*subscribe.Service, error) {
	if err := a.Config.RequireSecrets(); err != nil {
		return nil, err
	}
	return subscribe.New(subscribe.Config{
		Settings: a.Config, Keys: a.keys, Store: a.Subscribers, Suppression: a.Suppression, Courier: a.courier(), Import: a.ImportList, Log: a.log,
	})
}

// courier returns what sends single messages.
func (a *App) courier() *courier.Courier {
	return &courier.Courier{
		Config: a.Config, Pacer: a.pacer, Accounts: a.Accounts, Tokens: a.Tokens, Held: a.held,
		// A worker in this process counts its connections for itself.
		Conns: throttle.NewConns(a.store.Client(), a.Config.Namespace, a.store.Lua),
		Workers: func(ctx context.Context) (int, error) {
			workers, err := a.Ledger.Workers(ctx)
			return len(workers), err
		},
	}
}
