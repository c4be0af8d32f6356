package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// batchTime bounds one round trip of a batch. A claim may be used for ten
// seconds, so its answer must come well before that.
const batchTime = 5 * time.Second

const (
	// replicaTime bounds how long a claim waits for a replica.
	replicaTime = 100 * time.Millisecond
	// checkTime is the same for CheckReplicas, which runs before a run begins and
	// can wait longer for a busy machine.
	checkTime = time.Second
)

// ErrNotReplicated is returned for a claim that no replica of Redis
// acknowledged in time: it might be lost in a failover.
var ErrNotReplicated = errors.New("no replica of redis has acknowledged the claim")

// maxBatch is how many steps go out together. Redis is blocked for some 10 us
// for each.
const maxBatch = 128

// A target is the keys of one part of a run. The steps that concern the same run
// go out as one call.
type target struct {
	run  *Run
	part int
	keys []string

	patterns patterns // of the replies by which recipients were accepted
}

// A Pending step waits to be sent in a batch, and then for its answer.
type Pending struct {
	Step
	settle, claim, look *target              // nil: not asked
	receipt             receipt              // of an outcome that is "accepted"
	claimed, looked     func() (bool, error) // whether the recipient is suppressed
	done                chan struct{}
}

// replicated reports whether the step has a claim that counts only once a
// replica has it.
func (p *Pending) replicated() bool { return p.claim != nil && p.claim.run.Replicated }

// A call holds the questions of several steps about one run, part by part.
type call struct {
	run   *Run
	parts []*questions
	cmd   *redis.Cmd
	err   error // of what came with the command
}

// Questions are those of several steps about one part of a run, in the order in
// which the script takes them.
type questions struct {
	target                  *target
	outcomes, claims, looks []*Pending
}

// claims reports whether the call has a claim.
func (c *call) claims() bool {
	return slices.ContainsFunc(c.parts, func(q *questions) bool { return len(q.claims) > 0 })
}

// outcomes reports whether the call has an outcome.
func (c *call) outcomes() bool {
	return slices.ContainsFunc(c.parts, func(q *questions) bool { return len(q.outcomes) > 0 })
}

// replicated reports whether the answer counts only once a replica has the
// script's writes.
func (c *call) replicated() bool { return c.run.Replicated && c.claims() }

// script returns the script to call. Without a claim it is the one that runs even
// when Redis is out of memory.
func (b *batcher) script(c *call) *redis.Script {
	if c.claims() {
		return b.step
	}
	return b.record
}

// ask puts the call's script on a pipeline.
func (b *batcher) ask(ctx context.Context, pipe redis.Pipeliner, c *call) {
	n := 0
	for _, q := range c.parts {
		n += 4 + 7*len(q.outcomes) + 2*len(q.claims) + len(q.looks)
	}

	args := make([]any, 0, n)
	keys := c.parts[0].target.keys
	for k, q := range c.parts {
		if k > 0 {
			keys = append(keys[:len(keys):len(keys)], q.target.cells())
		}
		args = append(args, q.target.part, len(q.outcomes), len(q.claims), len(q.looks))
		for _, p := range q.outcomes {
			args = p.Settle.Outcome.append(args, p.Settle.Ref.Index, p.Settle.Token, p.receipt)
		}
		for _, p := range q.claims {
			args = append(args, p.Claim.Ref.Index, p.Claim.Token)
		}
		for _, p := range q.looks {
			args = append(args, p.Look.Ref.Index)
		}
	}

	c.cmd = b.script(c).EvalSha(ctx, pipe, keys, args...)
}

// askSuppressions puts the suppression look-ups of some calls on a pipeline. Redis must
// answer them after the claims.
func (b *batcher) askSuppressions(ctx context.Context, pipe redis.Pipeliner, calls ...*call) {
	ask := b.supp.Queue(ctx, pipe)
	for _, c := range calls {
		for _, q := range c.parts {
			for _, p := range q.claims {
				p.claimed = ask(p.Claim.SuppressionKey.Topic, p.Claim.SuppressionKey.Hash, p.Claim.SuppressionKey.Domain)
			}
			for _, p := range q.looks {
				if p.Look.SuppressionKey == (SuppressionKey{}) {
					continue
				}
				p.looked = ask(p.Look.SuppressionKey.Topic, p.Look.SuppressionKey.Hash, p.Look.SuppressionKey.Domain)
			}
		}
	}
}

