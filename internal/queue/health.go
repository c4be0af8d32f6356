package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A Health is how the queues of the runs of a namespace fare.
type Health struct {
	Paused   []PausedQueue
	Waiting  int64 // tasks that no worker has yet
	Active   int64 // tasks that a worker is at, or was when it died
	Archived int64 // tasks that asynq put aside: two processes in a row died with each in hand
}

// A PausedQueue is one that somebody paused with a tool for asynq: no worker gets a task
// of it.
type PausedQueue struct {
	Name string
	Key  string // deleting it ends that
}

// Look reads the health of the queues. It asks for the lengths of asynq's keys
// and not asynq's inspector, which measures the memory of each task.
func Look(ctx context.Context, rdb redis.UniversalClient, namespace string) (Health, error) {
	names, err := known(ctx, rdb, namespace)
	if err != nil {
		return Health{}, err
	}
	var h Health
	for _, name := range names {
		pipe := rdb.Pipeline()
		paused := pipe.Exists(ctx, key(name, "paused"))
		waiting, active := pipe.LLen(ctx, key(name, "pending")), pipe.LLen(ctx, key(name, "active"))
		archived := pipe.ZCard(ctx, key(name, "archived"))
		if _, err := pipe.Exec(ctx); err != nil {
			return Health{}, fmt.Errorf("look at queue %s: %w", name, err)
		}
		if paused.Val() > 0 {
			h.Paused = append(h.Paused, PausedQueue{Name: name, Key: key(name, "paused")})
		}
		h.Waiting += waiting.Val()
		h.Active += active.Val()
		h.Archived += archived.Val()
	}
	return h, nil
}
