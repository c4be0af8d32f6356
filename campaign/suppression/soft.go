package suppression

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/address"
)

//go:embed soft.lua
var softSource string

// SoftLimit says how many messages to one address may be returned before it is taken
// for dead although no reply said so.
type SoftLimit struct {
	Messages int           // different ones
	Within   time.Duration // the most between the first and the last of them
}

// A Return is a message that came back although its address may be in use; or one that
// arrived, which takes back those before it.
type Return struct {
	Address string
	At      time.Time // must not be zero
	Message string    // names the message, in letters and digits; empty: it arrived
}

// CountReturns counts returned messages, each once however often it is told. It reports
// for each whether its address has reached the limit; the caller then adds an entry.
// Rm begins the count of an address again.
func (s *Store) CountReturns(ctx context.Context, limit SoftLimit, returns []Return) ([]bool, error) {
	var args [shards][]any
	var order [shards][]int // the index in returns of each
	for i, r := range returns {
		a, err := address.Parse(r.Address)
		if err != nil {
			return nil, fmt.Errorf("count returned messages: address %q: %w", r.Address, err)
		}
		k := KeyOf(a.Canonical())
		shard := shardOf(k)
		if args[shard] == nil {
			args[shard] = []any{limit.Messages, limit.Within.Milliseconds(), limit.Within.Milliseconds()}
		}
		args[shard] = append(args[shard], field(k, ""), r.At.UnixMilli(), r.Message)
		order[shard] = append(order[shard], i)
	}

	pipe := s.rdb.Pipeline()
	var answers [shards]*redis.Cmd
	for shard, a := range args {
		if a != nil {
			answers[shard] = s.soft.Eval(ctx, pipe, []string{s.softKey(shard)}, a...)
		}
	}
	_, _ = pipe.Exec(ctx) // each command has its own error

	reached := make([]bool, len(returns))
	for shard, answer := range answers {
		if answer == nil {
			continue
		}
		numbers, err := answer.Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("count returned messages: %w", err)
		}
		for k, i := range order[shard] {
			reached[i] = k < len(numbers) && numbers[k] == 1
		}
	}
	return reached, nil
}
