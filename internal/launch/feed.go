package launch

import (
	"context"
	"errors"
	"time"

	"broadside/campaign"
	"broadside/campaign/feed"
)

// lookedAtRuns is how many of the latest runs of a campaign are looked at for items of its
// feed that they have, and that are not noted as sent yet: their launch died right after
// they were ready.
const lookedAtRuns = 5

// errOvertaken is returned for a run whose items another run has sent since they were read.
var errOvertaken = errors.New("another run of the campaign has sent items of its feed since they were read; nothing was sent")

// newItems returns what reads the items of a feed that are new with a run. When none is,
// one that was sent is returned, so that the letter can be checked all the same.
func (l *Launcher) newItems(p *prepared) func(context.Context, *campaign.Definition, *time.Location) ([]campaign.FeedItem, error) {
	return func(ctx context.Context, def *campaign.Definition, zone *time.Location) ([]campaign.FeedItem, error) {
		items, err := feed.Read(ctx, def, zone)
		if err != nil {
			return nil, err
		}
		fresh, err := l.unsent(ctx, def.ID, items)
		if err != nil {
			return nil, err
		}

		p.nothingNew = len(fresh) == 0
		if p.nothingNew {
			return items[:min(1, len(items))], nil
		}
		p.in.Changed = func(ctx context.Context) (bool, error) {
			still, err := l.unsent(ctx, def.ID, fresh)
			if err == nil && len(still) < len(fresh) {
				err = errOvertaken
			}
			return false, err
		}
		return fresh, nil
	}
}

// unsent returns the items that no run of a campaign has.
func (l *Launcher) unsent(ctx context.Context, name string, items []campaign.FeedItem) ([]campaign.FeedItem, error) {
	runs, err := l.Ledger.List(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, id := range runs[:min(len(runs), lookedAtRuns)] {
		if err := l.Maker.NoteItems(ctx, id); err != nil && !campaign.IsBroken(err) { // a broken record
			return nil, err
		}
	}
	return l.Feeds.New(ctx, name, items)
}
