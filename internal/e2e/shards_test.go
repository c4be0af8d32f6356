package e2e

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// TestShardsOfTheQueueLieOnSeveralNodes sends runs through four queues on three primaries,
// while one worker is killed and the other stopped, and both are started again: they
// feed the queues as well as they empty them.
func TestShardsOfTheQueueLieOnSeveralNodes(t *testing.T) {
	t.Parallel()
	// A run has the shard that a hash of its id names: so many runs leave none out, but for
	// once in 100,000 times.
	const shards, people, mostRuns = 4, 500, 45

	sink := testkit.NewRecsink(t, "-delay", "10ms")
	cluster := testkit.NewCluster(t, 3, false)
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	w.at(cluster.URL())
	w.env = append(w.env, fmt.Sprintf("BROADSIDE_REDIS__QUEUE_SHARDS=%d", shards))

	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{cluster.Primaries[0].Addr()}, IsClusterMode: true})
	t.Cleanup(func() { rdb.Close() })
	used := func() []string {
		names, err := rdb.SMembers(t.Context(), "asynq:queues").Result()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	if names := used(); len(names) > 0 {
		t.Fatalf("queues %v before anything was handed out", names)
	}

	workers := []*testkit.Proc{w.quietWorker(), w.quietWorker()}
	var all []string // runs
	launch := func() {
		id := fmt.Sprintf("c%d", len(all))
		w.people(people, "person%d@"+id+".example.org")
		w.letter(id, "")
		all = append(all, w.begin("campaign", "launch", id+".yaml"))
	}
	for range 6 {
		launch()
	}

	w.until(all[len(all)-1], time.Minute, "under way", accepted(people/5))
	workers[0].Kill()
	workers[0] = w.quietWorker()

	for range 2 {
		launch()
	}
	w.until(all[len(all)-1], time.Minute, "under way", accepted(people/5))
	end(t, workers[1])
	workers[1] = w.quietWorker()

	want := make([]string, shards)
	for i := range want {
		want[i] = fmt.Sprintf("e2e-bulk-%d", i)
	}

	for !slices.Equal(used(), want) {
		if len(all) == mostRuns {
			t.Fatalf("queues %v after %d runs, expected %v", used(), len(all), want)
		}
		launch()
		w.finished(all[len(all)-1], time.Minute)
	}

	nodes := map[int64][]string{}
	for _, name := range want {
		slot, err := rdb.ClusterKeySlot(t.Context(), "asynq:{"+name+"}:pending").Result()
		if err != nil {
			t.Fatal(err)
		}
		node := slot * int64(len(cluster.Primaries)) / 16384
		nodes[node] = append(nodes[node], name)
		keys, err := admin(t, cluster.Primaries[node].Addr()).Keys(t.Context(), "asynq:{"+name+"}:*").Result()
		if err != nil || len(keys) == 0 {
			t.Errorf("%s: %d keys on the node of its slot, %v", name, len(keys), err)
		}
	}
	if len(nodes) < 2 {
		t.Errorf("all queues lie on one node: %v", nodes)
	}

	// One message for each connection of the killed worker, and no more, may be in doubt.
	const connections = 10
	var uncertain int64
	for _, run := range all {
		d := w.finished(run, 2*time.Minute)
		uncertain += d.Counts["uncertain"]
		if d.Counts["accepted"]+d.Counts["uncertain"] != people {
			t.Errorf("run %s: %v, want all accepted", run, d.Counts)
		}
	}
	if uncertain > connections {
		t.Errorf("%d uncertain, the killed worker had %d connections", uncertain, connections)
	}

	got := sink.Accepted()
	var without int64
	for i := range all {
		lost, twice := tally(got, people, "person%d@"+fmt.Sprintf("c%d", i)+".example.org")
		without += lost
		if twice > 0 {
			t.Errorf("run %s: %d got two messages", all[i], twice)
		}
	}
	if without > uncertain || len(got) > people*len(all) {
		t.Errorf("%d of %d without a message, %d uncertain, %d addresses at the sink", without, people*len(all), uncertain, len(got))
	}

	for _, p := range workers {
		p.Signal(syscall.SIGTERM)
		if code := p.Wait(drained); code != 0 {
			t.Errorf("worker: exit code %d", code)
		}
	}
	silent(t, []string{"CROSSSLOT", "MOVED", `"level":"ERROR"`}, workers...)
	t.Logf("%d runs of %d, %d uncertain; queues by node: %v", len(all), people, uncertain, nodes)
}