// read gives every step of the call its part of the answer.
func (c *call) read() {
	answer, err := c.cmd.Slice()
	if err == nil {
		err = c.err
	}

	want := 0
	for _, q := range c.parts {
		want += len(q.outcomes) + 2*len(q.claims) + len(q.looks)
	}

	if err == nil && len(answer) != want {
		err = fmt.Errorf("unexpected answer %v", answer)
	}

	for _, q := range c.parts {
		answer = q.read(answer, err)
	}
}

// read gives the steps their answers, and returns those that are left.
func (q *questions) read(answer []any, err error) []any {
	for _, p := range q.outcomes {
		p.Settle.Err = err
		if err == nil {
			p.Settle.Applied = answer[0] == int64(1)
			answer = answer[1:]
		}
	}

	for _, p := range q.claims {
		p.Claim.Err = err
		if err == nil {
			p.Claim.Claim, p.Claim.Err = parseClaim(answer)
			answer = answer[2:]
		}
		if p.Claim.Err == nil {
			p.Claim.Suppressed, p.Claim.Err = p.claimed()
		}
	}

	for _, p := range q.looks {
		p.Look.Err = err
		if err == nil {
			p.Look.State, p.Look.Err = parseLook(answer[0])
			answer = answer[1:]
		}
		if p.Look.Err == nil && p.looked != nil {
			p.Look.Suppressed, p.Look.Err = p.looked()
		}
	}

	return answer
}

// A batcher sends the steps that wait at the same moment as one pipeline, and
// those that concern the same run as one call of a script. A lone step is
// sent at once; under load all connections of the worker share the round trips, the
// system calls and the start of the script.
type batcher struct {
	rdb          redis.UniversalClient
	supp         Suppressions
	step, record *redis.Script
	in           chan *Pending
}

// run answers steps until ctx ends.
func (b *batcher) run(ctx context.Context) {
	var replicas sync.WaitGroup
	defer replicas.Wait()
	for {
		var fast, slow []*Pending
		add := func(p *Pending) {
			if p.replicated() {
				slow = append(slow, p)
			} else {
				fast = append(fast, p)
			}
		}
		select {
		case p := <-b.in:
			add(p)
		case <-ctx.Done():
			return
		}

	fill:
		for len(fast)+len(slow) < maxBatch {
			select {
			case p := <-b.in:
				add(p)
			default:
				break fill
			}
		}

		if len(slow) > 0 { // they wait for a replica, some 100 ms at worst, and hold up no other steps
			replicas.Go(func() { b.exec(ctx, slow) })
		}
		if len(fast) > 0 {
			b.exec(ctx, fast)
		}
	}
}

