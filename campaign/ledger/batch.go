package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// batchTime bounds one round trip of a batch. A claim may be used for ten
// seconds, so its question must be over well before.
const batchTime = 5 * time.Second

// maxBatch is how many calls go out together. Redis is blocked for about
// 5 us for each.
const maxBatch = 128

// A call is one question to Redis that waits for company.
type call struct {
	queue func(redis.Pipeliner) // puts it on a pipeline, maybe a second time
	read  func() error          // its error after Exec
	load  *redis.Script         // the script it needs, if any
	done  chan error            // gets read's error, or that of the whole batch
}

// A batcher sends the calls that are waiting at the same moment as one
// pipeline. Alone a call waits for nobody; under load the round trips and
// system calls are shared by all connections of the worker.
type batcher struct {
	rdb redis.UniversalClient
	in  chan *call
}

func newBatcher(rdb redis.UniversalClient) *batcher {
	return &batcher{rdb: rdb, in: make(chan *call, maxBatch)}
}

// run answers calls until ctx ends.
func (b *batcher) run(ctx context.Context, flushers int) {
	var wg sync.WaitGroup
	for range flushers {
		wg.Go(func() { b.flush(ctx) })
	}
	wg.Wait()
}

func (b *batcher) flush(ctx context.Context) {
	for {
		var calls []*call
		select {
		case c := <-b.in:
			calls = append(calls, c)
		case <-ctx.Done():
			return
		}
	fill:
		for len(calls) < maxBatch {
			select {
			case c := <-b.in:
				calls = append(calls, c)
			default:
				break fill
			}
		}
		b.exec(ctx, calls)
	}
}

// exec sends calls and answers them. After a restart Redis has forgotten the
// scripts; who needs one is told so by NOSCRIPT, and was not carried out: the
// script is loaded and those calls go out once more.
func (b *batcher) exec(ctx context.Context, calls []*call) {
	// A batch that is on its way is not torn by a shutdown: its answers are facts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
	defer cancel()
	again := b.send(ctx, calls)
	if len(again) == 0 {
		return
	}
	for _, c := range again {
		if err := c.load.Load(ctx, b.rdb).Err(); err != nil {
			c.done <- err
			c.done = nil
		}
	}
	rest := again[:0]
	for _, c := range again {
		if c.done != nil {
			rest = append(rest, c)
		}
	}
	for _, c := range b.send(ctx, rest) {
		c.done <- errors.New("Redis forgets its scripts")
	}
}

// send sends calls as one pipeline and answers all but those whose script is
// missing, which it returns.
func (b *batcher) send(ctx context.Context, calls []*call) (missing []*call) {
	if len(calls) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	for _, c := range calls {
		c.queue(pipe)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, c := range calls {
		err := c.read()
		if err != nil && c.load != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			missing = append(missing, c)
			continue
		}
		c.done <- err
	}
	return missing
}

// do hands a call over and waits for its answer.
func (b *batcher) do(ctx context.Context, c *call) error {
	c.done = make(chan error, 1)
	select {
	case b.in <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}
