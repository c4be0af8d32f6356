package doctor

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/queue"
	"broadside/internal/store"
)

// expect fails unless the findings are exactly one of code and level, with a
// reason and a fix when it is bad.
func expect(t *testing.T, got []Finding, code codes.Code, level store.Level) {
	t.Helper()
	if len(got) != 1 || got[0].Code != code || got[0].Level != level {
		t.Fatalf("got %+v, want %s %s", got, code, level)
	}
	if f := got[0]; f.Subject == "" || f.Text == "" || (level == store.Good) != (f.Why == "") || (level == store.Good) != (f.Fix == "") {
		t.Errorf("finding %+v: reason and fix are for what is wrong, and for all of it", f)
	}
	if _, ok := codes.Explain(string(code)); !ok {
		t.Errorf("%s is not explained", code)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		m    store.Memory
		want store.Level
	}{
		{"half", store.Memory{Used: 500, Limit: 1000}, store.Good},
		{"three quarters", store.Memory{Used: 750, Limit: 1000}, store.Warning},
		{"the last tenth", store.Memory{Used: 900, Limit: 1000}, store.Failed},
		{"over", store.Memory{Used: 1100, Limit: 1000}, store.Failed},
		{"machine", store.Memory{Used: 100, Limit: 1000, Machine: true}, store.Good},
		{"machine is full", store.Memory{Used: 950, Limit: 1000, Machine: true}, store.Failed},
		{"unknown", store.Memory{Used: 950, Machine: true}, store.Good},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expect(t, []Finding{memory("redis", tt.m)}, codes.RedisMemory, tt.want)
		})
	}
}

func TestEvicted(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"", "0"} {
		if got := evicted("redis", map[string]string{"evicted_keys": n}); got != nil {
			t.Errorf("evicted_keys %q: got %+v, want nothing", n, got)
		}
	}
	expect(t, evicted("redis", map[string]string{"evicted_keys": "3"}), codes.RedisEviction, store.Warning)
}

func TestClients(t *testing.T) {
	t.Parallel()
	info := map[string]string{"maxclients": "20", "connected_clients": "8"}
	expect(t, clients("redis", info, 12), codes.RedisClients, store.Good)
	expect(t, clients("redis", info, 13), codes.RedisClients, store.Warning)
	for _, missing := range []string{"maxclients", "connected_clients"} {
		if got := clients("redis", map[string]string{missing: "1"}, 13); got != nil {
			t.Errorf("INFO with %s only: got %+v, want nothing", missing, got)
		}
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	none, one := map[string]string{"connected_slaves": "0"}, map[string]string{"connected_slaves": "1"}
	if got := replicas("redis", none, nil); got != nil {
		t.Errorf("none, none wanted: got %+v, want nothing", got)
	}
	expect(t, replicas("redis", one, nil), codes.RedisReplicas, store.Good)
	expect(t, replicas("redis", one, []string{"r"}), codes.RedisReplicas, store.Good)
	expect(t, replicas("redis", none, []string{"r"}), codes.RedisReplicas, store.Failed)
	one["min_slaves_good_slaves"] = "0" // it has one, which is behind
	expect(t, replicas("redis", one, []string{"r"}), codes.RedisReplicas, store.Warning)
}

func TestLatency(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, tt := range []struct {
		median, worst time.Duration
		want          store.Level
	}{
		{ms, 5 * ms, store.Good},
		{10 * ms, 100 * ms, store.Good},
		{11 * ms, 12 * ms, store.Warning},
		{ms, 101 * ms, store.Warning},
		{251 * ms, 252 * ms, store.Failed},
	} {
		expect(t, []Finding{latency(tt.median, tt.worst)}, codes.RedisLatency, tt.want)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for offset, want := range map[time.Duration]store.Level{
		0: store.Good, 2 * time.Second: store.Good, 3 * time.Second: store.Warning, -3 * time.Second: store.Warning,
		5 * time.Minute: store.Failed, -5 * time.Minute: store.Failed,
	} {
		expect(t, []Finding{clock(sample{trip: time.Millisecond, offset: offset})}, codes.Clock, want)
	}
	if got, want := clock(sample{trip: 2 * time.Millisecond, offset: -3 * time.Second}).Text, "3s behind that of Redis, give or take 1ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJudgeQueue(t *testing.T) {
	t.Parallel()
	most := int64(len(campaign.Providers) * ledger.MaxBacklog)
	expect(t, judge(queue.Health{Waiting: most}, 0), codes.QueueBacklog, store.Good)
	expect(t, judge(queue.Health{Waiting: most, Active: 1}, 1), codes.QueueBacklog, store.Warning)
	expect(t, judge(queue.Health{Waiting: most, Active: 1}, 2), codes.QueueBacklog, store.Good)
	expect(t, judge(queue.Health{Archived: ledger.MaxBacklog + 1}, 2), codes.QueueBacklog, store.Warning)
	got := judge(queue.Health{Paused: []queue.PausedQueue{{Name: "q", Key: "asynq:{q}:paused"}}}, 0)
	expect(t, got[:1], codes.QueuePaused, store.Failed)
	expect(t, got[1:], codes.QueueBacklog, store.Good)
}

func TestAtStartNothingFails(t *testing.T) {
	t.Parallel()
	in := judge(queue.Health{Paused: []queue.PausedQueue{{Name: "q", Key: "asynq:{q}:paused"}}}, 0)
	got := AtStart(in)
	if got[0].Level != store.Warning || got[1].Level != store.Good || in[0].Level != store.Failed {
		t.Errorf("got %+v of %+v, want a warning in place of the failure", got, in)
	}
}