// exec carries out steps. A shutdown does not interrupt a batch that has been
// sent: its answers are facts.
func (b *batcher) exec(ctx context.Context, steps []*Pending) {
	defer func() {
		for _, p := range steps {
			close(p.done)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
	defer cancel()
	calls := group(steps)
	b.send(ctx, calls)
	var again []*call
	loaded := map[*redis.Script]error{}
	for _, c := range calls {
		switch err := c.cmd.Err(); {
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			// After a restart Redis has forgotten the scripts. Nothing was carried out.
			s := b.script(c)
			if _, ok := loaded[s]; !ok {
				loaded[s] = loadAll(ctx, b.rdb, s)
			}
			if loaded[s] != nil {
				c.cmd.SetErr(loaded[s])
				c.read()
				continue
			}
			again = append(again, c)
		case redis.HasErrorPrefix(err, "OOM") && c.outcomes():
			// A Redis that is out of memory refuses the whole script when it has a
			// claim. With outcomes alone it runs.
			for _, q := range c.parts {
				(&questions{claims: q.claims, looks: q.looks}).read(nil, err)
				q.claims = nil
				q.looks = nil
			}
			again = append(again, c)
		default:
			c.read()
		}
	}

	b.send(ctx, again)
	for _, c := range again {
		c.read()
	}
}

// send carries out calls: all of them as one pipeline, except those that wait for
// a replica.
func (b *batcher) send(ctx context.Context, calls []*call) {
	var wg sync.WaitGroup
	defer wg.Wait()
	pipe := b.rdb.Pipeline()
	together := make([]*call, 0, len(calls))
	for _, c := range calls {
		if c.replicated() {
			wg.Go(func() { b.sendReplicated(ctx, c) })
		} else {
			together = append(together, c)
			b.ask(ctx, pipe, c)
		}
	}

	if _, ok := b.rdb.(*redis.ClusterClient); ok && pipe.Len() > 0 {
		// The nodes of a Cluster get their shares of a pipeline at the same time:
		// the order holds on each of them only.
		_, _ = pipe.Exec(ctx) // each command has its own error
		pipe = b.rdb.Pipeline()
	}

	b.askSuppressions(ctx, pipe, together...)
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
}

// sendReplicated carries out a call and waits until a replica has what it
// wrote. WAIT counts for the connection that wrote, so both go down the same
// one, in a Redis Cluster to the node of the run.
func (b *batcher) sendReplicated(ctx context.Context, c *call) {
	node, err := primary(ctx, b.rdb, c.parts[0].target.keys[0])
	if err != nil {
		c.cmd = redis.NewCmdResult(nil, err)
		return
	}

	pipe := node.Pipeline()
	b.ask(ctx, pipe, c)
	replicas := wait(ctx, pipe, replicaTime)
	_, _ = pipe.Exec(ctx) // each command has its own error
	c.err = acknowledged(replicas)
	rest := b.rdb.Pipeline()
	b.askSuppressions(ctx, rest, c)
	_, _ = rest.Exec(ctx)
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

// wait asks how many replicas have everything that its connection wrote. Redis
// answers as soon as one has, or after limit.
func wait(ctx context.Context, to interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
}, limit time.Duration,
) *redis.Cmd {
	return to.Do(ctx, "WAIT", 1, limit.Milliseconds())
}

func acknowledged(replicas *redis.Cmd) error {
	n, err := replicas.Int()
	if err != nil {
		return fmt.Errorf("ask redis for its replicas: %w", err)
	}
	if n == 0 {
		return ErrNotReplicated
	}
	return nil
}

// CheckReplicas checks that claims of a run with durability: replicated can hold.
// It returns ErrNotReplicated when no replica answers in time. In a cluster every
// primary needs a replica, because the run may be on any of them.
func (l *Ledger) CheckReplicas(ctx context.Context) error {
	cluster, ok := l.rdb.(*redis.ClusterClient)
	if !ok {
		return acknowledged(wait(ctx, l.rdb, checkTime))
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return acknowledged(wait(ctx, node, checkTime))
	})
}

// group collects the steps that concern the same run.
func group(steps []*Pending) []*call {
	calls := make(map[*Run]*call, 2)
	at := make(map[*target]*questions, 8)
	var out []*call
	of := func(t *target) *questions {
		if q := at[t]; q != nil {
			return q
		}

		c := calls[t.run]
		if c == nil {
			c = &call{run: t.run}
			calls[t.run] = c
			out = append(out, c)
		}

		q := &questions{target: t}
		at[t] = q
		c.parts = append(c.parts, q)

		return q
	}
	for _, p := range steps {
		if p.settle != nil {
			q := of(p.settle)
			q.outcomes = append(q.outcomes, p)
		}

		if p.claim != nil {
			q := of(p.claim)
			q.claims = append(q.claims, p)
		}

		if p.look != nil {
			q := of(p.look)
			q.looks = append(q.looks, p)
		}
	}

	return out
}
