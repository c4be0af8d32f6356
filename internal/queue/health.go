package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A Health is how the queue of a namespace fares.
type Health struct {
	Paused    bool   // somebody paused it with a tool for asynq: no worker gets a task
	PausedKey string // deleting it ends that
	Waiting   int64  // tasks that no worker has yet
	Active    int64  // tasks that a worker is at, or was when it died
	Archived  int64  // tasks that asynq put aside: two processes in a row died with each in hand
}

// Look reads the health of the queue. It asks for the lengths of asynq's keys
// and not asynq's inspector, which measures the memory of each task.
func Look(ctx context.Context, rdb redis.UniversalClient, namespace string) (Health, error) {
	key := func(rest string) string { return "asynq:{" + Name(namespace) + "}:" + rest }
	pipe := rdb.Pipeline()
	paused := pipe.Exists(ctx, key("paused"))
	waiting, active := pipe.LLen(ctx, key("pending")), pipe.LLen(ctx, key("active"))
	archived := pipe.ZCard(ctx, key("archived"))
	if _, err := pipe.Exec(ctx); err != nil {
		return Health{}, fmt.Errorf("look at queue %s: %w", Name(namespace), err)
	}
	return Health{
		Paused: paused.Val() > 0, PausedKey: key("paused"),
		Waiting: waiting.Val(), Active: active.Val(), Archived: archived.Val(),
	}, nil
}
