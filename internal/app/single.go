package app

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/internal/api"
	"broadside/internal/courier"
	"broadside/internal/letter"
	"broadside/internal/sealed"
	"broadside/internal/single"
	"broadside/throttle"
)

// Singles returns what takes single messages, and sends them where its Run runs.
func (a *App) Singles() (*single.Service, error) {
	if err := a.Config.RequireSecrets(); err != nil {
		return nil, err
	}
	seal, err := sealed.New(revealed(a.Config.Secrets), single.Purpose)
	if err != nil {
		return nil, err
	}
	return single.New(single.Config{
		Settings: a.Config, Keys: a.keys, Seal: seal, Store: a.SingleStore, Suppression: a.Suppression, Courier: a.courier(),
		Read: func(ctx context.Context, file string) (*campaign.Definition, campaign.Snapshot, error) {
			return letter.ReadSingle(ctx, a.Config, file)
		},
		Local:    a.Embedded(),
		Classify: a.rules.Classify, Log: a.log,
	}), nil
}

// sendSingles sends single messages until ctx ends. Without secrets there are none.
func (a *App) sendSingles(ctx context.Context) error {
	singles, err := a.Singles()
	if err != nil {
		return err
	}
	sweeping, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return a.courier().Sweep(sweeping) })
	err = singles.Run(ctx)
	stop()
	return errors.Join(err, g.Wait())
}

// apiHandler returns what answers programs over HTTP.
func (a *App) apiHandler() (http.Handler, error) {
	singles, err := a.Singles()
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{Tokens: a.Access, Messages: singles, Dir: filepath.Dir(a.Config.FileName()), Log: a.log}), nil
}

// courier returns what sends single messages.
func (a *App) courier() *courier.Courier {
	return courier.New(courier.Config{
		Settings: a.Config, Pacer: a.pacer, Accounts: a.Accounts, Lanes: a.Lanes, Tokens: a.Tokens, Held: a.held,
		// A worker in this process counts its connections for itself.
		Conns: throttle.NewConns(a.store.Client(), a.Config.Namespace, a.store.Lua),
		Workers: func(ctx context.Context) (int, error) {
			workers, err := a.Ledger.Workers(ctx)
			return len(workers), err
		},
		Redis: a.store.Client(), Prefix: a.Config.Namespace,
	})
}
