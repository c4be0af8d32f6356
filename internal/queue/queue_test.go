package queue

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/testkit"
)

func TestPayloadsSurviveTheQueue(t *testing.T) {
	t.Parallel()
	want := campaign.Task{Run: "october-news-20261001T070000Z", Part: 3, Index: 123456}
	got, err := decode(encode(want))
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "a", "a b", "a 1", "a 1 x", "a x 1", " 1 1", "a -1 1", "a 1 -1", "a 1 1 1"} {
		if task, err := decode([]byte(bad)); err == nil {
			t.Errorf("decode(%q) = %+v", bad, task)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("run 1 2")
	f.Add("run  2")
	f.Fuzz(func(t *testing.T, payload string) {
		task, err := decode([]byte(payload))
		if err != nil {
			return
		}
		again, err := decode(encode(task))
		if err != nil || again != task {
			t.Errorf("%q: %+v, then %+v, %v", payload, task, again, err)
		}
	})
}

func TestEveryTaskIsHandledOnceAndTwinsAreDropped(t *testing.T) {
	t.Parallel()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	const n = 2*maxPipeline + 100
	handled := make(chan campaign.Task, 2*n)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	c := NewClient(rdb, "test")
	var tasks []campaign.Task
	for i := range n {
		tasks = append(tasks, campaign.Task{Run: "run", Part: i % 3, Index: i})
	}
	issued := time.Now()
	for range 2 { // the second time is a twin: same recipients, same moment of issue
		if err := c.Enqueue(ctx, tasks, issued); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		served <- Serve(ctx, rdb, Config{Namespace: "test", Log: slog.New(slog.DiscardHandler)}, func(_ context.Context, t campaign.Task) { handled <- t })
	}()
	seen := map[campaign.Task]bool{}
	limit := time.After(20 * time.Second)
	for len(seen) < n {
		select {
		case task := <-handled:
			if seen[task] {
				t.Errorf("%v came twice", task)
			}
			seen[task] = true
		case <-limit:
			t.Fatalf("%d of %d tasks", len(seen), n)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if left := len(handled); left != 0 {
		t.Errorf("%d more tasks", left)
	}
}
