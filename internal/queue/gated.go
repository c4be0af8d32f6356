package queue

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadside/internal/outage"
)

// A gated client is what one of asynq's servers takes tasks through.
//
// When Redis refuses that (out of memory, read-only, loading, no permission,
// away), asynq tries again at once, for ever: here its servers wait at a gate
// instead, which lets one of them try each second. So what they find out is
// also the news that Redis is well again. While there are no tasks, one of them
// asks and the others wait for what it finds.
type gated struct {
	redis.UniversalClient
	gate *outage.Gate
	lull *lull
	ctx  context.Context // of Serve: asynq asks without one
}

// EvalSha runs a script that Redis may know; asynq begins with it every time.
func (g *gated) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !takes(keys) {
		return g.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	err := g.lull.wait(g.ctx, g)
	if err == nil {
		err = g.gate.Try(g.ctx)
	}
	if err != nil {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(err)
		return cmd
	}
	cmd := g.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") { // Eval follows
		g.tell(cmd.Err())
	}
	return cmd
}

// Eval runs a script that Redis does not know.
func (g *gated) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	cmd := g.UniversalClient.Eval(ctx, script, keys, args...)
	if takes(keys) {
		g.tell(cmd.Err())
	}
	return cmd
}

func (g *gated) tell(err error) {
	switch {
	case err == nil:
		g.lull.end()
	case errors.Is(err, redis.Nil): // no task
		err = nil
	}
	g.gate.Tell(err)
}

// Subscribe keeps asynq from the channel on which a tool can cancel a task. No
// handler is at one for long enough, and the subscription of each server would
// be a connection of its own. asynq waits here until Serve ends, and gets a
// subscription to nothing, which has no connection, and is closed.
func (g *gated) Subscribe(ctx context.Context, _ ...string) *redis.PubSub {
	<-g.ctx.Done()
	nothing := g.UniversalClient.Subscribe(ctx)
	_ = nothing.Close() // there is nothing that could fail
	return nothing
}

// takes reports whether the script with these keys takes a task: it is the only
// one of asynq whose first key is the list of waiting tasks.
func takes(keys []string) bool {
	return len(keys) > 0 && strings.HasSuffix(keys[0], ":pending")
}
