package app

import (
	"context"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// LaunchedBefore returns the run that keeps a campaign without cron from
// being launched again; empty when there is none.
func (a *App) LaunchedBefore(ctx context.Context, name string) (string, error) {
	return a.standing(ctx, campaign.OnceCampaign(name))
}

// standing returns the run that a name stands for, unless it failed.
func (a *App) standing(ctx context.Context, once string) (string, error) {
	id, err := a.Ledger.Named(ctx, once)
	if err != nil || id == "" {
		return "", err
	}
	switch rec, err := a.Ledger.Record(ctx, id); {
	case ledger.Gone(err):
		return id, nil
	case err != nil:
		return "", err
	case rec.State == campaign.RunFailed:
		return "", nil
	}
	return id, nil
}
