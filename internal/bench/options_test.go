package bench

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/internal/testkit"
)

func TestSendingStopsWhenAsked(t *testing.T) {
	t.Parallel()
	o := options(t)
	// Two messages each 25 ms: the list would take more than twenty minutes.
	o.Recipients, o.Connections, o.RTT = 100_000, 2, 25*time.Millisecond
	// A second is enough for some where nothing else keeps the machine busy.
	o.For, o.Alone, o.Stages, o.Sink = 5*time.Second, true, []string{StageSend}, SinkOwn
	s := run(t, o).Send
	if s.Messages < 1 || s.Messages > 2000 {
		t.Errorf("%d messages in five seconds", s.Messages)
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
	cfg, _, err := b.load(t.Context())
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
	for want, change := range map[string]func(*Options){
		"broadside bench": func(*Options) {},
		"broadside bench send --recipients 200000 --aof": func(o *Options) {
			o.Recipients, o.AOF, o.Stages = 200_000, true, []string{StageSend}
		},
		"broadside bench --fields 2 --size 999 --connections 3 --workers 2 --pipelining off --sink own --rtt 50ms --redis-rtt 1ms --for 1m0s --alone": everything,
		"broadside bench send --limits": func(o *Options) { o.Limits, o.Stages = true, []string{StageSend} },
		"broadside bench --smtp 127.0.0.1:25 --redis URL": func(o *Options) {
			o.SMTP, o.Redis = "127.0.0.1:25", "redis://:secret@127.0.0.1/0"
		},
		// What does nothing in a stage is not claimed of it.
		"broadside bench expand --fields 2 --size 999 --aof": only(StageExpand),
		"broadside bench enqueue --redis-rtt 1ms --aof":      only(StageEnqueue),
		"broadside bench render --fields 2 --size 999":       only(StageRender),
		"broadside bench send --fields 2 --size 999 --connections 3 --workers 2 --pipelining off --sink own --rtt 50ms --redis-rtt 1ms --for 1m0s --aof --alone": only(StageSend),
		"broadside bench render": func(o *Options) {
			o.SMTP, o.Redis, o.Stages = "127.0.0.1:25", "redis://:secret@127.0.0.1/0", []string{StageRender}
		},
	} {
		o := Defaults()
		change(&o)
		if got, err := o.Command(); err != nil || got != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

// everything asks for something else than the default wherever that goes
// together with the rest.
func everything(o *Options) {
	o.Fields, o.Size, o.Connections, o.Workers, o.Pipelining, o.Sink = 2, 999, 3, 2, "off", SinkOwn
	o.RTT, o.RedisRTT, o.For, o.Alone, o.ProfileDir = 50*time.Millisecond, time.Millisecond, time.Minute, true, "profiles"
}

func only(stage string) func(*Options) {
	return func(o *Options) {
		everything(o)
		o.AOF, o.Stages = true, []string{stage}
	}
}

func TestTitleClaimsNothingOfOtherStages(t *testing.T) {
	t.Parallel()
	r := Result{Recipients: 7, Size: 999, Connections: 3, Workers: 2, Pipelining: "off"}
	for want, change := range map[string]func(*Result){
		"7 recipients":                        func(r *Result) { r.Enqueue, r.Pipelining = &Enqueue{}, "auto" },
		"7 recipients, messages of 999 bytes": func(r *Result) { r.Render, r.Pipelining = &Render{}, "auto" },
		"7 recipients, messages of 999 bytes, 3 connections, 2 worker(s), pipelining off": func(r *Result) { r.Send = &Send{} },
	} {
		r := r
		change(&r)
		if got, _, _ := strings.Cut(r.Title(), "\n"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWrongOptionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, flag, want string
		change           func(*Options)
	}{
		{"stage", "", `bench: found stage "reder", expected some of: expand, enqueue, render, send`, func(o *Options) { o.Stages = []string{"reder"} }},
		{"no recipients", "recipients", "--recipients: found 0, expected 1 to 50000000", func(o *Options) { o.Recipients = 0 }},
		{"fewer", "recipients", "--recipients: found -1, expected 1 to 50000000", func(o *Options) { o.Recipients = -1 }},
		{"no workers", "workers", "--workers: found 0, expected 1 to 64", func(o *Options) { o.Workers = 0 }},
		{"many workers", "workers", "--workers: found 1000, expected 1 to 64", func(o *Options) { o.Workers = 1000 }},
		{"no connections", "connections", "--connections: found 0, expected 1 to 1000", func(o *Options) { o.Connections = 0 }},
		{"no fields", "fields", "--fields: found 0, expected 1 to 12", func(o *Options) { o.Fields = 0 }},
		{"many fields", "fields", "--fields: found 13, expected 1 to 12", func(o *Options) { o.Fields = 13 }},
		{"no size", "size", "--size: found 0, expected 1 to 1048576", func(o *Options) { o.Size = 0 }},
		{"too small", "size", "--size: found 100 bytes, the shortest letter has ", func(o *Options) { o.Size = 100 }},
		{"pipelining", "pipelining", `--pipelining: found "on", expected auto, envelope or off`, func(o *Options) { o.Pipelining = "on" }},
		{"sink", "sink", `--sink: found "smtp-drain", expected smtp-sink or own`, func(o *Options) { o.Sink = "smtp-drain" }},
		{"before zero", "for", "--for: found -1s,", func(o *Options) { o.For = -time.Second }},
		{"near", "rtt", "--rtt: found -1s,", func(o *Options) { o.RTT = -time.Second }},
		{"near Redis", "redis-rtt", "--redis-rtt: found -1s,", func(o *Options) { o.RedisRTT = -time.Second }},
		{"two servers", "sink", "--sink: says what is started, but --smtp", func(o *Options) { o.Sink, o.SMTP = SinkOwn, "127.0.0.1:25" }},
		{"distance", "rtt", "--rtt: is added on the way to a sink that is started", func(o *Options) { o.SMTP, o.RTT = "127.0.0.1:25", time.Second }},
		{"distance to Redis", "redis-rtt", "--redis-rtt: is added on the way to a redis-server that is started", func(o *Options) { o.Redis, o.RedisRTT = "redis://127.0.0.1:1/0", time.Second }},
		{"AOF of a named Redis", "aof", "--aof: is an option of a redis-server that is started", func(o *Options) { o.Redis, o.AOF = "redis://127.0.0.1:1/0", true }},
		{"not a URL", "redis", "--redis: redis_url begins with http://", func(o *Options) { o.Redis = "http://127.0.0.1:1/0" }},
		{"no port", "smtp", `--smtp: found "127.0.0.1", expected HOST:PORT`, func(o *Options) { o.SMTP = "127.0.0.1" }},
		{"port zero", "smtp", `--smtp: found the port "0", expected 1 to 65535`, func(o *Options) { o.SMTP = "127.0.0.1:0" }},
		{"port with a name", "smtp", `--smtp: found the port "smtp", expected 1 to 65535`, func(o *Options) { o.SMTP = "localhost:smtp" }},
		{"no host", "smtp", `--smtp: found the host "", expected this machine`, func(o *Options) { o.SMTP = ":25" }},
		{"elsewhere", "smtp", `--smtp: found the host "192.0.2.1", expected this machine`, func(o *Options) { o.SMTP = "192.0.2.1:25" }},
		{"elsewhere by name", "smtp", `--smtp: found the host "mail.example.com", expected this machine`, func(o *Options) { o.SMTP = "mail.example.com:25" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			tt.change(&o)
			_, err := Run(t.Context(), o)
			var option *OptionError
			if !errors.As(err, &option) || option.Flag != tt.flag || !strings.HasPrefix(option.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestHostsThatAreThisMachine(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:25", "127.9.9.9:65535", "localhost:2525", "LOCALHOST:1", "[::1]:25", "[::ffff:127.0.0.1]:25"} {
		o := Defaults()
		o.SMTP = addr
		if _, err := o.checked(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestServerThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	nobody, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	for name, addr := range map[string]string{
		"nobody listens": net.JoinHostPort("127.0.0.1", nobody),
		"turned away":    greeter(t, "554 no mail here\r\n"),
		"not SMTP":       greeter(t, "+PONG\r\n"),
		"hangs up":       greeter(t, ""),
	} {
		o := options(t)
		said := 0
		o.SMTP, o.Say = addr, func(string) { said++ }
		if _, err := Run(t.Context(), o); !errors.Is(err, failure.ErrUnreachable) || !strings.HasPrefix(err.Error(), "--smtp: "+addr+" is not reachable: ") {
			t.Errorf("%s: got %v, want ErrUnreachable", name, err)
		}
		if said > 0 {
			t.Errorf("%s: something was begun for it", name)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := greets(ctx, l.Addr().String()); err == nil || !strings.Contains(err.Error(), "wait for its greeting") {
		t.Errorf("silent: got %v", err)
	}
	b := &bench{Options: Options{SMTP: l.Addr().String()}}
	if err := b.reach(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("interrupted: got %v, want the end of the context", err)
	}
	if err := greets(t.Context(), greeter(t, "220-a.example\r\n220 ESMTP\r\n")); err != nil {
		t.Errorf("a greeting of two lines: %v", err)
	}
}

// greeter returns the address of a server that says a text and hangs up.
func greeter(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, text)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestOthersAreToldInWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		counts campaign.Counts
		want   string
	}{
		{campaign.Counts{campaign.Pending: 100, campaign.Issued: 0}, "100 pending"},
		{campaign.Counts{campaign.Accepted: 9, campaign.Pending: 2, campaign.Issued: 3, campaign.Bounced: 1}, "1 bounced, 5 pending"},
		{campaign.Counts{campaign.Accepted: 9}, "nothing is known of the others"},
	} {
		if got := others(tt.counts); got != tt.want {
			t.Errorf("others(%v) = %q, want %q", tt.counts, got, tt.want)
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
	testkit.NeedsServer(t)
	o := options(t)
	o.Sink = SinkPostfix
	o, err := o.checked()
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
	testkit.NeedsServer(t)
	const rtt = 40 * time.Millisecond
	o := options(t)
	o.RedisRTT, o.Recipients, o.Sink = rtt, 10, SinkOwn
	o, err := o.checked()
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
	workers, _, err := b.load(t.Context())
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
