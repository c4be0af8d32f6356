package scheduler

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/testkit"
)

// recorder is a queue that keeps what it is given and tells of it.
type recorder struct {
	mu    sync.Mutex
	tasks map[campaign.Task]int
	news  chan struct{}
}

func newRecorder() *recorder {
	return &recorder{tasks: map[campaign.Task]int{}, news: make(chan struct{}, 1)}
}

func (r *recorder) Enqueue(_ context.Context, tasks []campaign.Task, _ time.Time) error {
	r.mu.Lock()
	for _, t := range tasks {
		r.tasks[t]++
	}

	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}

	return nil
}

func (r *recorder) wait(t *testing.T, what string, ok func(map[campaign.Task]int) bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		done := ok(r.tasks)
		n := len(r.tasks)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.news:
		case <-limit:
			t.Fatalf("%s: %d tasks", what, n)
		}
	}
}

func stores(t *testing.T, f func(t *testing.T, l *ledger.Ledger)) {
	clients(t, func(t *testing.T, l *ledger.Ledger, _ *redis.Client) { f(t, l) })
}

// clients is stores for tests that also write to Redis by themselves.
func clients(t *testing.T, f func(t *testing.T, l *ledger.Ledger, rdb *redis.Client)) {
	t.Run("redis", func(t *testing.T) {
		opt, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(opt)
		t.Cleanup(func() { rdb.Close() })
		f(t, ledger.New(rdb, "bs", redis.NewScript), rdb)
	})
	t.Run("embedded", func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { rdb.Close() })
		f(t, ledger.New(rdb, "bs", embeddedLua), rdb)
	})
}

// embeddedLua makes scripts for the embedded store, which knows no flags.
func embeddedLua(src string) *redis.Script {
	if strings.HasPrefix(src, "#!") {
		_, src, _ = strings.Cut(src, "\n")
	}
	return redis.NewScript(src)
}

func makeRun(t *testing.T, l *ledger.Ledger, size int) *ledger.Run {
	t.Helper()
	return makeGuarded(t, l, size, campaign.Guard{})
}

func makeGuarded(t *testing.T, l *ledger.Ledger, size int, guard campaign.Guard) *ledger.Run {
	t.Helper()
	return makeAs(t, l, size, ledger.NewRun{Guard: guard})
}

// makeAs makes a run of so many recipients; what is of no interest is filled in.
func makeAs(t *testing.T, l *ledger.Ledger, size int, n ledger.NewRun) *ledger.Run {
	t.Helper()
	ctx := t.Context()
	n.ID = "r"
	n.Campaign = "news"
	n.Created = time.Now()
	n.Retry = campaign.DefaultRetry
	n.MaxAttempts = 3
	n.ExpiresAfter = time.Hour
	n.Accounts = []string{"a"}
	if _, err := l.Create(ctx, n); err != nil {
		t.Fatal(err)
	}

	e := l.Expand("r")
	if err := e.Content(ctx, campaign.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Add(ctx, ledger.Chunk{Data: []byte("x"), Suppressed: make([]bool, size)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(ctx, campaign.Skipped{}); err != nil {
		t.Fatal(err)
	}

	rec, err := l.Record(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}

	return rec.Handle()
}

// feedWith runs a feeder until the test ends.
func feedWith(t *testing.T, l *ledger.Ledger, q Queue, closed func() time.Time) {
	t.Helper()
	runFeeder(t, newTestFeeder(l, q, closed))
}

func newTestFeeder(l *ledger.Ledger, q Queue, closed func() time.Time) *Feeder {
	return NewFeeder(l, q, FeederConfig{
		ShutUntil: func([]string, int) time.Time { return closed() },
		KeepRuns:  time.Hour, KeepAddresses: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
}

// runFeeder runs a feeder until stop is called, or the test ends.
func runFeeder(t *testing.T, f *Feeder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("feeder: %v", err)
		}
	})
	t.Cleanup(stop)

	return stop
}

func isOpen() time.Time { return time.Time{} }

// Recipients of a run of high priority go to the queue for these, where there is one.
func TestHighPriorityGoesToAQueueOfItsOwn(t *testing.T) {
	for _, tt := range []struct {
		name       string
		high, both bool
		want       string
	}{
		{"high", true, true, "high"},
		{"normal", false, true, "bulk"},
		{"one queue for all", true, false, "bulk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stores(t, func(t *testing.T, l *ledger.Ledger) {
				makeAs(t, l, 3, ledger.NewRun{High: tt.high})
				queues := map[string]*recorder{"bulk": newRecorder(), "high": newRecorder()}
				f := newTestFeeder(l, queues["bulk"], isOpen)
				if tt.both {
					f.cfg.High = queues["high"]
				}
				runFeeder(t, f)
				queues[tt.want].wait(t, "all recipients", func(m map[campaign.Task]int) bool { return len(m) == 3 })
			})
		})
	}
}

