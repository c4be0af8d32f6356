package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/codes"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/scheduler/calendar"
)

// MakeRun makes the run of an occurrence ready, or finds that it is ready: the
// scheduler that had it before may have died at any point. An error is trouble that
// may pass. renewClaim is called right before the run becomes ready.
func (f *Firer) MakeRun(ctx context.Context, o Firing, renewClaim func(context.Context) error) (Made, error) {
	id := campaign.RunID(o.ID, o.Occurrence)
	made, found, err := f.cfg.Maker.found(ctx, id)
	if err != nil {
		return Made{}, err
	}
	if found {
		return f.noted(ctx, made)
	}

	if o.Late() {
		return Made{}, ErrLate
	}

	spec, in, err := f.cfg.Campaigns.Open(ctx, &o.Schedule)
	if errors.Is(err, feed.ErrNothingNew) {
		return f.nothingNew(ctx, o, id, err)
	}
	if err != nil {
		return f.failed(ctx, o, id, err)
	}
	defer in.Close()
	spec.Occurrence = o.Occurrence
	if spec.Local != nil {
		spec.Local.At = calendar.Wall(o.Occurrence)
	}
	spec.Again = o.Again
	spec.Once = ""
	if o.Timing.Cron == "" {
		spec.Once = campaign.OnceCampaign(o.ID)
	}

	confirm := in.Confirm
	in.Confirm = func(ctx context.Context, p Plan) error {
		if confirm != nil {
			if err := confirm(ctx, p); err != nil {
				return err
			}
		}
		return renewClaim(ctx)
	}
	if _, err := f.cfg.Maker.Make(ctx, spec, in.Input); err != nil {
		return f.failed(ctx, o, id, err)
	}

	made = Made{Run: id}
	if len(spec.Snapshot.FeedItems) == 0 {
		return made, nil
	}
	return f.noted(ctx, made)
}

// RunNow makes the run of an occurrence before its time. When that comes the run is found,
// and no other is made; that is so too when it could not be made for a fault of the
// campaign.
func (f *Firer) RunNow(ctx context.Context, s Schedule, at time.Time) (Made, error) {
	o := Firing{Schedule: s, Occurrence: at, now: at}
	return f.MakeRun(ctx, o, func(context.Context) error { return nil })
}

// found returns what became of the run of an occurrence that was begun before. found
// is false when it is still to be made.
func (m *Maker) found(ctx context.Context, id string) (made Made, found bool, err error) {
	rec, err := m.Ledger.Record(ctx, id)
	switch {
	case ledger.Gone(err):
		return Made{}, false, nil
	case err != nil:
		return Made{}, false, err
	case rec.State == campaign.RunFailed:
		return Made{Run: id, Failure: rec.Reason}, true, nil
	case rec.Attempt != "":
		return Made{Run: id}, true, nil
	case rec.State != campaign.Expanding:
		return Made{Run: id, Failure: "the run is " + string(rec.State)}, true, nil
	}

	return Made{}, false, nil
}

// failed distinguishes faults of the campaign, and an occurrence that must not be
// sent any more, from trouble that may pass. The run, if it was begun, has failed:
// nothing was sent.
func (f *Firer) failed(ctx context.Context, o Firing, id string, cause error) (Made, error) {
	over := errors.Is(cause, ErrLate) || errors.Is(cause, ErrGone)
	repeated, isRepeated := errors.AsType[*RepeatedError](cause)
	if isRepeated {
		cause = fmt.Errorf("the campaign has been launched since as run %s; schedule it with --again to send it once more", repeated.Run)
	}

	if !over && !isRepeated && !f.cfg.Campaigns.IsFault(ctx, cause) {
		return Made{}, cause
	}

	reason := codes.NotLaunched.Reason("%s", address.Redact(strings.TrimSpace(cause.Error())))
	before, gone, err := f.cfg.Maker.fail(ctx, o.ID, id, reason)
	switch {
	case err != nil:
		return Made{}, err
	case over:
		return Made{}, cause
	case gone:
		return Made{Failure: reason}, nil
	case before != campaign.Expanding:
		// Another scheduler was faster, whatever the result was.
		return Made{}, fmt.Errorf("run %s is %s: %w", id, before, cause)
	}

	return Made{Run: id, Failure: reason}, nil
}
