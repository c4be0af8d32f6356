package queue

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"broadside/campaign"
	"broadside/internal/testkit"
)

// TestEnqueueWritesWhatAsynqWrites compares what is in Redis afterwards.
func TestEnqueueWritesWhatAsynqWrites(t *testing.T) {
	t.Parallel()
	issued := time.UnixMilli(1_790_000_000_000)
	ours, theirs := dial(t, testkit.Redis(t)), dial(t, testkit.Redis(t))
	if err := NewClient(ours, "test").Enqueue(t.Context(), []campaign.Task{{Run: "run", Index: 1}, {Run: "run", Index: 2}}, issued); err != nil {
		t.Fatal(err)
	}
	client := asynq.NewClientFromRedisClient(theirs)
	ids := map[string]string{"run 0 1": "0-1-mubbs7i8-bvjc22", "run 0 2": "0-2-mubbs7i8-bvjc22"} // of each payload
	for _, payload := range []string{"run 0 1", "run 0 2"} {
		if _, err := client.EnqueueContext(t.Context(), asynq.NewTask(taskType, []byte(payload)), asynq.Queue("test-bulk-0"),
			asynq.TaskID(ids[payload]), asynq.MaxRetry(1), asynq.Timeout(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		key := "asynq:{test-bulk-0}:t:" + id
		got, want := ours.HGetAll(t.Context(), key).Val(), theirs.HGetAll(t.Context(), key).Val()
		delete(got, "pending_since")
		delete(want, "pending_since")
		if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("%s: %v %s", key, got, diff)
		}
	}
	const pending = "asynq:{test-bulk-0}:pending"
	if diff := cmp.Diff(theirs.LRange(t.Context(), pending, 0, -1).Val(), ours.LRange(t.Context(), pending, 0, -1).Val()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(theirs.SMembers(t.Context(), "asynq:queues").Val(), ours.SMembers(t.Context(), "asynq:queues").Val()); diff != "" {
		t.Error(diff)
	}
	if got, want := ours.DBSize(t.Context()).Val(), theirs.DBSize(t.Context()).Val(); got != want {
		t.Errorf("%d keys, want %d", got, want)
	}
}

func TestEnqueueWhenRedisForgotOrRefuses(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	c := NewClient(rdb, "test")
	put := func(index int) error {
		return c.Enqueue(t.Context(), []campaign.Task{{Run: "run", Index: index}, {Run: "run", Index: index + 1}}, time.Now())
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	if err := rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := put(2); err != nil {
		t.Errorf("Redis forgot the script: %v", err)
	}
	if n := rdb.LLen(t.Context(), "asynq:{test-bulk-0}:pending").Val(); n != 4 {
		t.Errorf("%d tasks wait, want 4", n)
	}
	if err := rdb.Set(t.Context(), "asynq:{test-bulk-0}:pending", "no list", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := put(4); err == nil || !strings.Contains(err.Error(), "run run: ") || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("Redis refuses: got %v", err)
	}
}

// TestWaitingTasksComeBack puts a task where asynq puts those that a dead
// process held.
func TestWaitingTasksComeBack(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	if _, err := asynq.NewClientFromRedisClient(rdb).EnqueueContext(t.Context(), asynq.NewTask(taskType, []byte("run 0 7")),
		asynq.Queue(Name("test")), asynq.ProcessIn(time.Second)); err != nil {
		t.Fatal(err)
	}
	var log testkit.Log
	select {
	case got := <-serve(t, rdb, &log):
		if want := (campaign.Task{Run: "run", Index: 7}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Error("the task did not come within 20 s")
	}
}

func TestConcurrencyIsThatOfAllServers(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{3, 20} {
		rdb := dial(t, testkit.Redis(t))
		var tasks []campaign.Task
		for i := range 200 {
			tasks = append(tasks, campaign.Task{Run: "run", Index: i})
		}
		if err := NewClient(rdb, "test").Enqueue(t.Context(), tasks, time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var now, most, done atomic.Int64
		err := Serve(ctx, rdb, Config{Namespace: "test", Concurrency: int(limit), Log: slog.New(slog.DiscardHandler)}, func(context.Context, campaign.Task) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-time.After(5 * time.Millisecond) // as real handlers must not
			now.Add(-1)
			if done.Add(1) == int64(len(tasks)) {
				stop()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if most.Load() > limit || most.Load() < 3 {
			t.Errorf("%d tasks at once, want up to %d", most.Load(), limit)
		}
	}
}
