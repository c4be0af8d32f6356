package launch

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/scheduler"
)

// LaunchedBefore returns the run that keeps a campaign without cron from being launched
// again; empty when there is none.
func (l *Launcher) LaunchedBefore(ctx context.Context, name string) (string, error) {
	return l.standing(ctx, campaign.OnceCampaign(name))
}

// standing returns the run that a name stands for; empty when there is none, or it
// failed.
func (l *Launcher) standing(ctx context.Context, once string) (string, error) {
	id, err := l.Ledger.Named(ctx, once)
	if err != nil || id == "" {
		return "", err
	}

	rec, err := l.Ledger.Record(ctx, id)
	switch {
	case ledger.Gone(err):
		return id, nil
	case err != nil:
		return "", err
	case rec.State == campaign.RunFailed:
		return "", nil
	}

	return id, nil
}

// launchedBefore explains why a campaign is not launched again.
func (l *Launcher) launchedBefore(ctx context.Context, def *campaign.Definition, before *scheduler.RepeatedError) error {
	head := fmt.Sprintf("campaign %s was launched before: run %s", def.ID, before.Run)
	if before.Record != nil {
		head += ", " + before.Record.Created.Format(time.RFC3339)
	}
	return doneBefore(head+l.progressOf(ctx, before.Record),
		[2]string{"broadside run resume " + before.Run, "continues it when it is paused"},
		[2]string{"broadside campaign launch " + def.File + " --again --exclude run:" + def.ID, "sends to the recipients that no run of the campaign has reached"},
		[2]string{"broadside campaign launch " + def.File + " --again", "sends to all recipients again"})
}

// progressOf says how far a run has come; empty when its record is nil.
func (l *Launcher) progressOf(ctx context.Context, rec *ledger.Record) string {
	if rec == nil {
		return ""
	}
	text := ", " + string(rec.State)
	if tally, err := l.Ledger.Counts(ctx, rec.ID); err == nil {
		text += fmt.Sprintf(", %d of %d accepted", tally.Counts[campaign.Accepted], rec.Total())
	}
	return text
}

// doneBefore refuses to do something a second time. It shows the commands that the
// operator may want instead, each with what it does.
func doneBefore(head string, commands ...[2]string) error {
	for _, c := range commands {
		head += "\n  " + c[0] + "\n      " + c[1]
	}
	return failure.Refused(head)
}
