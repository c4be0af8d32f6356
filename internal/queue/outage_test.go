package queue

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/testkit"
)

func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watched is how long a fault lasts while it is measured.
const watched = 3 * time.Second

// calm measures what a server does for a while in which Redis refuses.
func calm(t *testing.T, log *testkit.Log, commands func() int64) {
	t.Helper()
	said, asked, used := log.Lines(), commands(), cpu(t)
	<-time.After(watched)
	if n := log.Lines() - said; n > 1 {
		t.Errorf("%d log lines in %s:\n%s", n, watched, log)
	}
	// Each of sixteen servers may find out for itself, then one asks a second. A
	// try is up to four commands, as go-redis repeats some of them itself. On a busy
	// machine the time is longer and a server may come twice: that doubles it. All
	// servers, asking on, would make some 1,800 tries.
	if n := commands() - asked; n > 2*4*(16+3) {
		t.Errorf("%d commands in %s", n, watched)
	}
	if used = cpu(t) - used; used > watched/4 {
		t.Errorf("%s of CPU in %s", used, watched)
	}
}

// TestServeIsCalmWhileRedisRefuses is not parallel: it measures the process.
func TestServeIsCalmWhileRedisRefuses(t *testing.T) { //nolint:paralleltest // see above
	for _, tt := range []struct {
		name         string
		refuse, lift []any
	}{
		{"out of memory", []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
		{"read-only", []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}},
		{"no permission", []any{"ACL", "SETUSER", "default", "-evalsha", "-eval"}, []any{"ACL", "SETUSER", "default", "+@all"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := testkit.Redis(t)
			admin, rdb := dial(t, url), dial(t, url)
			var log testkit.Log
			handled := serve(t, rdb, &log)
			send(t, rdb, handled, "before")
			if err := admin.Do(t.Context(), tt.refuse...).Err(); err != nil {
				t.Fatal(err)
			}
			calm(t, &log, func() int64 { return scripts(t, admin) })
			if n := log.Lines(); n != 1 {
				t.Errorf("%d log lines for the fault:\n%s", n, &log)
			}
			if err := admin.Do(t.Context(), tt.lift...).Err(); err != nil {
				t.Fatal(err)
			}
			send(t, rdb, handled, "after")
			if n := log.Lines(); n != 2 {
				t.Errorf("%d log lines for the fault and its end:\n%s", n, &log)
			}
		})
	}
}

// TestServeIsCalmWhileRedisLoads asks a server that answers as one does that
// reads its data.
func TestServeIsCalmWhileRedisLoads(t *testing.T) { //nolint:paralleltest // measures the process
	addr, commands := loading(t)
	rdb := dial(t, "redis://"+addr)
	var log testkit.Log
	serve(t, rdb, &log)
	calm(t, &log, commands.Load)
	if commands.Load() == 0 {
		t.Error("nobody asked for tasks")
	}
	if !strings.Contains(log.String(), "LOADING") {
		t.Errorf("the log does not say why: %s", &log)
	}
}

func dial(t testing.TB, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// serve serves until the test ends, and must end then although Redis may still
// refuse.
func serve(t *testing.T, rdb *redis.Client, log *testkit.Log) chan campaign.Task {
	t.Helper()
	handled := make(chan campaign.Task, 1000)
	start(t, rdb, Config{Namespace: "test", Log: slog.New(slog.NewTextHandler(log, nil))},
		func(_ context.Context, t campaign.Task) { handled <- t })
	return handled
}

// start serves until the test ends.
func start(t *testing.T, rdb *redis.Client, cfg Config, handle func(context.Context, campaign.Task)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, rdb, cfg, handle) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// send enqueues tasks of a run and waits until all are handled.
func send(t *testing.T, rdb *redis.Client, handled chan campaign.Task, run string) {
	t.Helper()
	const n = 50
	var tasks []campaign.Task
	for i := range n {
		tasks = append(tasks, campaign.Task{Run: run, Index: i})
	}
	if err := NewClient(rdb, "test").Enqueue(t.Context(), tasks, time.Now()); err != nil {
		t.Fatal(err)
	}
	limit := time.After(15 * time.Second) // one, when nothing else keeps the machine busy
	for i := range n {
		select {
		case task := <-handled:
			if task.Run != run {
				t.Errorf("%v came again", task)
			}
		case <-limit:
			t.Fatalf("%d of %d tasks %s the fault within 15 s", i, n, run)
		}
	}
}

// scripts returns how many scripts Redis was asked to run so far.
func scripts(t *testing.T, rdb *redis.Client) (n int64) {
	t.Helper()
	text, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "cmdstat_eval") {
			continue
		}
		for field := range strings.SplitSeq(strings.TrimSpace(line[strings.Index(line, ":")+1:]), ",") {
			if value, ok := strings.CutPrefix(field, "calls="); ok {
				n += number(t, value)
			}
			if value, ok := strings.CutPrefix(field, "rejected_calls="); ok {
				n += number(t, value)
			}
		}
	}
	return n
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// loading answers every command with LOADING, and counts those that take tasks.
func loading(t *testing.T) (addr string, commands *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	commands = new(atomic.Int64)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends when the client closes
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					words, err := command(r)
					if err != nil {
						return
					}
					if len(words) > 3 && takes(words[3:]) { // EVALSHA, script, number of keys
						commands.Add(1)
					}
					if _, err := io.WriteString(c, "-LOADING Redis is loading the dataset in memory\r\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), commands
}

// command reads one command: *N, then N times $LENGTH and a value.
func command(r *bufio.Reader) ([]string, error) {
	var n, size int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}
