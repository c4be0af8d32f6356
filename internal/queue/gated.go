package queue

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadside/internal/outage"
)

// A gated client is what asynq's servers take tasks through. When Redis refuses
// that (out of memory, read-only, loading, no permission, away), asynq tries
// again at once, for ever: here its servers wait at a gate instead, which lets
// one of them try each second. So what they find out is also the news that
// Redis is well again.
type gated struct {
	redis.UniversalClient
	gate *outage.Gate
	ctx  context.Context // of Serve: asynq asks without one
}

// EvalSha runs a script that Redis may know; asynq begins with it every time.
func (g gated) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !takes(keys) {
		return g.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	if err := g.gate.Try(g.ctx); err != nil {
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
func (g gated) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	cmd := g.UniversalClient.Eval(ctx, script, keys, args...)
	if takes(keys) {
		g.tell(cmd.Err())
	}
	return cmd
}

func (g gated) tell(err error) {
	if errors.Is(err, redis.Nil) { // no task
		err = nil
	}
	g.gate.Tell(err)
}

// takes reports whether the script with these keys takes a task: it is the only
// one of asynq whose first key is the list of waiting tasks.
func takes(keys []string) bool {
	return len(keys) > 0 && strings.HasSuffix(keys[0], ":pending")
}
