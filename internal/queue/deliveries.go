package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"broadside/internal/outage"
)

const (
	// deliveryType is the type of every delivery.
	deliveryType = "broadside:webhook"
	// deliveryTries is more than a delivery ever has: its handler decides when it ends.
	// What a dead process held counts as a try, too.
	deliveryTries = 1000
	// afterDeath is how long a delivery rests whose process died with it in hand.
	afterDeath = time.Minute
	// deliveryPoll is the mean time between two questions for a delivery.
	deliveryPoll = time.Second
)

// ErrNoDelivery is returned for a delivery that is not there.
var ErrNoDelivery = errors.New("no such delivery")

// Deliveries are the queues of outgoing webhooks: one for each receiver, so that none
// waits for another. Their names begin with the namespace. It is safe for concurrent use.
type Deliveries struct {
	rdb       redis.UniversalClient
	namespace string
}

// NewDeliveries returns the queues of a namespace.
func NewDeliveries(rdb redis.UniversalClient, namespace string) *Deliveries {
	return &Deliveries{rdb, namespace}
}

// A Delivery is one event for one receiver.
type Delivery struct {
	ID   string // the same each time it is tried
	Body []byte
}

func (d *Deliveries) prefix() string                { return d.namespace + "-webhook-" }
func (d *Deliveries) name(receiver string) string   { return d.prefix() + receiver }
func (d *Deliveries) key(receiver, k string) string { return key(d.name(receiver), k) }

// Put puts deliveries into the queue of a receiver. One that is in it already, also a
// dead one, is left out.
func (d *Deliveries) Put(ctx context.Context, receiver string, all []Delivery, timeout time.Duration) error {
	err := enqueue(ctx, d.rdb, len(all), func(i int) (*asynq.Task, []asynq.Option) {
		return asynq.NewTask(deliveryType, all[i].Body), []asynq.Option{
			asynq.Queue(d.name(receiver)), asynq.TaskID(all[i].ID), asynq.MaxRetry(deliveryTries), asynq.Timeout(timeout),
		}
	})
	if err != nil {
		return fmt.Errorf("put %d webhooks into queue %s: %w", len(all), d.name(receiver), err)
	}
	return nil
}

// A Later is the error of a handler whose delivery is to be tried again.
type Later struct {
	After time.Duration
	Err   error
}

func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns what went wrong.
func (l *Later) Unwrap() error { return l.Err }

// A DeliveryConfig says how the queue of one receiver is served.
type DeliveryConfig struct {
	Receiver string
	AtOnce   int          // deliveries at the same time
	Gate     *outage.Gate // is shut while Redis gives no deliveries away
	Log      *slog.Logger

	// Forward is how often deliveries whose time has come are looked for. Default 5 s.
	Forward time.Duration
}

// Serve takes the deliveries of one receiver and calls handle for each until ctx ends.
// After nil the delivery is done; after a Later it comes again, with failed one higher;
// after any other error it is dead. ErrLeft at the end: the client must not be closed.
func (d *Deliveries) Serve(ctx context.Context, cfg DeliveryConfig, handle func(ctx context.Context, v Delivery, failed int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handler := asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		failed, _ := asynq.GetRetryCount(ctx)
		err := handle(ctx, Delivery{ID: id, Body: t.Payload()}, failed)
		if later := (*Later)(nil); err == nil || errors.As(err, &later) {
			return err
		}
		return dead{err}
	})

	forward := cfg.Forward
	if forward == 0 {
		forward = 5 * time.Second
	}
	alone := &lull{last: time.Now()}
	s := asynq.NewServerFromRedisClient(&gated{d.rdb, cfg.Gate, alone, ctx}, asynq.Config{
		Concurrency:              cfg.AtOnce,
		Queues:                   map[string]int{d.name(cfg.Receiver): 1},
		TaskCheckInterval:        min(deliveryPoll, forward),
		DelayedTaskCheckInterval: forward,
		JanitorInterval:          never, // what is done is not kept
		ShutdownTimeout:          5 * time.Second,
		LogLevel:                 asynq.WarnLevel,
		Logger:                   logger{cfg.Log},
		RetryDelayFunc: func(_ int, err error, _ *asynq.Task) time.Duration {
			if later := (*Later)(nil); errors.As(err, &later) {
				return later.After
			}
			return afterDeath
		},
		ErrorHandler: asynq.ErrorHandlerFunc(func(_ context.Context, _ *asynq.Task, err error) {
			if asynq.IsPanicError(err) {
				cfg.Log.Error("the handler of a webhook panicked", "err", err)
			}
		}),
	})
	if err := s.Start(handler); err != nil {
		return fmt.Errorf("start an asynq server: %w", err)
	}
	<-ctx.Done()
	return stop([]*asynq.Server{s})
}

// dead is an error after which asynq puts a task aside.
type dead struct{ err error }

func (d dead) Error() string        { return d.err.Error() }
func (d dead) Unwrap() error        { return d.err }
func (d dead) Is(target error) bool { return target == asynq.SkipRetry }

// A Standing is how many deliveries a receiver has in its queue.
type Standing struct {
	Waiting int64 // for their first try, or under way
	Retried int64 // wait for another try
	Dead    int64
}

// Standing counts the deliveries of a receiver.
func (d *Deliveries) Standing(ctx context.Context, receiver string) (Standing, error) {
	pipe := d.rdb.Pipeline()
	pending := pipe.LLen(ctx, d.key(receiver, "pending"))
	active := pipe.LLen(ctx, d.key(receiver, "active"))
	retry := pipe.ZCard(ctx, d.key(receiver, "retry"))
	archived := pipe.ZCard(ctx, d.key(receiver, "archived"))
	if _, err := pipe.Exec(ctx); err != nil {
		return Standing{}, fmt.Errorf("look at queue %s: %w", d.name(receiver), err)
	}
	return Standing{Waiting: pending.Val() + active.Val(), Retried: retry.Val(), Dead: archived.Val()}, nil
}

