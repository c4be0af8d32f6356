package app

import "broadside/internal/subscribe"

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
