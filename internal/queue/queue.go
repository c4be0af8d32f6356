// Package queue carries recipients from feeders to workers as asynq tasks: one
// task per recipient, whose payload is only (run, part, index). No address is
// ever in the queue.
//
// A task is a hint. It may be lost, doubled or late: the ledger decides. So
// asynq's retries, archive, schedulers and groups are not used, and a handler
// never fails and never waits: it hands the recipient on and returns.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"broadside/internal/outage"
)

// taskType is the type of every task.
const taskType = "broadside:recipient"

// A Task names one recipient of a run.
type Task struct {
	Run         string
	Part, Index int
}

func (t Task) payload() []byte {
	b := make([]byte, 0, len(t.Run)+16)
	b = append(b, t.Run...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(t.Part), 10)
	b = append(b, ' ')
	return strconv.AppendInt(b, int64(t.Index), 10)
}

func parse(payload []byte) (Task, error) {
	f := strings.Split(string(payload), " ")
	if len(f) != 3 || f[0] == "" {
		return Task{}, fmt.Errorf("unexpected payload %q", payload)
	}
	part, err := strconv.Atoi(f[1])
	if err != nil {
		return Task{}, fmt.Errorf("unexpected payload %q", payload)
	}
	index, err := strconv.Atoi(f[2])
	if err != nil || part < 0 || index < 0 {
		return Task{}, fmt.Errorf("unexpected payload %q", payload)
	}
	return Task{f[0], part, index}, nil
}

// Name returns the queue of bulk mail of a namespace.
func Name(namespace string) string { return namespace + "-bulk-0" }

// A Client enqueues.
type Client struct {
	asynq *asynq.Client
	queue string
}

// NewClient returns a client on a shared connection pool.
func NewClient(rdb redis.UniversalClient, namespace string) *Client {
	return &Client{asynq: asynq.NewClientFromRedisClient(pipelined(rdb)), queue: Name(namespace)}
}

// pipelined returns rdb in a form in which commands that wait at the same
// moment travel together: asynq asks for each task alone, three times, and
// without this the round trips and system calls of that cost more than all the
// rest (measured: half of the CPU of a worker, and of Redis). It is closed with
// rdb, and shared by all that ask for it.
func pipelined(rdb redis.UniversalClient) redis.UniversalClient {
	p, err := rdb.AutoPipeline()
	if err != nil {
		return rdb // a client that cannot, or is closed: it will say so itself
	}
	return p
}

// stopTime is how long asynq's servers may take to stop.
const stopTime = 6 * time.Second

// enqueuers is how many tasks are on their way to the queue at once: they
// share their round trips.
const enqueuers = 64

// Enqueue hands tasks out that were issued at the given moment, which makes
// their ids unique: a twin is as good as the task itself.
func (c *Client) Enqueue(ctx context.Context, tasks []Task, issued time.Time) error {
	suffix := ":" + strconv.FormatInt(issued.UnixMilli(), 36)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(enqueuers)
	share := max(1, (len(tasks)+enqueuers-1)/enqueuers)
	for len(tasks) > 0 {
		some := tasks[:min(share, len(tasks))]
		tasks = tasks[len(some):]
		g.Go(func() error {
			for _, t := range some {
				// One retry: with none asynq would archive what a dead process held.
				_, err := c.asynq.EnqueueContext(ctx, asynq.NewTask(taskType, t.payload()),
					asynq.Queue(c.queue), asynq.TaskID(string(t.payload())+suffix), asynq.MaxRetry(1), asynq.Timeout(time.Minute))
				if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
					return fmt.Errorf("enqueue for run %s: %w", t.Run, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// A Config sizes the servers of one process.
type Config struct {
	Namespace string
	// Servers is how many asynq servers run: each takes one task per round
	// trip to Redis, and has a pub/sub connection of its own. Default 4.
	Servers int
	// Concurrency is how many handlers each server runs. Default 16.
	Concurrency int
	// Gate is shut while Redis gives no tasks away; nil: one of its own.
	Gate *outage.Gate
	Log  *slog.Logger
}

// NewGate returns a gate for Config, which says in the log when it is shut and
// opened.
func NewGate(log *slog.Logger) *outage.Gate {
	return outage.NewGate(outage.NewNotice(log,
		"redis gives no tasks away: looking again every second", "redis gives tasks away again"))
}

// Serve takes tasks and calls handle for each until ctx ends; then it stops
// taking, waits for the handlers under way and returns. handle must not wait.
//
// While Redis refuses to give tasks away, or cannot be reached, one server asks
// it once a second, the others wait. An error at the end means that something is
// left behind which uses rdb: it must not be closed then.
func Serve(ctx context.Context, rdb redis.UniversalClient, cfg Config, handle func(context.Context, Task)) error {
	if cfg.Servers == 0 {
		cfg.Servers = 4
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 16
	}
	if cfg.Gate == nil {
		cfg.Gate = NewGate(cfg.Log)
	}
	mux := asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		task, err := parse(t.Payload())
		if err != nil {
			cfg.Log.Error("task dropped", "err", err)
			return nil // nobody could ever handle it
		}
		handle(ctx, task)
		return nil
	})
	rdb = gated{pipelined(rdb), cfg.Gate, ctx}
	servers := make([]*asynq.Server, 0, cfg.Servers)
	for range cfg.Servers {
		s := asynq.NewServerFromRedisClient(rdb, asynq.Config{
			Concurrency:       cfg.Concurrency,
			Queues:            map[string]int{Name(cfg.Namespace): 1},
			TaskCheckInterval: 40 * time.Millisecond,
			ShutdownTimeout:   5 * time.Second,
			LogLevel:          asynq.WarnLevel,
			Logger:            logger{cfg.Log},
			ErrorHandler: asynq.ErrorHandlerFunc(func(_ context.Context, _ *asynq.Task, err error) {
				if asynq.IsPanicError(err) {
					cfg.Log.Error("task dropped: its handler panicked", "err", err)
				}
			}),
		})
		if err := s.Start(mux); err != nil {
			return errors.Join(fmt.Errorf("start an asynq server: %w", err), stop(servers))
		}
		servers = append(servers, s)
	}
	<-ctx.Done()
	return stop(servers)
}

// stop stops asynq's servers. It asks Redis without a deadline: one that hangs
// must not hold up the end of the process, which takes the goroutines with it.
func stop(servers []*asynq.Server) error {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			s.Stop()
			s.Shutdown()
		})
	}
	stopped := make(chan struct{})
	go func() {
		wg.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-time.After(stopTime):
		return fmt.Errorf("stop taking tasks: redis did not answer for %s", stopTime)
	}
}

// logger is asynq's logger on slog. What asynq calls an error is none to us:
// nothing is lost by it, and what lasts is known by the gate.
type logger struct{ log *slog.Logger }

func (l logger) say(args []any) { l.log.Debug("asynq", "text", fmt.Sprint(args...)) }

func (l logger) Debug(args ...any) { l.say(args) }
func (l logger) Info(args ...any)  { l.say(args) }
func (l logger) Warn(args ...any)  { l.say(args) }
func (l logger) Error(args ...any) { l.say(args) }
func (l logger) Fatal(args ...any) { l.say(args) }
