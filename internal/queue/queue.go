// Package queue carries recipients from feeders to workers as asynq tasks: one
// task per recipient, whose payload is only (run, part, index). No address is
// ever in the queue.
//
// A task is a hint. It may be lost, doubled or late: the ledger decides. So
// asynq's retries, archive, schedulers and groups are not used, and a handler
// never fails and never waits: it hands the recipient on and returns.
//
// Bulk mail has one queue, or several shards of it, of which each run has one. Runs of
// high priority have a queue with servers of its own: nothing waits there behind bulk
// mail, and taking a task of bulk mail costs no look at it.
//
// It also has a queue for each receiver of outgoing webhooks (deliveries.go).
// There asynq's retries and its archive are used: a handler waits for the receiver.
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

	"broadside/campaign"
	"broadside/internal/outage"
)

// taskType is the type of every task.
const taskType = "broadside:recipient"

// encode returns the payload of a task.
func encode(t campaign.Task) []byte {
	b := make([]byte, 0, len(t.Run)+16)
	b = append(b, t.Run...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(t.Part), 10)
	b = append(b, ' ')
	return strconv.AppendInt(b, int64(t.Index), 10)
}

func decode(payload []byte) (campaign.Task, error) {
	run, rest, _ := strings.Cut(string(payload), " ")
	first, second, _ := strings.Cut(rest, " ")
	part, err := strconv.Atoi(first)
	index, err2 := strconv.Atoi(second)
	if run == "" || err != nil || err2 != nil || part < 0 || index < 0 {
		return campaign.Task{}, fmt.Errorf("unexpected payload %q", payload)
	}
	return campaign.Task{Run: run, Part: part, Index: index}, nil
}

// pipelined returns rdb in a form in which commands that wait at the same
// moment travel together: asynq's servers ask for each task alone, twice, and
// without this the round trips and system calls of that cost more than all the
// rest. It is closed with rdb.
func pipelined(rdb redis.UniversalClient) redis.UniversalClient {
	p, err := rdb.AutoPipeline()
	if err != nil {
		return rdb // a client that cannot, or is closed: it will say so itself
	}
	return p
}

const (
	// stopTime is how long asynq's servers may take to stop.
	stopTime = 6 * time.Second
	// never is longer than a process lives.
	never = 100 * 365 * 24 * time.Hour
)

// A Config sizes the servers of one process.
type Config struct {
	Namespace string
	// Shards is how many queues bulk mail has. Default 1.
	Shards int
	// Servers is how many asynq servers run for bulk mail: each takes one task per
	// round trip to Redis. They share their round trips and connections. Default 16,
	// and 32 when Redis is so far away that sixteen could be its limit. Runs of high
	// priority have a quarter as many more; of several shards each has at least four.
	Servers int
	// Concurrency is how many tasks are in work at once at all Servers; with fewer
	// than Servers there are only as many servers. Default 16 for each server.
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

// far is the round trip to Redis from which on more servers are worth what they
// cost when idle. Measured at 1 ms: 6,300 tasks/s with 16, 10,500 with 32.
const far = 500 * time.Microsecond

// suits returns how many servers suit the way to Redis.
func suits(ctx context.Context, rdb redis.UniversalClient) int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for range 5 { // the first may open a connection; any may meet a busy moment
		began := time.Now()
		if err := rdb.Ping(ctx).Err(); err != nil || time.Since(began) < far {
			return 16
		}
	}
	return 32
}

// ErrLeft is returned by Serve when something is left behind that uses the client.
var ErrLeft = errors.New("stop taking tasks")

// Serve takes tasks and calls handle for each until ctx ends; then it stops
// taking, waits for the handlers under way and returns. handle must not wait.
//
// While Redis refuses to give tasks away, or cannot be reached, one server asks
// it once a second, the others wait. ErrLeft at the end: rdb must not be closed.
func Serve(ctx context.Context, rdb redis.UniversalClient, cfg Config, handle func(context.Context, campaign.Task)) error {
	if cfg.Servers == 0 {
		cfg.Servers = suits(ctx, rdb)
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 16 * cfg.Servers
	}
	cfg.Servers = min(cfg.Servers, cfg.Concurrency)
	if cfg.Gate == nil {
		cfg.Gate = NewGate(cfg.Log)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mux := asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		task, err := decode(t.Payload())
		if err != nil {
			cfg.Log.Error("task dropped", "err", err)
			return nil // no worker could ever handle it
		}
		handle(ctx, task)
		return nil
	})
	rdb = pipelined(rdb)
	var servers []*asynq.Server
	for _, q := range cfg.served(ctx, rdb) {
		quiet := &lull{last: time.Now(), gentle: q.gentle}
		for i := range q.servers {
			s := asynq.NewServerFromRedisClient(&gated{rdb, cfg.Gate, quiet, ctx}, asynqConfig(cfg, q, i == 0))
			if err := s.Start(mux); err != nil {
				cancel()
				return errors.Join(fmt.Errorf("start an asynq server: %w", err), stop(servers))
			}
			servers = append(servers, s)
		}
	}
	<-ctx.Done()
	return stop(servers)
}

// A served queue has servers, which ask for a task about every so often when they found
// none.
type served struct {
	name    string
	servers int
	every   time.Duration
	gentle  bool // as in a lull
}

// served returns the queues that have servers, for a configuration without defaults left.
func (cfg Config) served(ctx context.Context, rdb redis.UniversalClient) []served {
	names := bulkNames(cfg.Namespace, cfg.Shards)
	ofEach := min(cfg.Servers, max(4, cfg.Servers/len(names)))
	all := []served{{highName(cfg.Namespace), max(1, cfg.Servers/4), highEvery, true}}
	for _, name := range names {
		all = append(all, served{name, ofEach, pollEvery, false})
	}
	for _, name := range leftOver(ctx, rdb, cfg.Namespace, names) {
		all = append(all, served{name, 1, leftEvery, false})
	}
	return all
}

// asynqConfig is the configuration of one server. What asynq does now and then
// for a whole queue is done by the first alone: the others never come to it.
func asynqConfig(cfg Config, q served, first bool) asynq.Config {
	forward := 5 * time.Second // tasks that a process held when it died, after a while
	if !first {
		forward = never
	}
	return asynq.Config{
		Concurrency:              cfg.Concurrency / cfg.Servers,
		Queues:                   map[string]int{q.name: 1},
		TaskCheckInterval:        q.every,
		DelayedTaskCheckInterval: forward,
		JanitorInterval:          never, // it looks for tasks that are kept when they are done
		ShutdownTimeout:          5 * time.Second,
		LogLevel:                 asynq.WarnLevel,
		Logger:                   logger{cfg.Log},
		ErrorHandler: asynq.ErrorHandlerFunc(func(_ context.Context, _ *asynq.Task, err error) {
			if asynq.IsPanicError(err) {
				cfg.Log.Error("task dropped: its handler panicked", "err", err)
			}
		}),
	}
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
		return fmt.Errorf("%w: redis did not answer for %s", ErrLeft, stopTime)
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
