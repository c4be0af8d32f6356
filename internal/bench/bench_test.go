package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/internal/testkit"
)

// TestMain is also the agent that measurements start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		if err := Agent(context.Background(), os.Args[2:], os.Stdin, os.Stdout, slog.New(slog.DiscardHandler)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The race detector has each agent wait for a second before it exits.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=20"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func options(t *testing.T) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Recipients, o.Connections, o.Size = 300, 4, 12<<10
	o.Agent, o.Stderr, o.Say = []string{self, "agent"}, testWriter{t}, func(text string) { t.Log(text) }
	o.Log = slog.New(slog.DiscardHandler)
	return o
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("child: %s", p)
	return len(p), nil
}

func run(t *testing.T, o Options) *Result {
	t.Helper()
	testkit.NeedsServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	res, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestAllStages(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Workers, o.RTT, o.RedisRTT, o.AOF = 2, 2*time.Millisecond, time.Millisecond, true
	o.ProfileDir = filepath.Join(t.TempDir(), "profiles")
	res := run(t, o)
	if res.Expand == nil || res.Expand.Rows != 300 || res.Expand.RowsPerS <= 0 || res.Expand.ChunkBytes <= 0 {
		t.Errorf("expand: %+v", res.Expand)
	}
	if e := res.Enqueue; e == nil || e.Tasks != 300 || e.PerS <= 0 || e.TakenPerS <= 0 || e.RedisCPU+e.TakenCPU <= 0 {
		t.Errorf("enqueue: %+v", e)
	}
	if res.Render == nil || res.Render.Micros <= 0 || res.Render.Allocs <= 0 {
		t.Errorf("render: %+v", res.Render)
	}
	s := res.Send
	if s == nil || s.Messages != 300 || s.Sink != SinkPostfix {
		t.Fatalf("send: %+v", s)
	}
	for what, value := range map[string]float64{
		"messages/s": s.PerS, "first message": s.FirstMillis, "worker CPU": s.WorkerCPU, "sink CPU": s.SinkCPU, "Redis CPU": s.RedisCPU,
		"commands": s.RedisCommands, "network": s.RedisBytes, "allocations": s.Allocs, "memory": float64(s.WorkerMemory),
		"workers of sink": s.WorkerOfSink, "Redis of sink": s.RedisOfSink, "Redis memory": s.RedisTotal,
	} {
		if value <= 0 {
			t.Errorf("%s is %v", what, value)
		}
	}
	// Four connections, 2 ms away, and at least one round trip for each message.
	if limit := 4 / 0.002; s.PerS > limit {
		t.Errorf("%v messages/s over a distance that allows %v", s.PerS, limit)
	}
	if s.WorkerOfSink != s.WorkerCPU/s.SinkCPU || s.RedisOfSink != s.RedisCPU/s.SinkCPU {
		t.Errorf("ratios %v and %v of %v, %v, %v", s.WorkerOfSink, s.RedisOfSink, s.WorkerCPU, s.RedisCPU, s.SinkCPU)
	}
	if s.RedisTotal <= s.RedisPeak {
		t.Errorf("Redis holds %v bytes a recipient, of which %v beside the chunks", s.RedisTotal, s.RedisPeak)
	}
	if s.SMTPSource == nil || s.SMTPSource.PerS <= 0 || s.SMTPSource.Ratio <= 0 {
		t.Errorf("smtp-source: %+v (Debian: apt-get install postfix)", s.SMTPSource)
	}
	profiles, err := filepath.Glob(filepath.Join(o.ProfileDir, "worker-[12].*.pprof"))
	if err != nil || len(profiles) != 4 {
		t.Errorf("profiles %q, %v", profiles, err)
	}
	if rows := res.Rows(); len(rows) < 20 || len(rows[0]) != 4 {
		t.Errorf("rows %q", rows)
	}
}

func TestNamedRedisAndServerAreUsedAndCleared(t *testing.T) {
	t.Parallel()
	redis := testkit.NewRedis(t)
	sink := testkit.NewRecsink(t)
	o := options(t)
	o.Redis, o.SMTP, o.Stages = redis.URL(), sink.Addr(), []string{StageSend}
	res := run(t, o)
	if res.Expand != nil || res.Enqueue != nil || res.Render != nil || res.Send == nil {
		t.Fatalf("stages: %+v", res)
	}
	if s := res.Send; s.Sink != "named" || s.SinkCPU != 0 || s.WorkerOfSink != 0 || s.RedisOfSink != 0 {
		t.Errorf("of a server that is not ours: %+v", s)
	}
	if strings.Contains(res.Command, redis.URL()) || !strings.Contains(res.Command, "--redis URL") {
		t.Errorf("command %q", res.Command)
	}
	accepted := map[string]int{}
	for _, e := range sink.Records() {
		if e.Kind == 'A' {
			accepted[e.Rcpt]++
		}
	}
	for rcpt, n := range accepted {
		domain := rcpt[strings.LastIndexByte(rcpt, '@')+1:]
		if !strings.HasPrefix(domain, "example.") {
			t.Errorf("%s is not a name for examples", rcpt)
		}
		if n > 1 && rcpt != "reader@example.com" { // that one is smtp-source's
			t.Errorf("%s got %d messages", rcpt, n)
		}
	}
	if len(accepted) != 301 {
		t.Errorf("%d addresses at the server, want 300 and that of smtp-source", len(accepted))
	}
}

func TestLetterHasTheAskedSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{8 << 10, 20 << 10, 100_000} {
		b := &bench{Options: Options{Recipients: 3, Fields: 12, Size: size, Connections: 1, Pipelining: "off"}, dir: t.TempDir(), secret: strings.Repeat("s", 32)}
		if err := b.write(t.Context()); err != nil {
			t.Fatal(err)
		}
		if off := b.size - size; off < -size/50 || off > size/50 {
			t.Errorf("asked for %d bytes, got %d", size, b.size)
		}
	}
}

func TestAgentRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"worker"}, {"sink", "x"}, {"distance", "127.0.0.1:25"}, {"distance", "127.0.0.1:25", "far"}, {"other", "x"}} {
		if err := Agent(t.Context(), args, strings.NewReader(""), io.Discard, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("Agent(%q): no error", args)
		}
	}
}

func TestAgentAnswersUntilItsInputEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := Agent(t.Context(), []string{"sink"}, strings.NewReader("\n\n"), &out, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	var answers []usage
	for {
		var u usage
		if err := dec.Decode(&u); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, u)
	}
	if len(answers) != 2 || answers[0].Listening == "" || answers[1].CPU < answers[0].CPU || answers[1].Mallocs == 0 {
		t.Errorf("answers %+v", answers)
	}
}

const info = "# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\nused_cpu_sys_children:9\r\n# Stats\r\ntotal_commands_processed:1000\r\n" +
	"total_net_input_bytes:300\r\ntotal_net_output_bytes:50\r\nused_memory:4096\r\nused_memory_human:4K\r\n" +
	"cmdstat_evalsha:calls=10,usec=200,usec_per_call=20.00,rejected_calls=0,failed_calls=0\r\ncmdstat_get:calls=4,usec=8,usec_per_call=2.00\r\n"

func TestReading(t *testing.T) {
	t.Parallel()
	got := parseReading(info)
	want := reading{cpu: 3.75, commands: 1000, bytes: 350, memory: 4096, kinds: map[string]kind{"evalsha": {10, 200}, "get": {4, 8}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reading{}, kind{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	before := reading{kinds: map[string]kind{"evalsha": {5, 199}}}
	costs := []Command{{"get", 2, 4}, {"evalsha", 2.5, 0.5}}
	if diff := cmp.Diff(costs, top(before, got, 2, 9)); diff != "" {
		t.Errorf("top: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(costs[:1], top(before, got, 2, 1)); diff != "" {
		t.Errorf("top one: -want +got:\n%s", diff)
	}
}

func FuzzReading(f *testing.F) {
	f.Add(info)
	f.Add("cmdstat_x:calls=,usec")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range parseReading(text).kinds {
			if !strings.Contains(text, "cmdstat_"+name) {
				t.Errorf("%q: there is no command %q", text, name)
			}
		}
	})
}
