package runs

import (
	"context"
	"errors"
	"fmt"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// Reached adds to seen the recipients who got the message of a run, may have got it, or
// are getting it. Runs that follow the run belong to it, since their recipients are its
// own. The id of a campaign stands for all its runs: then read counts those whose
// addresses are kept, and expired the others.
func (r *Runs) Reached(ctx context.Context, name string, seen *audience.Seen) (read, expired int, err error) {
	ids, err := r.ofCampaign(ctx, name)
	if err != nil {
		return 0, 0, err
	}

	if len(ids) > 0 {
		return r.reachedByCampaign(ctx, name, ids, seen)
	}

	id, err := r.Ledger.Find(ctx, name)
	if err != nil {
		return 0, 0, err
	}

	if _, err := r.handle(ctx, id); err != nil {
		return 0, 0, err
	}

	rec, err := r.Ledger.Record(ctx, id)
	if err != nil {
		return 0, 0, err
	}

	linked, err := r.Linked(ctx, rec)
	if err != nil {
		return 0, 0, err
	}

	return 0, 0, r.Collect(ctx, append(linked, rec), seen, isReached)
}

func (r *Runs) reachedByCampaign(ctx context.Context, name string, ids []string, seen *audience.Seen) (read, expired int, err error) {
	for _, id := range ids {
		rec, err := r.Ledger.Record(ctx, id)
		if ledger.Gone(err) {
			continue // undone just now
		}
		if err != nil {
			return 0, 0, err
		}
		if rec.Handle() == nil {
			continue // it has no recipients
		}
		err = r.Collect(ctx, []*ledger.Record{rec}, seen, isReached)
		switch {
		case err == nil:
			read++
		case errors.Is(err, ErrExpired):
			expired++
		default:
			return 0, 0, err
		}
	}

	if read > 0 {
		return read, expired, nil
	}

	text := fmt.Sprintf("no run of campaign %s has recipients", name)
	if expired > 0 {
		text = fmt.Sprintf("the addresses of all runs of campaign %s have expired (retention.addresses is %s)", name, r.KeepAddresses)
	}

	return 0, expired, failure.Invalid(text)
}

// isReached reports whether a recipient in that state has got the message, may have got
// it, or is getting it.
func isReached(s campaign.State) bool {
	return s == campaign.Accepted || s == campaign.Uncertain || s == campaign.Sending
}
