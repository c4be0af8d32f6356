package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// A Retry says to whom of a run that is over its messages are sent once more,
// in a run that is linked to it: with the content, accounts and settings of
// that run, whatever became of the files.
type Retry struct {
	// State is that of the recipients: Failed or Bounced, who get a message of
	// the new run; or Uncertain, who get the same message once more, with its
	// Message-ID, return path and unsubscribe link.
	State  campaign.State
	Reason string // only those whose last reply says so (see reasonMatches); empty: all
	// Again makes another run although the same people were tried again before.
	// Who got the message there, may have got it or is still getting it is left out.
	Again    bool
	Rate     float64          // in place of that of the run; 0: the same
	Limit    int64            // the first so many recipients; 0: all
	Confirm  func(Plan) error // as of a Launch
	Progress func(rows int64) // as of a Launch
}

func (o Retry) launch() Launch {
	return Launch{Now: true, Again: o.Again, Rate: o.Rate, Limit: o.Limit, Confirm: o.Confirm, Progress: o.Progress}
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
// over, when nobody is to be tried again, and when they were tried before.
func (a *App) Retry(ctx context.Context, id string, o Retry) (Launched, error) {
	p, err := a.prepareRetry(ctx, id, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()
	line, err := a.ancestry(ctx, p.retry.of)
	if err != nil {
		return Launched{}, err
	}
	// One of a family at a time: each leaves out whom the others have reached.
	if p.retry.hold, err = a.hold(ctx, line[0].ID, "retried"); err != nil {
		return Launched{}, err
	}
	defer p.retry.hold.letGo(ctx)
	if p.sel.Excluded, err = a.reached(ctx, line, o.State); err != nil {
		return Launched{}, err
	}
	return a.launch(ctx, p, o.launch())
}

// PlanRetry says what Retry would do, and which run would keep it from doing
// it, if any. It writes nothing.
func (a *App) PlanRetry(ctx context.Context, id string, o Retry) (plan Plan, before string, err error) {
	p, err := a.prepareRetry(ctx, id, o)
	if err != nil {
		return Plan{}, "", err
	}
	defer p.close()
	line, err := a.ancestry(ctx, p.retry.of)
	if err != nil {
		return Plan{}, "", err
	}
	if p.sel.Excluded, err = a.reached(ctx, line, o.State); err != nil {
		return Plan{}, "", err
	}
	sp, err := scheduler.Expand(ctx, p.rows, p.sel, a.Suppression, nil, o.Progress)
	if err != nil {
		return Plan{}, "", a.audienceError(p, err)
	}
	if !o.Again {
		if before, err = a.standing(ctx, p.once); err != nil {
			return Plan{}, "", err
		}
	}
	plan, err = a.dryPlan(ctx, p, sp)
	return plan, before, err
}

// prepareRetry reads what the run was made from. The caller closes rows.
func (a *App) prepareRetry(ctx context.Context, id string, o Retry) (*prepared, error) {
	rec, err := a.over(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, err := a.Ledger.Snapshot(ctx, rec.Handle())
	if err != nil {
		return nil, err
	}
	if err := a.stillConfigured(id, snapshot.Accounts); err != nil {
		return nil, err
	}
	c := &chosen{a: a, of: rec, retry: o, columns: len(snapshot.Columns), placed: snapshot.Origin != ""}
	p := &prepared{def: definitionOf(rec, snapshot), snapshot: *snapshot, rows: c, retry: c, once: o.once(id), source: describe(id, o), guard: rec.Guard}
	p.guard.Canary = 0 // the content is not new
	if o.Rate > 0 {
		p.snapshot.Rate = o.Rate
	}
	switch {
	case o.State != campaign.Uncertain:
		p.snapshot.Origin = ""
	case !c.placed:
		p.snapshot.Origin = id
	}
	if err := letter.Check(a.Config, p.snapshot); err != nil {
		return nil, fmt.Errorf("compile the content of run %s: %w", id, err)
	}
	if err := a.checkDurability(ctx, p.def); err != nil {
		return nil, err
	}
	if p.sel, p.excluded, err = a.selection(ctx, p.def, o.launch()); err != nil {
		return nil, err
	}
	return p, c.begin(ctx)
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

// definitionOf returns what a run was launched as, as far as it is delivered
// by. There is no file: the content is in the snapshot.
func definitionOf(rec *ledger.Record, s *campaign.Snapshot) *campaign.Definition {
	def := &campaign.Definition{
		ID: rec.Campaign, Topic: rec.Topic, From: s.From, Subject: s.Subject, File: "run " + rec.ID,
		Delivery: campaign.Delivery{
			Accounts: s.Accounts, Rate: s.Rate, Retry: rec.Retry, MaxAttempts: rec.Attempts, ExpiresAfter: rec.Expires,
			OnUncertain: campaign.Hold, Durability: campaign.Fast,
		},
	}
	if rec.Resend {
		def.Delivery.OnUncertain = campaign.Resend
	}
	if rec.Replicated {
		def.Delivery.Durability = campaign.Replicated
	}
	return def
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

// reached returns who is left out of a retry of the last run of a line: who got
// the message by another run of the family, may have got it or is still getting
// it. Who is uncertain there may be accepted by a run before, after all.
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

// flags are those of the command line that ask for the same people.
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

// nobody says why there is nobody to send to.
func (c *chosen) nobody() error {
	id := c.of.ID
	text := map[campaign.State]string{campaign.Failed: "failed", campaign.Bounced: "bounced", campaign.Uncertain: "is uncertain"}[c.retry.State]
	text = fmt.Sprintf("nobody of run %s %s", id, text)
	switch {
	case c.n > 0:
		text = fmt.Sprintf("all %d of run %s that it is about have got the message since, may have got it, or are getting it by a run that is linked to it (broadside run show %s)", c.n, id, id)
	case c.retry.Reason != "":
		text += fmt.Sprintf(" with a reply like %q (broadside run recipients %s --state %s)", c.retry.Reason, id, c.retry.State)
	}
	return refused(text + "; nothing was sent")
}

// before explains why the same people are not sent to once more.
func (c *chosen) before(ctx context.Context, rec *ledger.Record, id string) error {
	verb, flags := c.retry.flags()
	return ways("they were sent to once more before: run "+id+c.a.sofar(ctx, rec),
		[2]string{fmt.Sprintf("broadside %s %s %s", verb, id, flags), "is for those with whom it went the same way there"},
		[2]string{fmt.Sprintf("broadside %s %s %s --again", verb, c.of.ID, flags), "is for those who have not got it since"})
}
