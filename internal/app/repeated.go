package app

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/scheduler"
)

// launchedBefore explains why a campaign is not launched again.
func (a *App) launchedBefore(ctx context.Context, def *campaign.Definition, before *scheduler.RepeatedError) error {
	head := fmt.Sprintf("campaign %s was launched before: run %s", def.ID, before.Run)
	if before.Record != nil {
		head += ", " + before.Record.Created.Format(time.RFC3339)
	}
	return doneBefore(head+a.progressOf(ctx, before.Record),
		[2]string{"broadside run resume " + before.Run, "goes on with it when it is paused"},
		[2]string{"broadside campaign launch " + def.File + " --again --exclude run:" + def.ID, "sends to those whom no run of the campaign has reached"},
		[2]string{"broadside campaign launch " + def.File + " --again", "sends to everybody once more"})
}

// progressOf says how far a run has come; nothing without a record.
func (a *App) progressOf(ctx context.Context, rec *ledger.Record) string {
	if rec == nil {
		return ""
	}
	text := ", " + string(rec.State)
	if tally, err := a.Ledger.Counts(ctx, rec.ID); err == nil {
		text += fmt.Sprintf(", %d of %d accepted", tally.Counts[campaign.Accepted], rec.Total())
	}
	return text
}

// doneBefore refuses what was done before, and shows the commands that may be meant
// with what each does.
func doneBefore(head string, commands ...[2]string) error {
	for _, c := range commands {
		head += "\n  " + c[0] + "\n      " + c[1]
	}
	return refused(head)
}
