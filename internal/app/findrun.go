package app

import (
	"context"
	"slices"

	"broadside/campaign"
)

// FindRun returns the run that text means: the id of a run; the id of a
// campaign, which stands for its latest run; or the beginning of the id of exactly
// one run. latest: it was found as the latest of its campaign. ledger.ErrNoRun
// when there is none, or several are meant.
func (a *App) FindRun(ctx context.Context, text string) (id string, latest bool, err error) {
	ids, err := a.Ledger.List(ctx, "")
	if err != nil {
		return "", false, err
	}
	if slices.Contains(ids, text) {
		return text, false, nil
	}
	if i := slices.IndexFunc(ids, func(id string) bool { return campaign.OfRun(id) == text }); i >= 0 {
		return ids[i], true, nil // the newest come first
	}
	id, err = a.Ledger.Find(ctx, text)
	return id, false, err
}
