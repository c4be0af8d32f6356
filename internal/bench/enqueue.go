package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"broadside/campaign"
	"broadside/internal/queue"
	"broadside/internal/store"
)

const (
	// batch is how many tasks are handed to the queue at once: the most that a
	// feeder issues of one part.
	batch = 4000
	// maxTasks is how many tasks are made. A feeder never has as many waiting.
	maxTasks = 100_000
)

// enqueue puts tasks into the queue, then takes them out again.
func (b *bench) enqueue(ctx context.Context) (res *Enqueue, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	redis, err := b.startRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer within(&err, redis.stop)
	st, err := store.Open(ctx, store.Options{URL: redis.far, Log: b.Log})
	if err != nil {
		return nil, err
	}
	defer within(&err, st.Close)
	n := min(b.Recipients, maxTasks)
	res = &Enqueue{Tasks: n}
	if res.PerS, res.RedisCPU, err = measured(ctx, redis, n, func() (time.Duration, error) {
		return put(ctx, queue.NewClient(st.Client(), redis.namespace), n)
	}); err != nil {
		return nil, err
	}
	res.TakenPerS, res.TakenCPU, err = measured(ctx, redis, n, func() (time.Duration, error) {
		return take(ctx, st, queue.Config{Namespace: redis.namespace, Log: b.Log}, n)
	})
	return res, err
}

// measured returns how many of n things a second do makes, and the CPU in
// microseconds that each costs in Redis.
func measured(ctx context.Context, redis *server, n int, do func() (time.Duration, error)) (perS, cpu float64, err error) {
	before, err := redis.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	took, err := do()
	if err != nil {
		return 0, 0, err
	}
	after, err := redis.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	return float64(n) / took.Seconds(), (after.cpu - before.cpu) * 1e6 / float64(n), nil
}

// put enqueues n tasks as a feeder does.
func put(ctx context.Context, c *queue.Client, n int) (time.Duration, error) {
	start := time.Now()
	for first := 0; first < n; first += batch {
		tasks := make([]campaign.Task, min(batch, n-first))
		for i := range tasks {
			tasks[i] = campaign.Task{Run: "bench-20260101T000000Z", Index: first + i}
		}
		if err := c.Enqueue(ctx, tasks, time.Now()); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// take handles n tasks.
func take(ctx context.Context, st *store.Store, cfg queue.Config, n int) (took time.Duration, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var taken atomic.Int64
	last := make(chan time.Time, 1)
	start := time.Now()
	err = queue.Serve(ctx, st.Client(), cfg, func(context.Context, campaign.Task) {
		if taken.Add(1) == int64(n) {
			last <- time.Now()
			stop()
		}
	})
	select {
	case end := <-last:
		return end.Sub(start), err
	default:
		return 0, errors.Join(err, fmt.Errorf("%d of %d tasks came out of the queue: %w", taken.Load(), n, context.Cause(ctx)))
	}
}
