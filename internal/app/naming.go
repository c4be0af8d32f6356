package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// nameRun chooses the id of the run, and keeps a campaign without cron from
// being launched twice.
func (a *App) nameRun(ctx context.Context, def *campaign.Definition, o Launch) (string, error) {
	id := campaign.RunID(def.ID, time.Now())
	once := "campaign:" + def.ID
	if def.Schedule.Cron == "" && !o.Again && o.Key == "" {
		named, err := a.Ledger.Once(ctx, once, id)
		if err != nil {
			return "", err
		}
		rec, err := a.Ledger.Record(ctx, named)
		switch {
		case ledger.Gone(err) && named == id:
			return id, nil
		case err != nil && !ledger.Gone(err):
			return "", err
		case err == nil && rec.State == campaign.Expanding:
			return named, nil // that launch died, or is under way: expand decides
		case err != nil || rec.State != campaign.RunFailed: // one that failed does not count
			return "", a.repetition(ctx, def, rec, named)
		}
	}
	// A second run of the same second gets a number.
	first := id
	for n := 2; ; n++ {
		if _, err := a.Ledger.Record(ctx, id); ledger.Gone(err) {
			break
		} else if err != nil {
			return "", err
		}
		id = first + "-" + itoa(n)
	}
	if def.Schedule.Cron == "" {
		return id, a.Ledger.Again(ctx, once, id)
	}
	return id, nil
}

// repetition explains why a campaign is not launched again.
func (a *App) repetition(ctx context.Context, def *campaign.Definition, rec *ledger.Record, id string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "campaign %s was launched before: run %s", def.ID, id)
	if rec != nil {
		fmt.Fprintf(&b, ", %s, %s", rec.Created.Format(time.RFC3339), rec.State)
		if tally, err := a.Ledger.Counts(ctx, id); err == nil {
			fmt.Fprintf(&b, ", %d of %d accepted", tally.Counts[campaign.Accepted], rec.Total())
		}
	}
	for _, way := range [][2]string{
		{"broadside run resume " + id, "goes on with it when it is paused"},
		{"broadside campaign launch " + def.File + " --again --exclude run:" + id, "sends to those who have not got it"},
		{"broadside campaign launch " + def.File + " --again", "sends to everybody once more"},
	} {
		fmt.Fprintf(&b, "\n  %s\n      %s", way[0], way[1])
	}
	return refused(b.String())
}
