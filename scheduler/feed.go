package scheduler

import (
	"context"
	"fmt"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
)

// NoteItems notes the items of a feed that a run has as sent, if it has any and became
// ready. It may be called any number of times: each process that finds a run does so, because the
// process that made it may have died before.
func (m *Maker) NoteItems(ctx context.Context, id string) error {
	rec, err := m.Ledger.Record(ctx, id)
	if ledger.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}

	run := rec.Handle()
	if run == nil {
		return nil
	}
	content, err := m.Ledger.Snapshot(ctx, run)
	if ledger.Gone(err) || campaign.IsBroken(err) { // `run show` says what is broken
		return nil
	}
	if err != nil {
		return err
	}
	return m.Feeds.Add(ctx, rec.Campaign, content.FeedItems, rec.Created)
}

// noted returns what became of an occurrence, after the items of its run were noted: the next
// occurrence must find them.
func (f *Firer) noted(ctx context.Context, made Made) (Made, error) {
	if err := f.cfg.Maker.NoteItems(ctx, made.Run); err != nil {
		return Made{}, err
	}
	return made, nil
}

// nothingNew gives up an occurrence whose feed has nothing new. A run of it that was begun,
// and did not become ready, has failed.
func (f *Firer) nothingNew(ctx context.Context, o Firing, id string, cause error) (Made, error) {
	before, gone, err := f.cfg.Maker.fail(ctx, o.ID, id, codes.NotLaunched.Reason("%v", cause))
	switch {
	case err != nil:
		return Made{}, err
	case !gone && before != campaign.Expanding:
		// Another scheduler was faster, whatever the result was.
		return Made{}, fmt.Errorf("run %s is %s: %v", id, before, cause)
	}
	return Made{Skipped: cause.Error()}, nil
}
