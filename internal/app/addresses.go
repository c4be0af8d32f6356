package app

import (
	"context"
	"errors"
	"fmt"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
)

// Addresses reads addresses that a person named. The error is ErrInvalid, and has
// each one that cannot be mailed.
func Addresses(texts []string) ([]address.Address, error) {
	var all []address.Address
	var errs []error
	for _, text := range texts {
		a, err := address.Parse(text)
		if err != nil {
			errs = append(errs, invalid(fmt.Sprintf("%q is not an address: %v", text, err)))
			continue
		}
		all = append(all, a)
	}
	return all, errors.Join(errs...)
}

// Topic checks the name of a topic: any when none is declared in the configuration.
func (a *App) Topic(name string) error {
	if _, ok := a.Config.Topics[name]; ok || len(a.Config.Topics) == 0 {
		return nil
	}
	return invalid(fmt.Sprintf("no topic %q in %s", name, a.Config.Where()))
}

// Suppressed returns those of some addresses that must not get mail of a topic.
func (a *App) Suppressed(ctx context.Context, topic string, addresses []string) ([]string, error) {
	all, err := Addresses(addresses)
	if err != nil {
		return nil, err
	}
	keys := make([]suppression.Key, len(all))
	for i, address := range all {
		keys[i] = suppression.KeyOf(address.Canonical())
	}
	is, err := a.Suppression.Suppressed(ctx, topic, keys)
	if err != nil {
		return nil, err
	}
	var found []string
	for i, address := range all {
		if is[i] {
			found = append(found, address.String())
		}
	}
	return found, nil
}
