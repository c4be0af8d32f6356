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

// replicaTime bounds how long a claim waits for a replica.
const replicaTime = 100 * time.Millisecond

// ErrNotReplicated is the answer to a claim that no replica of Redis
// acknowledged in time: a failover might forget it.
var ErrNotReplicated = errors.New("no replica of redis has acknowledged the claim")

// maxBatch is how many calls go out together. Redis is blocked for about
// 5 us for each.
const maxBatch = 128

// A call is one question to Redis that waits for company.
type call struct {
	script *redis.Script // nil: plain commands alone
	target *target
	args   []any
	width  int // answers of the script for one call

	// replicated: the answer counts only once a replica has what the script wrote.
	replicated bool

	plain func(redis.Pipeliner)    // queues further commands; may be nil
	read  func(answer []any) error // takes the answers, after Exec
	done  chan error               // gets read's error, or that of the whole batch
}

// A target is the keys of one part of a run: calls of a script to the same
// target go out as one call of it.
type target struct {
	part int
	keys []string
}

// A shared call is one call of a script for several that wait.
type shared struct {
	script *redis.Script
	target *target
	calls  []*call
	cmd    *redis.Cmd
	err    error // of what came with the command
}

// queue puts the call on a pipeline.
func (g *shared) queue(ctx context.Context, pipe redis.Pipeliner) {
	args := []any{g.target.part}
	for _, c := range g.calls {
		args = append(args, c.args...)
	}
	g.cmd = g.script.EvalSha(ctx, pipe, g.target.keys, args...)
}

// A batcher sends the calls that are waiting at the same moment as one
// pipeline, and those that concern the same part of a run as one call of their
// script. Alone a call waits for nobody; under load round trips, system calls
// and the scripts' own beginnings are shared by all connections of the worker.
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
	missing := b.send(ctx, calls)
	if len(missing) == 0 {
		return
	}
	type place struct {
		script *redis.Script
		node   redis.UniversalClient
	}
	loaded := map[place]error{}
	var again []*call
	for _, c := range missing {
		node, err := primary(ctx, b.rdb, c.target.keys[0])
		if err != nil {
			c.done <- err
			continue
		}
		at := place{c.script, node}
		err, ok := loaded[at]
		if !ok {
			err = c.script.Load(ctx, node).Err()
			loaded[at] = err
		}
		if err != nil {
			c.done <- err
			continue
		}
		again = append(again, c)
	}
	for _, c := range b.send(ctx, again) {
		c.done <- errors.New("redis forgets its scripts")
	}
}

// send sends calls as one pipeline and answers all but those whose script is
// missing, which it returns.
func (b *batcher) send(ctx context.Context, calls []*call) (missing []*call) {
	if len(calls) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	groups := group(calls)
	for _, g := range groups {
		if g.calls[0].replicated {
			b.sendReplicated(ctx, g)
		} else {
			g.queue(ctx, pipe)
		}
	}
	// Plain commands come after the scripts: a suppression is read after the claim.
	for _, c := range calls {
		if c.plain != nil {
			c.plain(pipe)
		}
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, c := range calls {
		if c.script == nil {
			c.done <- c.read(nil)
		}
	}
	for _, g := range groups {
		answer, err := g.cmd.Slice()
		if err == nil && g.err != nil {
			err = g.err
		}
		if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			missing = append(missing, g.calls...)
			continue
		}
		for i, c := range g.calls {
			switch {
			case err != nil:
				c.done <- err
			case len(answer) != len(g.calls)*c.width:
				c.done <- fmt.Errorf("unexpected answer %v", answer)
			default:
				c.done <- c.read(answer[i*c.width : (i+1)*c.width])
			}
		}
	}
	return missing
}

// sendReplicated carries out the calls of g and waits until a replica has what
// they wrote. WAIT counts for the connection that wrote, so both go down the
// same one, in a Redis Cluster to the node of the run.
func (b *batcher) sendReplicated(ctx context.Context, g *shared) {
	node, err := primary(ctx, b.rdb, g.target.keys[0])
	if err != nil {
		g.cmd = redis.NewCmdResult(nil, err)
		return
	}
	pipe := node.Pipeline()
	g.queue(ctx, pipe)
	replicas := wait(ctx, pipe)
	_, _ = pipe.Exec(ctx) // each command has its own error
	g.err = acknowledged(replicas)
}

// primary returns the client of the node that has key.
func primary(ctx context.Context, rdb redis.UniversalClient, key string) (redis.UniversalClient, error) {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return rdb, nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find the primary of a key: %w", err)
	}
	return node, nil
}

// loadAll loads the script on every primary: a replica may be away, and runs
// no script of ours.
func loadAll(ctx context.Context, rdb redis.UniversalClient, s *redis.Script) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return s.Load(ctx, rdb).Err()
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return s.Load(ctx, node).Err()
	})
}

// wait asks how many replicas have all that its connection wrote.
func wait(ctx context.Context, to interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
},
) *redis.Cmd {
	return to.Do(ctx, "WAIT", 1, replicaTime.Milliseconds())
}

func acknowledged(replicas *redis.Cmd) error {
	n, err := replicas.Int()
	if err == nil && n > 0 {
		return nil
	}
	return errors.Join(ErrNotReplicated, err)
}

// CheckReplicas tells whether claims of a run with durability: replicated can
// hold: ErrNotReplicated when no replica answers in time.
func (l *Ledger) CheckReplicas(ctx context.Context, id string) error {
	node, err := primary(ctx, l.rdb, l.runKey(id, "record"))
	if err != nil {
		return err
	}
	return acknowledged(wait(ctx, node))
}

// group puts calls of the same script to the same target together.
func group(calls []*call) []*shared {
	type key struct {
		script *redis.Script
		target *target
	}
	at := map[key]*shared{}
	var out []*shared
	for _, c := range calls {
		if c.script == nil {
			continue
		}
		k := key{c.script, c.target}
		g := at[k]
		if g == nil {
			g = &shared{script: c.script, target: c.target}
			at[k] = g
			out = append(out, g)
		}
		g.calls = append(g.calls, c)
	}
	return out
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