func TestFeederIssuesUpToTheBacklogAndGoesOnAsRoomComes(t *testing.T) {
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		const size = 500
		run := makeRun(t, l, size)
		q := newRecorder()
		feedWith(t, l, q, isOpen)
		q.wait(t, "the first backlog", func(m map[campaign.Task]int) bool { return len(m) == minBacklog })
		n := l.Line(nil, nil)
		ctx, stop := context.WithCancel(context.Background())
		running := make(chan error, 1)
		go func() { running <- n.Run(ctx) }()
		defer func() { stop(); <-running }()
		for i := range minBacklog {
			if _, err := n.Refuse(ctx, ledger.Ref{Run: run, Index: i}, ledger.Outcome{State: campaign.Failed}); err != nil {
				t.Fatal(err)
			}
		}

		// Less than a quarter of room is left empty.
		q.wait(t, "the second backlog", func(m map[campaign.Task]int) bool { return len(m) >= 2*minBacklog-minBacklog/4 })
		for i := minBacklog; i < size; i++ {
			if _, err := n.Refuse(ctx, ledger.Ref{Run: run, Index: i}, ledger.Outcome{State: campaign.Failed}); err != nil {
				t.Fatal(err)
			}
		}

		// All are final: the run is over, retired, and fed no more.
		over := false
		for range testkit.Tries(20 * time.Second) {
			ids, err := l.Active(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if over = len(ids) == 0; over {
				break
			}
		}

		if !over {
			t.Fatal("the run is still active")
		}

		q.mu.Lock()
		defer q.mu.Unlock()
		for task, n := range q.tasks {
			if n != 1 {
				t.Errorf("%v was handed out %d times", task, n)
			}
		}
	})
}

func TestFeederIssuesNobodyWhileAllAccountsAreClosed(t *testing.T) {
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		makeRun(t, l, 10)
		q := newRecorder()
		var mu sync.Mutex
		asked := make(chan struct{}, 3)
		until := time.Now().Add(time.Hour)
		feedWith(t, l, q, func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			select {
			case asked <- struct{}{}:
			default:
			}
			return until
		})
		for range 3 {
			<-asked
		}

		q.mu.Lock()
		if len(q.tasks) != 0 {
			t.Errorf("%d tasks for closed accounts", len(q.tasks))
		}

		q.mu.Unlock()
		mu.Lock()
		until = time.Time{}
		mu.Unlock()
		q.wait(t, "after opening", func(m map[campaign.Task]int) bool { return len(m) == 10 })
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Workers that die while Redis is away are noticed when it is back: what they
// had in hand is handed out again at once, not when it has been silent for long.
func TestADeathDuringAnOutageIsNoticed(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { rdb.Close() })
	l := ledger.New(rdb, "bs", embeddedLua)
	makeRun(t, l, 3)
	q := newRecorder()
	failed := make(chan struct{}, 1)
	rdb.AddHook(failures(failed))
	runFeeder(t, newTestFeeder(l, q, func() time.Time { return time.Time{} }))
	q.wait(t, "at first", func(m map[campaign.Task]int) bool { return len(m) == 3 })
	m.SetError("LOADING")
	<-failed
	if _, err := m.Incr("bs:{workers}:deaths", 1); err != nil {
		t.Fatal(err)
	}
	m.SetError("")
	q.wait(t, "after the death", func(m map[campaign.Task]int) bool { return m[campaign.Task{Run: "r"}] == 2 })
}

// Times of a run are Redis's: a process whose clock is wrong does not take an
// expansion for abandoned.
func TestAnExpansionIsJudgedByTheClockOfRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		age  time.Duration
		want campaign.RunState
	}{
		{"young", time.Minute, campaign.Expanding},
		{"old", abandonedAfter + time.Second, campaign.RunFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			m.SetTime(time.Now().Add(-3 * time.Hour))
			rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
			t.Cleanup(func() { rdb.Close() })
			l := ledger.New(rdb, "bs", embeddedLua)
			now, err := l.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			if _, err := l.Create(t.Context(), ledger.NewRun{ID: "r", Campaign: "news", Created: now.Add(-tt.age), MaxAttempts: 3, ExpiresAfter: time.Hour}); err != nil {
				t.Fatal(err)
			}

			rec, err := l.Record(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}

			if _, err := newTestFeeder(l, newRecorder(), nil).settleRun(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			if rec, err = l.Record(t.Context(), "r"); err != nil || rec.State != tt.want {
				t.Errorf("the run is %+v, %v; want it %s", rec, err, tt.want)
			}
		})
	}
}

// failures tells of each command that has failed.
type failures chan struct{}

func (f failures) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f failures) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return f.tell(next(ctx, cmd))
	}
}

func (f failures) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return f.tell(next(ctx, cmds))
	}
}

func (f failures) tell(err error) error {
	if err != nil {
		select {
		case f <- struct{}{}:
		default:
		}
	}
	return err
}