// Receivers returns the receivers that have a queue, also those that are not configured
// any more.
func (d *Deliveries) Receivers(ctx context.Context) ([]string, error) {
	names, err := list(ctx, d.rdb)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if receiver, ok := strings.CutPrefix(name, d.prefix()); ok {
			out = append(out, receiver)
		}
	}
	return out, nil
}

// A DeadDelivery is a delivery that is not tried any more.
type DeadDelivery struct {
	Delivery
	Tries int
	Error string // of the last try
	At    time.Time
}

// listedAtOnce is how many deliveries are read in one round trip.
const listedAtOnce = 500

// EachDead calls do for the dead deliveries of a receiver, until it returns false.
func (d *Deliveries) EachDead(ctx context.Context, receiver string, do func(DeadDelivery) bool) error {
	return d.each(ctx, receiver, asynq.NewInspectorFromRedisClient(d.rdb).ListArchivedTasks, func(t *asynq.TaskInfo) bool {
		return do(DeadDelivery{
			Delivery: Delivery{ID: t.ID, Body: t.Payload},
			Tries:    t.Retried + 1, Error: t.LastErr, At: t.LastFailedAt.UTC(),
		})
	})
}

// each calls do for the tasks of a receiver that list lists, until it returns false.
func (d *Deliveries) each(ctx context.Context, receiver string, list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error), do func(*asynq.TaskInfo) bool) error {
	for page := 1; ctx.Err() == nil; page++ {
		tasks, err := list(d.name(receiver), asynq.PageSize(listedAtOnce), asynq.Page(page))
		if errors.Is(err, asynq.ErrQueueNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list queue %s: %w", d.name(receiver), err)
		}
		for _, t := range tasks {
			if !do(t) {
				return nil
			}
		}
		if len(tasks) < listedAtOnce {
			return nil
		}
	}
	return ctx.Err()
}

const (
	// removeFor is how long Remove waits for deliveries that are under way.
	removeFor = 30 * time.Second
	// removeRest is its pause before it looks for them again.
	removeRest = 250 * time.Millisecond
)

// Remove removes the deliveries of a receiver for whose body is is true, also those that
// are dead, and returns how many there are; a dry run removes none. One that is under way
// is removed when it is to be tried again.
func (d *Deliveries) Remove(ctx context.Context, receiver string, is func(body []byte) bool, dryRun bool) (int, error) {
	removed := 0
	for latest := time.Now().Add(removeFor); ; {
		n, active, err := d.removeOnce(ctx, receiver, is, dryRun)
		removed += n
		if err != nil || dryRun || active == 0 && n == 0 {
			return removed, err
		}
		if time.Now().After(latest) {
			return removed, fmt.Errorf("%d webhooks about the address are still under way: repeat this in a minute", active)
		}
		select {
		case <-time.After(removeRest):
		case <-ctx.Done():
			return removed, context.Cause(ctx)
		}
	}
}

// removeOnce is one look at all deliveries; active is how many are under way. While it
// looks tasks move, so that some may be missed.
func (d *Deliveries) removeOnce(ctx context.Context, receiver string, is func(body []byte) bool, dryRun bool) (removed, active int, err error) {
	inspector := asynq.NewInspectorFromRedisClient(d.rdb)
	err = d.each(ctx, receiver, inspector.ListActiveTasks, func(t *asynq.TaskInfo) bool {
		if is(t.Payload) {
			active++
		}
		return true
	})
	if err != nil {
		return 0, 0, err
	}

	var ids []string // first, so that the pages stay what they are
	for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		inspector.ListPendingTasks, inspector.ListRetryTasks, inspector.ListArchivedTasks,
	} {
		err := d.each(ctx, receiver, list, func(t *asynq.TaskInfo) bool {
			if is(t.Payload) {
				ids = append(ids, t.ID)
			}
			return true
		})
		if err != nil {
			return 0, active, err
		}
	}
	if dryRun {
		return len(ids) + active, active, nil
	}

	for _, id := range ids {
		err := inspector.DeleteTask(d.name(receiver), id)
		switch {
		case err == nil:
			removed++
		case errors.Is(err, asynq.ErrTaskNotFound): // it has been delivered
		default:
			info, lookErr := inspector.GetTaskInfo(d.name(receiver), id)
			if lookErr == nil && info.State != asynq.TaskStateActive {
				return removed, active, fmt.Errorf("remove webhook %s: %w", id, err)
			}
			active++ // it is under way now, or was delivered
		}
	}
	return removed, active, nil
}

// Again lets a dead delivery be tried again, or one that waits for another try be tried
// now. ErrNoDelivery when there is none.
func (d *Deliveries) Again(receiver, id string) error {
	err := asynq.NewInspectorFromRedisClient(d.rdb).RunTask(d.name(receiver), id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return ErrNoDelivery
	}
	if err != nil {
		return fmt.Errorf("try webhook %s again: %w", id, err)
	}
	return nil
}

// AllAgain lets all dead deliveries of a receiver be tried again, and returns how many
// they are.
func (d *Deliveries) AllAgain(ctx context.Context, receiver string) (int, error) {
	s, err := d.Standing(ctx, receiver)
	if err != nil || s.Dead == 0 {
		return 0, err // asynq has no error of its own for a queue that is not there
	}
	n, err := asynq.NewInspectorFromRedisClient(d.rdb).RunAllArchivedTasks(d.name(receiver))
	if err != nil {
		return 0, fmt.Errorf("try the dead webhooks of queue %s again: %w", d.name(receiver), err)
	}
	return n, nil
}
