package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// maxSent is how many ids are kept for each campaign, the latest ones.
const maxSent = 10_000

// Sent are the items of feeds that were sent, by campaign. It is the owner of the keys
// feed:<campaign>, which stay for ever: a campaign may rest for a year. It is safe for
// concurrent use.
type Sent struct {
	rdb       redis.UniversalClient
	namespace string
}

// NewSent returns the Sent of a namespace.
func NewSent(rdb redis.UniversalClient, namespace string) *Sent {
	return &Sent{rdb: rdb, namespace: namespace}
}

// key is a sorted set: ids by the milliseconds at which their run was made.
func (s *Sent) key(campaign string) string { return s.namespace + ":feed:" + campaign }

// Add notes items of a campaign as sent by a run that was made at a time. They may be added
// any number of times.
func (s *Sent) Add(ctx context.Context, name string, ids []string, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	members := make([]redis.Z, len(ids))
	for i, id := range ids {
		members[i] = redis.Z{Score: float64(at.UnixMilli()), Member: id}
	}

	pipe := s.rdb.Pipeline()
	pipe.ZAdd(ctx, s.key(name), members...)
	pipe.ZRemRangeByRank(ctx, s.key(name), 0, -maxSent-1)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("note the items of a feed that %s has sent: %w", name, err)
	}
	return nil
}

// New returns the items that a campaign has not sent, in their order.
func (s *Sent) New(ctx context.Context, name string, items []campaign.FeedItem) ([]campaign.FeedItem, error) {
	ids, err := s.rdb.ZRange(ctx, s.key(name), 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the items of a feed that "+name+" has sent", s.key(name))
	}

	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	var fresh []campaign.FeedItem
	for _, item := range items {
		if !known[item.ID] {
			fresh = append(fresh, item)
		}
	}
	return fresh, nil
}
