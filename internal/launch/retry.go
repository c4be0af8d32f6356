package launch

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
	"broadside/internal/failure"
	"broadside/internal/letter"
	"broadside/internal/report"
	"broadside/scheduler"
)

// RetryOptions say which recipients of a run that is over are sent to again. They get a
// run of their own, linked to the first one, with its content, accounts and settings:
// the files of the campaign are not read again.
type RetryOptions struct {
	// State is the state of the recipients: Failed or Bounced, which get a message of
	// the new run; or Uncertain, which are sent the same message again, with its
	// Message-ID, return path and unsubscribe link.
	State campaign.State
	// Reason selects those whose last reply has this text (see reasonMatches); empty: all.
	// Of those who bounced, ReasonStorm selects those whose suppression was taken away
	// again, because their server had refused everybody.
	Reason string
	// Again makes another run although the same recipients were retried before. Those
	// that got the message there, may have got it or are still getting it are left out.
	Again bool
	Rate  float64 // in place of the rate of the run; 0: the same
	Limit int64   // send to this many recipients, the first ones; 0: to all

	Confirm  func(Plan) error // as in Options
	Progress func(rows int64) // as in Options
}

// ReasonStorm is the Reason of a retry of bounced recipients that no server knows to be
// dead: see ledger.Storm.
const ReasonStorm = "storm"

// isStorm reports whether the recipients of a storm are retried.
func (o RetryOptions) isStorm() bool {
	return o.State == campaign.Bounced && o.Reason == ReasonStorm
}

// once is the name that a retry of the same recipients of the same run takes, so that it
// is made once.
func (o RetryOptions) once(run string) string {
	text := "retry:" + run + ":" + o.State.String()
	if o.Reason != "" {
		sum := sha256.Sum256([]byte(strings.ToLower(o.Reason)))
		text += ":" + hex.EncodeToString(sum[:8])
	}
	return text
}

