package e2e

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// resumed is within what messages leave again when Redis is well, and slack for
// a machine that is busy with other tests.
const resumed = 5*time.Second + 15*time.Second

// ticks returns the CPU time that a process has used, in hundredths of a second.
func ticks(t *testing.T, p *testkit.Proc) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid()) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the state on, field 3
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return user + system
}

// more waits until the sink has taken another message.
func more(t *testing.T, sink *testkit.RecSink, limit time.Duration) {
	t.Helper()
	before := sink.Stats()["accepted"]
	for range testkit.Tries(limit) {
		if sink.Stats()["accepted"] != before {
			return
		}
	}
	t.Fatalf("no message within %s", limit)
}

// TestARedisThatRefusesIsWaitedOut makes Redis refuse in the middle of a run:
// the worker neither spins nor fills its log, nothing is lost or sent twice,
// and it goes on by itself.
func TestARedisThatRefusesIsWaitedOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		refuse, lift []any
	}{
		{"out of memory", []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
		{"read-only", []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const people = 1_000
			sink := testkit.NewRecsink(t)
			w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "    limits: {rate: 100/s}\n")})
			opt, err := redis.ParseURL(w.redis.URL())
			if err != nil {
				t.Fatal(err)
			}
			admin := redis.NewClient(opt)
			defer admin.Close()
			p := w.start("worker")
			p.WaitLine("worker started", 20*time.Second)
			run := w.launch()
			more(t, sink, time.Minute)
			said := strings.Count(p.Output(), "\n")
			if err := admin.Do(t.Context(), tt.refuse...).Err(); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second) // what was under way fails, once
			used, conns := ticks(t, p), sink.Stats()["conns"]
			<-time.After(5 * time.Second)
			if used = ticks(t, p) - used; used > 150 {
				t.Errorf("%d ms of CPU in 5 s", 10*used)
			}
			if n := sink.Stats()["conns"] - conns; n > 5 {
				t.Errorf("%v connections to the server in 5 s without a message", n)
			}
			if err := admin.Do(t.Context(), tt.lift...).Err(); err != nil {
				t.Fatal(err)
			}
			more(t, sink, resumed)
			w.endsOnce(run, sink, people, 0)
			// Each of what cannot be done says so, and that it is done again.
			if n := strings.Count(p.Output(), "\n") - said; n > 2*askers {
				t.Errorf("%d log lines for one fault:\n%s", n, p.Output())
			}
		})
	}
}

// askers is how many parts of a worker ask something of Redis: each says once that it
// cannot, and once that it can again.
const askers = 12

// TestARedisThatIsAwayIsWaitedOut kills Redis for a while: no process ends, each
// says so once, and all go on when it is back.
func TestARedisThatIsAwayIsWaitedOut(t *testing.T) {
	t.Parallel()
	const people = 1_000
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{
		people: people, redis: []string{"--appendonly", "yes", "--appendfsync", "always"},
		accounts: account("sink", sink.Addr(), "    limits: {rate: 100/s}\n"),
	})
	web, base := w.web()
	procs := map[string]*testkit.Proc{"web": web, "worker": w.start("worker"), "scheduler": w.start("scheduler")}
	procs["worker"].WaitLine("worker started", 20*time.Second)
	procs["scheduler"].WaitLine("scheduler started", 20*time.Second)
	run := w.launch()
	more(t, sink, time.Minute)
	said := map[string]int{}
	for name, p := range procs {
		said[name] = strings.Count(p.Output(), "\n")
	}
	w.redis.Kill()
	ready(t, base, http.StatusServiceUnavailable)
	<-time.After(10 * time.Second) // long enough for every loop to try often
	for name, p := range procs {
		if n := strings.Count(p.Output(), "\n") - said[name]; n > askers {
			t.Errorf("%s: %d log lines in 10 s without Redis", name, n)
		}
		select {
		case <-p.Done():
			t.Fatalf("%s ended", name)
		default:
		}
	}
	w.redis.Start()
	more(t, sink, resumed)
	ready(t, base, http.StatusOK)
	procs["scheduler"].WaitLine("schedules can be read again", resumed)
	w.endsOnce(run, sink, people, 10) // one for each connection
}

// ready waits until the web process says that it is ready, or not.
func ready(t *testing.T, base string, want int) {
	t.Helper()
	status := ""
	for range testkit.Tries(resumed) {
		res, err := http.Get(base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == want {
			return
		}
		status = res.Status
	}
	t.Fatalf("/readyz answers %s, want %d", status, want)
}
