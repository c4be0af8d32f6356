package bench

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/internal/store"
	"broadside/internal/testkit"
)

func TestSendingStopsWhenAsked(t *testing.T) {
	t.Parallel()
	o := options(t)
	// Two messages each 25 ms: the list would take more than twenty minutes.
	o.Recipients, o.Connections, o.RTT = 100_000, 2, 25*time.Millisecond
	o.For, o.Alone, o.Stages, o.Sink = time.Second, true, []string{StageSend}, SinkOwn
	s := run(t, o).Send
	if s.Messages < 1 || s.Messages > 1000 {
		t.Errorf("%d messages in a second", s.Messages)
	}
	if s.Sink != SinkOwn || s.SinkCPU <= 0 || s.SMTPSource != nil {
		t.Errorf("sink %q, %v us; smtp-source %+v", s.Sink, s.SinkCPU, s.SMTPSource)
	}
}

func TestFieldsAndPipelining(t *testing.T) {
	t.Parallel()
	b := &bench{Options: Options{Recipients: 3, Fields: 2, Size: 12 << 10, Connections: 7, Pipelining: "off"}, dir: t.TempDir(), secret: strings.Repeat("s", 32)}
	if err := b.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	people, err := os.ReadFile(filepath.Join(b.dir, "people.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(people)), "\n") {
		if got := strings.Count(line, ","); got != 2 || i == 0 && line != "email,first_name,last_name" {
			t.Errorf("line %d of the list: %q", i+1, line)
		}
	}
	letter, err := os.ReadFile(filepath.Join(b.dir, "letter.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(letter), "{{"); got != 2 || !strings.Contains(string(letter), "you have been with us since customer since") {
		t.Errorf("%d fields in the letter:\n%.600s", got, letter)
	}
	cfg, _, err := b.load()
	if err != nil {
		t.Fatal(err)
	}
	if a := cfg.Accounts["bench"]; a.Pipelining != "off" || a.Limits.Connections != 7 {
		t.Errorf("account %+v", a)
	}
	if text := without(campaignFile, 12); text != campaignFile {
		t.Errorf("with all fields the campaign is\n%s", text)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{}, "broadside bench"},
		{Options{Recipients: 200_000, AOF: true, Stages: []string{StageSend}}, "broadside bench send --recipients 200000 --aof"},
		{
			Options{Fields: 2, Size: 999, Connections: 3, Workers: 2, Pipelining: "off", Sink: SinkOwn, RTT: 50 * time.Millisecond, RedisRTT: time.Millisecond, For: time.Minute, Alone: true},
			"broadside bench --fields 2 --size 999 --connections 3 --workers 2 --pipelining off --sink own --rtt 50ms --redis-rtt 1ms --for 1m0s --alone",
		},
		{Options{SMTP: "127.0.0.1:25", Redis: "redis://:secret@127.0.0.1/0"}, "broadside bench --smtp 127.0.0.1:25 --redis URL"},
	} {
		o, err := tt.o.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if got := o.command(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestReceiverCountsWhatArrives(t *testing.T) {
	t.Parallel()
	own, postfix := &receiver{own: &child{}}, &receiver{}
	for _, tt := range []struct {
		name          string
		r             *receiver
		before, after usage
		exactly, ok   bool
	}{
		{"all", own, usage{Accepted: 5}, usage{Accepted: 15}, true, true},
		{"one missing", own, usage{Accepted: 5}, usage{Accepted: 14}, false, false},
		{"one more", own, usage{Accepted: 5}, usage{Accepted: 16}, true, false},
		{"one more, stopped", own, usage{Accepted: 5}, usage{Accepted: 16}, false, true},
		{"bytes", postfix, usage{Bytes: 500}, usage{Bytes: 10_500}, true, true},
		{"one missing in bytes", postfix, usage{Bytes: 500}, usage{Bytes: 9400}, true, false},
		{"not known", postfix, usage{}, usage{}, true, true},
	} {
		if err := tt.r.check(tt.before, tt.after, 10, 1000, tt.exactly); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestMetersOfAProcess(t *testing.T) {
	t.Parallel()
	const stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 120 0 0 0 123 45 6 7 20 0 1 0 100 4096 10"
	for text, want := range map[string]time.Duration{stat: 1680 * time.Millisecond, "": 0, "42 (x": 0, "42 (x) S 1 2": 0} {
		if got := cpuOf(text); got != want {
			t.Errorf("cpuOf(%q) = %v, want %v", text, got, want)
		}
	}
	if got := readOf("wchar: 5\nrchar: 20661557\nsyscr: 4\n"); got != 20661557 {
		t.Errorf("read %d bytes", got)
	}
	if got := readOf("wchar: 5\n"); got != 0 {
		t.Errorf("read %d bytes, but that is not known", got)
	}
}

func TestSMTPSinkTakesMailAndIsMeasured(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Sink = SinkPostfix
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Options: o, size: 5000}
	r, err := b.startReceiver(t.Context())
	if err != nil {
		t.Fatalf("%v (Debian: apt-get install postfix)", err)
	}
	before, err := r.ask()
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	if _, err := b.smtpSource(t.Context(), &field{sink: r, smtp: r.addr}, n); err != nil {
		t.Fatal(err)
	}
	after, err := r.ask()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.check(before, after, n, b.size, true); err != nil || after.Bytes == 0 || after.CPU <= before.CPU {
		t.Errorf("%v; %+v, then %+v", err, before, after)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := r.ask(); err == nil {
		t.Error("a server that has ended still answers")
	}
}

// TestQueueIsLeftEmpty looks into a Redis that stays.
func TestQueueIsLeftEmpty(t *testing.T) {
	t.Parallel()
	redis := testkit.NewRedis(t)
	o := options(t)
	o.Redis, o.Stages = redis.URL(), []string{StageEnqueue}
	if e := run(t, o).Enqueue; e.Tasks != 300 {
		t.Errorf("enqueue: %+v", e)
	}
	b := &bench{Options: Options{Redis: redis.URL()}}
	s, err := b.startRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	keys, err := s.store.Client().Keys(t.Context(), "asynq:{bench-*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if strings.Contains(key, ":t:") || strings.HasSuffix(key, ":pending") || strings.HasSuffix(key, ":active") {
			t.Errorf("%s is left", key)
		}
	}
}

func TestOnlyWorkersSeeRedisFarAway(t *testing.T) {
	t.Parallel()
	const rtt = 40 * time.Millisecond
	o := options(t)
	o.RedisRTT, o.Recipients, o.Sink = rtt, 10, SinkOwn
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Options: o, dir: t.TempDir(), secret: strings.Repeat("s", 32)}
	if err := b.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := &field{}
	defer func() {
		if err := f.clear(); err != nil {
			t.Error(err)
		}
	}()
	if err := b.prepare(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	workers, _, err := b.load()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url string
		far bool
	}{
		"workers": {workers.RedisURL.Reveal(), true},
		"launch":  {f.app.Config.RedisURL.Reveal(), false},
	} {
		if far := ping(t, tt.url) >= rtt; far != tt.far {
			t.Errorf("%s: Redis is far away: %v, want %v", name, far, tt.far)
		}
	}
}

// ping returns the shortest of some round trips to a Redis.
func ping(t *testing.T, url string) time.Duration {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	best := time.Hour
	for range 5 {
		start := time.Now()
		if err := st.Client().Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	return best
}