// Retry makes a run that is linked to run id. The error is failure.ErrRefused when that
// run is not over, when it has no recipient to retry, and when they were retried before.
func (l *Launcher) Retry(ctx context.Context, id string, o RetryOptions) (Launched, error) {
	p, rows, err := l.prepareRetry(ctx, id, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()
	line, err := l.ancestry(ctx, rows.of)
	if err != nil {
		return Launched{}, err
	}

	// One run of a family is made at a time, because each leaves out the recipients that
	// the others have reached.
	lease, err := l.Maker.Lease(ctx, line[0].ID, "retried")
	if err != nil {
		return Launched{}, err
	}
	defer lease.Release(ctx)
	p.in.Changed = func(ctx context.Context) (bool, error) { return rows.changed(ctx, lease) }
	p.in.Select.Excluded, err = l.reached(ctx, line, o.State)
	if err != nil {
		return Launched{}, err
	}

	launched, err := l.makeRun(ctx, p, o.Confirm)
	if before, ok := errors.AsType[*scheduler.RepeatedError](err); ok {
		return Launched{}, rows.retriedBefore(ctx, before)
	}

	return launched, err
}

// PlanRetry says what Retry would do. before is the run because of which it would be
// refused; empty when there is none. PlanRetry writes nothing.
func (l *Launcher) PlanRetry(ctx context.Context, id string, o RetryOptions) (plan Plan, before string, err error) {
	p, rows, err := l.prepareRetry(ctx, id, o)
	if err != nil {
		return Plan{}, "", err
	}
	defer p.close()
	line, err := l.ancestry(ctx, rows.of)
	if err != nil {
		return Plan{}, "", err
	}

	p.in.Select.Excluded, err = l.reached(ctx, line, o.State)
	if err != nil {
		return Plan{}, "", err
	}

	plan, err = l.dryPlan(ctx, p)
	if err != nil {
		return Plan{}, "", err
	}

	if !o.Again {
		before, err = l.standing(ctx, p.spec.Once)
	}

	return plan, before, err
}

// prepareRetry reads what the run was made from, and checks that it can still be sent.
// The caller closes what it returns.
func (l *Launcher) prepareRetry(ctx context.Context, id string, o RetryOptions) (*prepared, *retryRows, error) {
	rec, err := l.over(ctx, id)
	if err != nil {
		return nil, nil, err
	}

	snapshot, err := l.Ledger.Snapshot(ctx, rec.Handle())
	if err != nil {
		return nil, nil, err
	}

	if err := l.stillConfigured(id, snapshot.Accounts); err != nil {
		return nil, nil, err
	}

	rows := &retryRows{launcher: l, of: rec, retry: o, columns: len(snapshot.Columns), resent: snapshot.Origin != ""}
	spec := l.retrySpec(rec, *snapshot, o)
	if err := letter.Check(l.Config, spec.Snapshot); err != nil {
		return nil, nil, fmt.Errorf("compile the content of run %s: %w", id, err)
	}

	source := campaign.Definition{File: "run " + id, From: snapshot.From, Subject: snapshot.Subject}
	if err := l.checkDurability(ctx, spec.Delivery, source.Problem); err != nil {
		return nil, nil, err
	}

	p := &prepared{spec: spec, rows: rows, warnings: append(source.Warnings(), letter.WarnPostal(l.Config, spec.Snapshot)...)}
	p.in = scheduler.Input{
		Rows: rows, Progress: o.Progress,
		Select: scheduler.Selection{Limit: o.Limit, Topic: rec.Topic, OnlyTo: l.onlyTo(), Domains: l.hasLane(snapshot.Accounts)},
		Explain: func(err error) error {
			if errors.Is(err, scheduler.ErrNoRecipients) {
				return rows.noRecipients()
			}
			return audienceError(spec.Audience, err)
		},
	}
	return p, rows, rows.begin(ctx)
}

// retrySpec is the run that retries recipients of the run of rec: the same, except for
// what the options change.
func (l *Launcher) retrySpec(rec *ledger.Record, s campaign.Snapshot, o RetryOptions) campaign.RunSpec {
	spec := campaign.RunSpec{
		Snapshot: s, Guard: rec.Guard, Window: rec.Window, High: rec.High, Audience: describe(rec.ID, o), Parent: rec.ID, Once: o.once(rec.ID), Again: o.Again,
		Delivery: campaign.Delivery{
			Retry: rec.Retry, MaxAttempts: rec.Attempts, ExpiresAfter: rec.Lasts,
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
	spec.Snapshot.SpreadRate = 0
	if o.Rate > 0 {
		spec.Snapshot.Rate = o.Rate
	}

	// A resend is the same message as in the run that sent it first; a retry is a new one.
	switch {
	case o.State != campaign.Uncertain:
		spec.Snapshot.Origin = ""
	case s.Origin == "":
		spec.Snapshot.Origin = rec.ID
	}

	return spec
}

// stillConfigured refuses accounts of a run that are no longer configured.
func (l *Launcher) stillConfigured(id string, accounts []string) error {
	for _, name := range accounts {
		if _, ok := l.Config.Accounts[name]; !ok {
			return failure.Invalid(fmt.Sprintf("run %s was sent by account %q, and %s no longer has an account of that name; %s", id, name, l.Config.Where(), configs.Known(name, l.Config.Accounts)))
		}
	}
	return l.checkAccounts(accounts)
}

// over returns the record of a run that is over.
func (l *Launcher) over(ctx context.Context, id string) (*ledger.Record, error) {
	rec, err := l.Ledger.Record(ctx, id)
	if err != nil {
		return nil, err
	}

	switch {
	case rec.Handle() == nil:
		return nil, failure.Refused(fmt.Sprintf("run %s is %s: it has sent nothing", id, rec.State))
	case rec.State.Over() && rec.Finished.IsZero():
		return nil, failure.Refused(fmt.Sprintf("run %s is %s, and still has messages on the wire: `broadside run watch %s` says when their replies have come", id, rec.State, id))
	case !rec.State.Over():
		return nil, failure.Refused(fmt.Sprintf("run %s is %s: only a run that is over can be sent again\n  broadside run watch %s     waits for its end\n  broadside run cancel %s    ends it", id, rec.State, id, id))
	}
	return rec, nil
}

// describe names the recipients of a retry for the record of its run, without addresses.
func describe(id string, o RetryOptions) string {
	text := "run:" + id + " " + o.State.String()
	if o.Reason != "" {
		text += ", reason " + report.Redact(o.Reason)
	}
	return text
}

// ancestry returns the run and those that it was made from, the oldest one first and
// the run itself last.
func (l *Launcher) ancestry(ctx context.Context, rec *ledger.Record) ([]*ledger.Record, error) {
	line := []*ledger.Record{rec}
	for rec.Parent != "" {
		parent, err := l.Ledger.Record(ctx, rec.Parent)
		if ledger.Gone(err) {
			break // its time of retention is over
		}
		if err != nil {
			return nil, err
		}
		line = append(line, parent)
		rec = parent
	}

	slices.Reverse(line)
	return line, nil
}

// reached returns which recipients are left out when the last run of line is retried:
// those that another run of the family has reached, may have reached or is sending to.
// When uncertain recipients are retried, also those whose message was accepted in an
// earlier run of the line.
func (l *Launcher) reached(ctx context.Context, line []*ledger.Record, state campaign.State) (func([32]byte) bool, error) {
	before := line[:len(line)-1]
	if state != campaign.Uncertain {
		before = nil
	}

	others, err := l.Runs.Linked(ctx, line[0])
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
	if err := l.Runs.Collect(ctx, before, &seen, accepted); err != nil {
		return nil, err
	}

	err = l.Runs.Collect(ctx, others, &seen, func(s campaign.State) bool {
		return accepted(s) || s == campaign.Uncertain || !s.Final()
	})
	return seen.Has, err
}

// flags are the command and the flags that select the same recipients.
func (o RetryOptions) flags() (verb, flags string) {
	if o.State == campaign.Uncertain {
		return "run resolve", "--uncertain resend"
	}
	flags = "--state " + o.State.String()
	if o.Reason != "" {
		flags += fmt.Sprintf(" --reason %q", o.Reason)
	}
	return "run retry", flags
}

// noRecipients explains why there is no recipient to retry.
func (r *retryRows) noRecipients() error {
	id := r.of.ID
	text := map[campaign.State]string{campaign.Failed: "failed", campaign.Bounced: "bounced", campaign.Uncertain: "is uncertain"}[r.retry.State]
	text = fmt.Sprintf("no recipient of run %s %s", id, text)
	switch {
	case r.matching > 0:
		text = fmt.Sprintf("all %d of run %s that match have got the message since, may have got it, or are getting it from a run that is linked to it (broadside run show %s)", r.matching, id, id)
	case r.retry.isStorm():
		text = fmt.Sprintf("no recipient of run %s who bounced has been taken off the suppression list by `broadside lane reset ACCOUNT/PROVIDER --discard`", id)
	case r.retry.Reason != "":
		text += fmt.Sprintf(" with a reply like %q (broadside run recipients %s --state %s)", r.retry.Reason, id, r.retry.State)
	}
	return failure.Refused(text + "; nothing was sent")
}

// retriedBefore explains why the same recipients are not retried again.
func (r *retryRows) retriedBefore(ctx context.Context, before *scheduler.RepeatedError) error {
	verb, flags := r.retry.flags()
	return doneBefore("these recipients were already retried: run "+before.Run+r.launcher.progressOf(ctx, before.Record),
		[2]string{fmt.Sprintf("broadside %s %s %s", verb, before.Run, flags), "retries those of them that ended the same way there"},
		[2]string{fmt.Sprintf("broadside %s %s %s --again", verb, r.of.ID, flags), "retries those that have not got the message since"})
}
