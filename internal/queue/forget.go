package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Forget removes the queue of a receiver that is served no more, with all deliveries in it,
// and returns how many they were. It is an error when some are under way.
func (d *Deliveries) Forget(ctx context.Context, receiver string) (int, error) {
	standing, err := d.Standing(ctx, receiver)
	if err != nil {
		return 0, err
	}
	if err := d.dropAbandoned(ctx, receiver); err != nil {
		return 0, err
	}
	err = asynq.NewInspectorFromRedisClient(d.rdb).DeleteQueue(d.name(receiver), true)
	if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
		return 0, fmt.Errorf("remove queue %s: %w", d.name(receiver), err)
	}
	return int(standing.Waiting + standing.Retried + standing.Dead), nil
}

// dropAbandoned removes deliveries that a process had in hand when it died: asynq removes no
// queue with such, and takes them back only where the queue is served.
func (d *Deliveries) dropAbandoned(ctx context.Context, receiver string) error {
	active, err := d.rdb.LRange(ctx, d.key(receiver, "active"), 0, -1).Result()
	if err != nil {
		return fmt.Errorf("look at queue %s: %w", d.name(receiver), err)
	}
	if len(active) == 0 {
		return nil
	}

	leases := &redis.ZRangeBy{Min: strconv.FormatInt(time.Now().Unix(), 10), Max: "+inf"}
	held, err := d.rdb.ZRangeByScore(ctx, d.key(receiver, "lease"), leases).Result()
	if err != nil {
		return fmt.Errorf("look at queue %s: %w", d.name(receiver), err)
	}
	if len(held) > 0 {
		return fmt.Errorf("webhooks that are under way to this receiver: %d: some process is still running with it in its configuration; stop that, and repeat this in a minute", len(held))
	}

	pipe := d.rdb.TxPipeline()
	for _, id := range active {
		pipe.LRem(ctx, d.key(receiver, "active"), 0, id)
		pipe.ZRem(ctx, d.key(receiver, "lease"), id)
		pipe.Del(ctx, d.key(receiver, "t:"+id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("remove what dead processes had in hand from queue %s: %w", d.name(receiver), err)
	}
	return nil
}
