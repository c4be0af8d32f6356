package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign"
	"broadside/internal/testkit"
)

func TestOneAsksInALull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lull{last: time.Now()}
		first, second, third := new(gated), new(gated), new(gated)
		ctx, stop := context.WithCancelCause(t.Context())
		var through atomic.Int64
		ask := func(g *gated) {
			go func() {
				if err := l.wait(ctx, g); err == nil {
					through.Add(1)
				}
			}()
			synctest.Wait()
		}
		expect := func(when string, want int64) {
			t.Helper()
			if got := through.Swap(0); got != want {
				t.Errorf("%s: %d may ask, want %d", when, got, want)
			}
		}
		ask(first)
		ask(second)
		expect("before a lull", 2)
		time.Sleep(lullAfter)
		ask(second)
		ask(second) // it found nothing, and comes back
		expect("in a lull, whoever came first", 2)
		ask(first)
		ask(third)
		time.Sleep(time.Hour)
		expect("in a lull, the others", 0)
		l.end()
		synctest.Wait()
		expect("when a task came", 2)
		ask(first)
		ask(second)
		ask(third)
		expect("afterwards", 3)
		time.Sleep(lullAfter)
		ask(third)
		expect("in the next lull", 1)
		ask(first)
		over := errors.New("over")
		stop(over)
		synctest.Wait()
		expect("at the end", 0)
		if err := l.wait(ctx, first); !errors.Is(err, over) {
			t.Errorf("wait after the end: got %v, want %v", err, over)
		}
	})
}

// After a lull in which another process may have slept too, tasks are taken slowly at
// first: a run of a hundred recipients would be in one process before the others wake up,
// and that has only its part of the connections and slots.
func TestAProcessThatIsWokenLeavesTasksToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lull{last: time.Now(), gentle: true}
		first, second := new(gated), new(gated)
		took := func(g *gated) time.Duration {
			t.Helper()
			began := time.Now()
			if err := l.wait(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			l.end() // there was a task
			return time.Since(began)
		}
		if d := took(first); d != 0 {
			t.Errorf("before a lull a server rests for %s", d)
		}
		time.Sleep(lullAfter)
		if d := took(first); d != 0 {
			t.Errorf("the server that asks in a lull rests for %s before its first task", d)
		}
		for range wakeTime / wakePause {
			if d := took(second); d != wakePause {
				t.Errorf("a server that was woken rests for %s, want %s", d, wakePause)
			}
		}
		if d := took(second); d != 0 {
			t.Errorf("a server that has been awake for a while rests for %s", d)
		}
	})
}

// TestIdleServersCostLittle counts what sixteen servers ask when there is
// nothing to do, and what they keep open.
func TestIdleServersCostLittle(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	admin, rdb := dial(t, url), dial(t, url)
	var log testkit.Log
	handled := serve(t, rdb, &log)
	send(t, rdb, handled, "run") // all of them are there
	<-time.After(lullAfter + 100*time.Millisecond)
	before, began := scripts(t, admin), time.Now()
	<-time.After(2 * time.Second)
	n, took := scripts(t, admin)-before, time.Since(began)
	one := int64(took / pollEvery)
	if n == 0 || n > 2*one { // asynq asks every half of pollEvery at most; all would ask sixteen times as often
		t.Errorf("%d scripts in %s without a task, want those of one server, about %d", n, took, one)
	}
	list, err := admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(list, "cmd=subscribe") || strings.Contains(list, "sub=1") {
		t.Errorf("a connection is a subscription:\n%s", list)
	}
}

// TestAllServersWorkAfterALull has more tasks under way at once than one server
// takes: the first that comes wakes the others.
func TestAllServersWorkAfterALull(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testkit.Redis(t))
	const n, ofOne = 50, 16
	cfg := Config{Namespace: "test", Servers: 4, Concurrency: 4 * ofOne, Log: slog.New(slog.DiscardHandler)}
	came, all := make(chan bool, n), make(chan struct{})
	start(t, rdb, cfg, func(context.Context, campaign.Task) {
		came <- true
		<-all
	})
	t.Cleanup(func() { close(all) })
	<-time.After(lullAfter + 200*time.Millisecond)
	var tasks []campaign.Task
	for i := range n {
		tasks = append(tasks, campaign.Task{Run: "news", Index: i})
	}
	if err := NewClient(rdb, "test").Enqueue(t.Context(), tasks, time.Now()); err != nil {
		t.Fatal(err)
	}
	late := time.After(30 * time.Second) // it takes milliseconds on an idle machine
	for i := range n {
		select {
		case <-came:
		case <-late:
			t.Fatalf("%d tasks under way at once, want all %d; one server takes %d", i, n, ofOne)
		}
	}
}

func TestAFarRedisGetsMoreServers(t *testing.T) {
	t.Parallel()
	addr := strings.TrimSuffix(strings.TrimPrefix(testkit.Redis(t), "redis://"), "/0")
	if got := suits(t.Context(), dial(t, "redis://"+testkit.NewLongWire(t, addr, 2*time.Millisecond).Addr())); got != 32 {
		t.Errorf("%d servers for a Redis 2 ms away, want 32", got)
	}
	if got := suits(t.Context(), dial(t, "redis://127.0.0.1:1")); got != 16 {
		t.Errorf("%d servers while Redis is away, want 16", got)
	}
}
