// Package runs looks after runs once they exist: it finds them, says how they
// stand and what they wait for, lists their recipients, pauses, resumes and ends
// them, and waits for their end. The command line uses it, and whatever else shows
// or steers runs will: it prints nothing and knows no flags.
//
// Nothing here decides whether a message is sent. The state of a run and of each
// recipient is in the ledger, which alone changes it.
//
// Errors that a caller tells apart are of the kinds of internal/failure. A run that
// does not exist, or exists no more, is ledger.ErrNoRun.
package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/presence"
	"broadside/internal/report"
	"broadside/throttle"
)

// Runs are the runs of an installation. They are safe for concurrent use.
type Runs struct {
	Config
}

// A Config says where runs and what they depend on are found.
type Config struct {
	Ledger    *ledger.Ledger
	Accounts  *throttle.Accounts
	Lanes     *throttle.Lanes
	Processes *presence.Register

	// Firing returns the occurrence of a campaign of which a scheduler is making a
	// run; the zero time when there is none.
	Firing func(ctx context.Context, campaign string) (time.Time, error)
	// Used returns what is used of the quotas of an account; nil: no account has any.
	Used func(ctx context.Context, account string) ([]throttle.Usage, error)
	// NextSlot returns when the rates of a run and of its accounts allow the next
	// message; the zero time when they do now. nil: there are no rates.
	NextSlot func(ctx context.Context, run string, accounts []string) (time.Time, error)
	// Work does the work of a worker until ctx ends. Only Finish needs it.
	Work func(ctx context.Context) error

	Embedded      bool          // the store is within this process, so that no other one sends
	KeepAddresses time.Duration // retention.addresses, for messages
	Log           *slog.Logger
}

// New returns the runs of an installation.
func New(c Config) *Runs { return &Runs{c} }

// Find returns the run that text means: the id of a run; the id of a campaign,
// which stands for its latest run; or the beginning of the id of exactly one run.
// latest reports whether it was found as the latest of its campaign. The error is
// ledger.ErrNoRun when there is none, or several could be meant.
func (r *Runs) Find(ctx context.Context, text string) (id string, latest bool, err error) {
	id, err = r.Ledger.Find(ctx, text)
	if id == text || err != nil && !errors.Is(err, ledger.ErrNoRun) {
		return id, false, err
	}

	ids, listErr := r.ofCampaign(ctx, text)
	if listErr != nil {
		return "", false, listErr
	}

	if len(ids) > 0 {
		return ids[0], true, nil
	}

	return id, false, err
}

// Latest returns the latest run of a campaign that does not follow another run; nil
// when there is none.
func (r *Runs) Latest(ctx context.Context, campaign string) (*ledger.Record, error) {
	ids, err := r.ofCampaign(ctx, campaign)
	if err != nil {
		return nil, err
	}

	for _, id := range ids {
		rec, err := r.Ledger.Record(ctx, id)
		if ledger.Gone(err) || err == nil && rec.Parent != "" {
			continue
		}
		return rec, err
	}

	return nil, nil
}

// ofCampaign returns the ids of a campaign's runs, the newest first.
func (r *Runs) ofCampaign(ctx context.Context, campaign string) ([]string, error) {
	if campaign == "" {
		return nil, nil // the ledger would list the runs of all campaigns
	}
	return r.Ledger.List(ctx, campaign)
}

// Linked returns the runs that follow a run, directly or through another one, the
// oldest first.
func (r *Runs) Linked(ctx context.Context, rec *ledger.Record) ([]*ledger.Record, error) {
	ids, err := r.ofCampaign(ctx, rec.Campaign)
	if err != nil {
		return nil, err
	}

	if at := slices.Index(ids, rec.ID); at >= 0 {
		ids = ids[:at] // the newest come first: these are younger
	}

	family := map[string]bool{rec.ID: true}
	var linked []*ledger.Record
	for _, id := range slices.Backward(ids) {
		other, err := r.Ledger.Record(ctx, id)
		if ledger.Gone(err) {
			continue // undone just now
		}
		if err != nil {
			return nil, err
		}
		if family[other.Parent] {
			family[other.ID] = true
			linked = append(linked, other)
		}
	}

	return linked, nil
}

// handle returns what the ledger needs to find the recipients of a run. The error
// is of the kind failure.ErrInvalid when the run never became ready.
func (r *Runs) handle(ctx context.Context, id string) (*ledger.Run, error) {
	rec, err := r.Ledger.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	if handle := rec.Handle(); handle != nil {
		return handle, nil
	}
	return nil, failure.Invalid(fmt.Sprintf("run %s is %s: it has no recipients", id, rec.State))
}

// List returns all runs that are still known, the newest first. A run whose state
// in Redis cannot be read is there as broken, with the reason.
func (r *Runs) List(ctx context.Context) ([]report.Run, error) {
	ids, err := r.Ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}

	all := []report.Run{}
	for _, id := range ids {
		run, err := r.Summary(ctx, id)
		switch {
		case ledger.Gone(err): // expired, or undone just now
			continue
		case campaign.IsBroken(err):
			run = brokenRun(id, err)
		case err != nil:
			return nil, err
		}
		all = append(all, run)
	}

	return all, nil
}

// brokenRun stands for a run that cannot be read in a list of runs.
func brokenRun(id string, err error) report.Run {
	return report.Run{
		Run: id, Campaign: campaign.OfRun(id), State: campaign.Broken, Reason: err.Error(),
		Counts: campaign.Counts{}, CreatedAt: campaign.TimeOfRun(id),
	}
}
