package queue

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/internal/testkit"
)

// Runs of high priority do not wait behind bulk mail: that waits here, and is not
// taken, and they are handled.
func TestHighPriorityHasAQueueOfItsOwn(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	c := NewClient(rdb, "test")
	bulk := campaign.Task{Run: "news", Index: 1}
	urgent := campaign.Task{Run: "alert", Index: 1}
	for _, err := range []error{
		c.Enqueue(t.Context(), []campaign.Task{bulk}, time.Now()),
		c.High().Enqueue(t.Context(), []campaign.Task{urgent}, time.Now()),
		rdb.Set(t.Context(), key(Name("test"), "paused"), 1, 0).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	var log testkit.Log
	select {
	case got := <-serve(t, rdb, &log):
		if got != urgent {
			t.Errorf("got %v, want %v", got, urgent)
		}
	case <-time.After(20 * time.Second): // it takes milliseconds on an idle machine
		t.Error("no task came within 20 s")
	}
	if n := rdb.LLen(t.Context(), key(Name("test"), "pending")).Val(); n != 1 {
		t.Errorf("%d tasks of bulk mail wait, want 1", n)
	}
}

// All tasks of a run are in one shard, and the runs are spread over all of them.
func TestRunsAreSpreadOverShards(t *testing.T) {
	t.Parallel()
	c := (&Client{namespace: "test"}).WithShards(4)
	runs := map[string]int{}
	for i := range 400 {
		runs[c.queueOf(fmt.Sprintf("news-2026%04dT070000Z", i))]++
	}
	for _, name := range bulkNames("test", 4) {
		if n := runs[name]; n < 50 || n > 200 {
			t.Errorf("%d of 400 runs in %s", n, name)
		}
	}
	if len(runs) != 4 {
		t.Errorf("queues %v, want 4", runs)
	}
}

// A process takes the tasks of all its shards, and of those that were there before.
func TestAllShardsAreServed(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	want := map[campaign.Task]bool{}
	var tasks []campaign.Task
	for i := range 40 {
		task := campaign.Task{Run: fmt.Sprintf("news-%d", i), Index: i}
		tasks = append(tasks, task)
		want[task] = true
	}
	if err := NewClient(rdb, "test").WithShards(5).Enqueue(t.Context(), tasks, time.Now()); err != nil {
		t.Fatal(err)
	}

	came := make(chan campaign.Task, 2*len(tasks))
	cfg := Config{Namespace: "test", Shards: 2, Log: slog.New(slog.DiscardHandler)}
	start(t, rdb, cfg, func(_ context.Context, task campaign.Task) { came <- task })
	late := time.After(30 * time.Second) // it takes a second or two on an idle machine
	for len(want) > 0 {
		select {
		case task := <-came:
			if !want[task] {
				t.Errorf("%v came twice", task)
			}
			delete(want, task)
		case <-late:
			t.Fatalf("%d tasks did not come", len(want))
		}
	}
}

func TestHowManyServersQueuesHave(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	for _, tt := range []struct {
		shards, servers int
		want            []served
	}{
		{0, 16, []served{{"test-high", 4, highEvery, true}, {"test-bulk-0", 16, pollEvery, false}}},
		{1, 3, []served{{"test-high", 1, highEvery, true}, {"test-bulk-0", 3, pollEvery, false}}},
		{2, 16, []served{{"test-high", 4, highEvery, true}, {"test-bulk-0", 8, pollEvery, false}, {"test-bulk-1", 8, pollEvery, false}}},
		{3, 8, []served{{"test-high", 2, highEvery, true}, {"test-bulk-0", 4, pollEvery, false}, {"test-bulk-1", 4, pollEvery, false}, {"test-bulk-2", 4, pollEvery, false}}},
	} {
		got := Config{Namespace: "test", Shards: tt.shards, Servers: tt.servers}.served(t.Context(), rdb)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(served{})); diff != "" {
			t.Errorf("%d shards, %d servers (-want +got):\n%s", tt.shards, tt.servers, diff)
		}
	}
}

// The health of the queues counts all of them, those of other namespaces left out.
func TestLookCountsAllQueues(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	c := NewClient(rdb, "test")
	for i, client := range []*Client{c, c.High(), c.WithShards(3), NewClient(rdb, "test-bulk"), NewClient(rdb, "other")} {
		var tasks []campaign.Task
		for k := range 9 {
			tasks = append(tasks, campaign.Task{Run: fmt.Sprintf("run-%d-%d", i, k), Index: k})
		}
		if err := client.Enqueue(t.Context(), tasks, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := Health{Waiting: 27}
	for _, name := range []string{bulkName("test", 0), highName("test")} {
		paused := PausedQueue{Name: name, Key: key(name, "paused")}
		if err := rdb.Set(t.Context(), paused.Key, 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		want.Paused = append(want.Paused, paused)
	}

	got, err := Look(t.Context(), rdb, "test")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
