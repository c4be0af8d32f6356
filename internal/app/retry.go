package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/letter"
	"broadside/internal/report"
	"broadside/scheduler"
)

// A Retry says which recipients of a run that is over are retried, in a run that is
// linked to it. That has the content, accounts and settings of the run, whatever
// became of the files.
type Retry struct {
	// State is the state of the recipients: Failed or Bounced, which get a message of
	// the new run; or Uncertain, which are sent the same message again, with its
	// Message-ID, return path and unsubscribe link.
	State  campaign.State
	Reason string // only those whose last reply says so (see reasonMatches); empty: all
	// Again makes another run although the same recipients were retried before. Those
	// that got the message there, may have got it or are still getting it are left out.
	Again    bool
	Rate     float64          // in place of that of the run; 0: the same
	Limit    int64            // the first so many recipients; 0: all
	Confirm  func(Plan) error // as of a Launch
	Progress func(rows int64) // as of a Launch
}

// once names the same question about the same run.
func (o Retry) once(run string) string {
	text := "retry:" + run + ":" + o.State.String()
	if o.Reason != "" {
		sum := sha256.Sum256([]byte(strings.ToLower(o.Reason)))
		text += ":" + hex.EncodeToString(sum[:8])
	}
	return text
}

// Retry makes a run that is linked to the run. ErrRefused when that is not
// over, when there is no recipient to retry, and when they were retried before.
func (a *App) Retry(ctx context.Context, id string, o Retry) (Launched, error) {
	p, rows, err := a.prepareRetry(ctx, id, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()
	line, err := a.ancestry(ctx, rows.of)
	if err != nil {
		return Launched{}, err
	}

	// One of a family at a time: each leaves out the recipients that the others have reached.
	lease, err := a.maker.Lease(ctx, line[0].ID, "retried")
	if err != nil {
		return Launched{}, err
	}
	defer lease.Release(ctx)
	p.in.Changed = func(ctx context.Context) (bool, error) { return rows.changed(ctx, lease) }
	if p.in.Select.Excluded, err = a.reached(ctx, line, o.State); err != nil {
		return Launched{}, err
	}
	launched, err := a.make(ctx, p, o.Confirm)
	if before, ok := errors.AsType[*scheduler.RepeatedError](err); ok {
		return Launched{}, rows.retriedBefore(ctx, before)
	}
	return launched, err
}

// PlanRetry says what Retry would do, and which run would keep it from doing
// it, if any. It writes nothing.
func (a *App) PlanRetry(ctx context.Context, id string, o Retry) (plan Plan, before string, err error) {
	p, rows, err := a.prepareRetry(ctx, id, o)
	if err != nil {
		return Plan{}, "", err
	}
	defer p.close()
	line, err := a.ancestry(ctx, rows.of)
	if err != nil {
		return Plan{}, "", err
	}
	if p.in.Select.Excluded, err = a.reached(ctx, line, o.State); err != nil {
		return Plan{}, "", err
	}
	if plan, err = a.dryPlan(ctx, p); err != nil {
		return Plan{}, "", err
	}
	if !o.Again {
		before, err = a.standing(ctx, p.spec.Once)
	}
	return plan, before, err
}

// prepareRetry reads what the run was made from. The caller closes what it returns.
func (a *App) prepareRetry(ctx context.Context, id string, o Retry) (*prepared, *retryRows, error) {
	rec, err := a.over(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := a.Ledger.Snapshot(ctx, rec.Handle())
	if err != nil {
		return nil, nil, err
	}
	if err := a.stillConfigured(id, snapshot.Accounts); err != nil {
		return nil, nil, err
	}

	rows := &retryRows{a: a, of: rec, retry: o, columns: len(snapshot.Columns), resent: snapshot.Origin != ""}
	spec := a.retrySpec(rec, *snapshot, o)
	if err := letter.Check(a.Config, spec.Snapshot); err != nil {
		return nil, nil, fmt.Errorf("compile the content of run %s: %w", id, err)
	}
	source := campaign.Definition{File: "run " + id, From: snapshot.From, Subject: snapshot.Subject}
	if err := a.checkDurability(ctx, spec.Delivery, source.Problem); err != nil {
		return nil, nil, err
	}

	p := &prepared{spec: spec, rows: rows, warnings: append(source.Warnings(), letter.WarnPostal(a.Config, spec.Snapshot)...)}
	p.in = scheduler.Input{
		Rows: rows, Select: scheduler.Selection{Limit: o.Limit, Topic: rec.Topic, OnlyTo: a.onlyTo()}, Progress: o.Progress,
		Explain: func(err error) error {
			if errors.Is(err, scheduler.ErrNobody) {
				return rows.noRecipients()
			}
			return audienceError(spec.Audience, err)
		},
	}
	return p, rows, rows.begin(ctx)
}

// retrySpec is the run that retries recipients of a run: it is what that was, but for
// what the options change.
func (a *App) retrySpec(rec *ledger.Record, s campaign.Snapshot, o Retry) campaign.RunSpec {
	spec := campaign.RunSpec{
		Snapshot: s, Guard: rec.Guard, Audience: describe(rec.ID, o), Parent: rec.ID, Once: o.once(rec.ID), Again: o.Again,
		Delivery: campaign.Delivery{
			Retry: rec.Retry, MaxAttempts: rec.Attempts, ExpiresAfter: rec.Expires,
			OnUncertain: campaign.Hold, Durability: campaign.Fast,
		},
	}
	if rec.Resend {
		spec.Delivery.OnUncertain = campaign.Resend
	}
	if rec.Replicated {
		spec.Delivery.Durability = campaign.Replicated
	}

	spec.Guard.Canary = 0 // the content is not new
	if o.Rate > 0 {
		spec.Snapshot.Rate = o.Rate
	}
	switch {
	case o.State != campaign.Uncertain:
		spec.Snapshot.Origin = ""
	case s.Origin == "":
		spec.Snapshot.Origin = rec.ID
	}
	return spec
}

// stillConfigured makes sure that the accounts of a run are still there.
func (a *App) stillConfigured(id string, accounts []string) error {
	for _, name := range accounts {
		if _, ok := a.Config.Accounts[name]; !ok {
			return invalid(fmt.Sprintf("run %s was sent by account %q, and %s has none of that name any more; %s", id, name, a.Config.Where(), configs.Known(name, a.Config.Accounts)))
		}
	}
	return a.checkWays(accounts)
}

// over returns the record of a run that is over.
func (a *App) over(ctx context.Context, id string) (*ledger.Record, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case rec.Handle() == nil:
		return nil, refused(fmt.Sprintf("run %s is %s: nothing was sent by it", id, rec.State))
	case rec.State.Over() && rec.Finished.IsZero():
		return nil, refused(fmt.Sprintf("run %s is %s, and still has messages on the wire: `broadside run watch %s` says when their replies have come", id, rec.State, id))
	case !rec.State.Over():
		return nil, refused(fmt.Sprintf("run %s is %s: only a run that is over can be sent once more\n  broadside run watch %s     waits for its end\n  broadside run cancel %s    ends it", id, rec.State, id, id))
	}
	return rec, nil
}

// describe names the recipients of a retry, without an address.
func describe(id string, o Retry) string {
	text := "run:" + id + " " + o.State.String()
	if o.Reason != "" {
		text += ", reason " + report.Redact(o.Reason)
	}
	return text
}

// ancestry returns the runs that a run follows, the first one first, and itself
// at the end.
func (a *App) ancestry(ctx context.Context, rec *ledger.Record) ([]*ledger.Record, error) {
	line := []*ledger.Record{rec}
	for rec.Parent != "" {
		parent, err := a.Ledger.Record(ctx, rec.Parent)
		if ledger.Gone(err) {
			break // its time of retention is over
		}
		if err != nil {
			return nil, err
		}
		line, rec = append(line, parent), parent
	}
	slices.Reverse(line)
	return line, nil
}

// reached returns which recipients are left out of a retry of the last run of a line:
// those that another run of the family has reached, may have reached or is sending
// to. One that is uncertain there may have been accepted by an earlier run.
func (a *App) reached(ctx context.Context, line []*ledger.Record, state campaign.State) (func([32]byte) bool, error) {
	before := line[:len(line)-1]
	if state != campaign.Uncertain {
		before = nil
	}
	others, err := a.Runs.Linked(ctx, line[0])
	if err != nil {
		return nil, err
	}
	others = slices.DeleteFunc(others, func(r *ledger.Record) bool {
		return slices.ContainsFunc(line, func(of *ledger.Record) bool { return of.ID == r.ID })
	})
	if len(before)+len(others) == 0 {
		return nil, nil
	}
	var seen audience.Seen
	accepted := func(s campaign.State) bool { return s == campaign.Accepted }
	if err := a.Runs.Collect(ctx, before, &seen, accepted); err != nil {
		return nil, err
	}
	err = a.Runs.Collect(ctx, others, &seen, func(s campaign.State) bool {
		return accepted(s) || s == campaign.Uncertain || !s.Final()
	})
	return seen.Has, err
}

// flags are the command and the flags that ask for the same recipients.
func (o Retry) flags() (verb, flags string) {
	if o.State == campaign.Uncertain {
		return "run resolve", "--uncertain resend"
	}
	flags = "--state " + o.State.String()
	if o.Reason != "" {
		flags += fmt.Sprintf(" --reason %q", o.Reason)
	}
	return "run retry", flags
}

// noRecipients says why no recipient is left.
func (r *retryRows) noRecipients() error {
	id := r.of.ID
	text := map[campaign.State]string{campaign.Failed: "failed", campaign.Bounced: "bounced", campaign.Uncertain: "is uncertain"}[r.retry.State]
	text = fmt.Sprintf("no recipient of run %s %s", id, text)
	switch {
	case r.matching > 0:
		text = fmt.Sprintf("all %d of run %s that it is about have got the message since, may have got it, or are getting it by a run that is linked to it (broadside run show %s)", r.matching, id, id)
	case r.retry.Reason != "":
		text += fmt.Sprintf(" with a reply like %q (broadside run recipients %s --state %s)", r.retry.Reason, id, r.retry.State)
	}
	return refused(text + "; nothing was sent")
}

// retriedBefore explains why the same recipients are not retried again.
func (r *retryRows) retriedBefore(ctx context.Context, before *scheduler.RepeatedError) error {
	verb, flags := r.retry.flags()
	return doneBefore("these recipients were already retried: run "+before.Run+r.a.progressOf(ctx, before.Record),
		[2]string{fmt.Sprintf("broadside %s %s %s", verb, before.Run, flags), "retries those of them with whom it went the same way there"},
		[2]string{fmt.Sprintf("broadside %s %s %s --again", verb, r.of.ID, flags), "retries those who have not got the message since"})
}
