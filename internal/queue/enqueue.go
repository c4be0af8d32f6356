package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// A Client enqueues.
type Client struct {
	rdb       redis.UniversalClient
	namespace string
	queues    []string // a run has one of them
}

// NewClient returns a client for bulk mail on a shared connection pool.
func NewClient(rdb redis.UniversalClient, namespace string) *Client {
	return &Client{rdb, namespace, bulkNames(namespace, 1)}
}

// WithShards returns the client for bulk mail that has so many queues.
func (c *Client) WithShards(n int) *Client {
	return &Client{c.rdb, c.namespace, bulkNames(c.namespace, n)}
}

// High returns the client for runs of high priority.
func (c *Client) High() *Client {
	return &Client{c.rdb, c.namespace, []string{highName(c.namespace)}}
}

// queueOf returns the queue of a run.
func (c *Client) queueOf(run string) string {
	if len(c.queues) == 1 {
		return c.queues[0]
	}
	return c.queues[hashOf(run)%uint32(len(c.queues))]
}

// maxPipeline is how many tasks go to the queue in one round trip.
const maxPipeline = 500

// taskID names a task that was issued at the given moment, which makes it unique: a
// twin is as good as the task itself. asynq writes the id nine times on the way
// of a task, so it is short: of the run it has a hash.
func taskID(t campaign.Task, issued time.Time) string {
	b := make([]byte, 0, 32)
	b = strconv.AppendInt(b, int64(t.Part), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(t.Index), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, issued.UnixMilli(), 36)
	b = append(b, '-')
	return string(strconv.AppendUint(b, uint64(hashOf(t.Run)), 36))
}

// Enqueue hands tasks out that were issued at the given moment.
func (c *Client) Enqueue(ctx context.Context, tasks []campaign.Task, issued time.Time) error {
	at := 0
	err := enqueue(ctx, c.rdb, len(tasks), func(i int) (*asynq.Task, []asynq.Option) {
		at = i
		t := tasks[i]
		// One retry: with none asynq would archive what a dead process held.
		return asynq.NewTask(taskType, encode(t)),
			[]asynq.Option{asynq.Queue(c.queueOf(t.Run)), asynq.TaskID(taskID(t, issued)), asynq.MaxRetry(1), asynq.Timeout(time.Minute)}
	})
	if err != nil {
		return fmt.Errorf("enqueue for run %s: %w", tasks[at].Run, err)
	}
	return nil
}

// enqueue puts n tasks into their queues. One whose id is there already is left out.
func enqueue(ctx context.Context, rdb redis.UniversalClient, n int, task func(i int) (*asynq.Task, []asynq.Option)) error {
	r := &recorder{UniversalClient: rdb}
	client := asynq.NewClientFromRedisClient(r)
	for first := 0; first < n; first += maxPipeline {
		r.pipe = rdb.Pipeline()
		for i := first; i < min(first+maxPipeline, n); i++ {
			t, options := task(i)
			if _, err := client.EnqueueContext(ctx, t, options...); err != nil {
				return err
			}
		}
		if _, err := r.pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A recorder is what asynq enqueues through: it puts asynq's scripts on a
// pipeline and says that each went well. asynq itself waits for the answer to
// each task.
type recorder struct {
	redis.UniversalClient
	pipe redis.Pipeliner
}

// EvalSha asks for the text of the script when it is the first on the pipeline,
// so that Redis knows it when the others come.
func (r *recorder) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if r.pipe.Len() == 0 {
		return redis.NewCmdResult(nil, noScript{})
	}
	r.pipe.EvalSha(ctx, sha, keys, args...)
	return redis.NewCmdResult(int64(1), nil)
}

// Eval follows when EvalSha has asked for it.
func (r *recorder) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	r.pipe.Eval(ctx, script, keys, args...)
	return redis.NewCmdResult(int64(1), nil)
}

// noScript is the error of Redis for a script that it does not know.
type noScript struct{}

func (noScript) RedisError()   {}
func (noScript) Error() string { return "NOSCRIPT at the beginning of a pipeline" }
