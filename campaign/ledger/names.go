package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// Once names run as the one run of key (a campaign without cron, a --key, or a
// retry) unless another is named; it returns the run that is named.
func (l *Ledger) Once(ctx context.Context, key, run string) (string, error) {
	return l.Rename(ctx, key, "", run)
}

// Rename names run for key in place of old, if old is the one that is named;
// empty stands for none. It returns the run that is named now, which is another
// one for a process that came too late.
func (l *Ledger) Rename(ctx context.Context, key, old, run string) (string, error) {
	named, err := l.run(ctx, l.script.name, []string{l.prefix + ":once:" + key}, old, run).Text()
	if err != nil {
		return "", fmt.Errorf("name run %s: %w", cmp.Or(run, old), err)
	}
	return named, nil
}

// Named returns the run that is named for key; empty when there is none.
func (l *Ledger) Named(ctx context.Context, key string) (string, error) {
	run, err := l.rdb.Get(ctx, l.prefix+":once:"+key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", campaign.ReadError(err, "the run named for "+key, l.prefix+":once:"+key)
	}
	return run, nil
}

// Unname takes the name back from a run that never became ready.
func (l *Ledger) Unname(ctx context.Context, key, run string) error {
	_, err := l.Rename(ctx, key, run, "")
	return err
}

// UseTopic notes that a run of the topic was made, for TopicUsed: a topic that
// was never used may be a typing error, and would mail people who have
// unsubscribed.
func (l *Ledger) UseTopic(ctx context.Context, topic string) error {
	if err := l.rdb.SAdd(ctx, l.prefix+":topics:used", topic).Err(); err != nil {
		return fmt.Errorf("note topic %s: %w", topic, err)
	}
	return nil
}

// TopicUsed reports whether a run of the topic was ever made.
func (l *Ledger) TopicUsed(ctx context.Context, topic string) (bool, error) {
	used, err := l.rdb.SIsMember(ctx, l.prefix+":topics:used", topic).Result()
	if err != nil {
		return false, campaign.ReadError(err, "the list of topics", l.prefix+":topics:used")
	}
	return used, nil
}

// Topics returns the topics of all runs that were ever made, in no order.
func (l *Ledger) Topics(ctx context.Context) ([]string, error) {
	topics, err := l.rdb.SMembers(ctx, l.prefix+":topics:used").Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of topics", l.prefix+":topics:used")
	}
	return topics, nil
}
