package suppression

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"time"

	"broadside/campaign/address"

	"github.com/redis/go-redis/v9"
)

//go:embed add.lua
var addSource string

//go:embed topics.lua
var topicsSource string

// batch is how many addresses go into one pipeline.
const batch = 1000

// A Store is the suppression list in Redis. It is safe for concurrent use.
type Store struct {
	rdb    redis.UniversalClient
	prefix string
	add    *redis.Script
	topics *redis.Script
	now    func() time.Time
}

// New returns the list under prefix. lua makes a script from its source: it
// is redis.NewScript, or what a store that lacks script flags offers instead.
func New(rdb redis.UniversalClient, prefix string, lua func(src string) *redis.Script) *Store {
	return &Store{rdb: rdb, prefix: prefix, add: lua(addSource), topics: lua(topicsSource), now: time.Now}
}

// Add adds entries and returns how many of them suppress what was not
// suppressed before. An entry that is already there (same address, same
// scope) is kept with its reason and time, unless the new one holds longer.
//
// When an entry is not valid nothing is added. When Redis fails some may be:
// adding again is harmless.
func (s *Store) Add(ctx context.Context, entries ...Entry) (int, error) {
	complete := make([]Entry, len(entries))
	now := s.now()
	for i, e := range entries {
		var err error
		if complete[i], err = e.complete(now); err != nil {
			return 0, fmt.Errorf("add suppression: %w", err)
		}
	}
	added := 0
	for part := range slices.Chunk(complete, batch) {
		n, err := s.addBatch(ctx, now, part)
		added += n
		if err != nil {
			return added, fmt.Errorf("add suppressions: %w", err)
		}
	}
	return added, nil
}

func (s *Store) addBatch(ctx context.Context, now time.Time, entries []Entry) (int, error) {
	var args [shards][]any
	var topics []any
	seen := map[string]bool{}
	for _, e := range entries {
		if t := e.topic(); t != "" && !seen[t] {
			seen[t] = true
			topics = append(topics, t)
		}
		a := &args[shardOf(e.key())]
		if *a == nil {
			*a = []any{now.UnixMilli()}
		}
		*a = append(*a, field(e.key(), e.topic()), strconv.FormatInt(e.expiresMilli(), 10), e.encode())
	}

	// EVAL with the source: in a pipeline there is no falling back from
	// EVALSHA when the server has forgotten the script.
	pipe := s.rdb.Pipeline()
	if topics != nil {
		s.topics.Eval(ctx, pipe, []string{s.topicsKey()}, topics...)
	}
	var counts []*redis.Cmd
	for shard, a := range args {
		if a != nil {
			counts = append(counts, s.add.Eval(ctx, pipe, []string{s.shardKey(shard)}, a...))
		}
	}
	_, err := pipe.Exec(ctx)
	added := 0
	for _, c := range counts {
		if n, err := c.Int(); err == nil {
			added += n
		}
	}
	return added, err
}

// Rm takes addresses off the list, in every scope, and returns how many
// entries it removed, expired ones included.
func (s *Store) Rm(ctx context.Context, addresses ...string) (int, error) {
	keys, err := keysOf(addresses)
	if err != nil {
		return 0, fmt.Errorf("remove suppression: %w", err)
	}
	topics, err := s.scopes(ctx)
	if err != nil {
		return 0, fmt.Errorf("remove suppressions: %w", err)
	}
	removed := 0
	for part := range slices.Chunk(keys, batch) {
		pipe := s.rdb.Pipeline()
		counts := make([]*redis.IntCmd, len(part))
		for i, k := range part {
			counts[i] = pipe.HDel(ctx, s.shardKey(shardOf(k)), fields(k, topics)...)
		}
		_, err := pipe.Exec(ctx)
		for _, c := range counts {
			removed += int(c.Val())
		}
		if err != nil {
			return removed, fmt.Errorf("remove suppressions: %w", err)
		}
	}
	return removed, nil
}

// scopes returns "" (all) and then, sorted, every topic that can have an
// entry.
func (s *Store) scopes(ctx context.Context) ([]string, error) {
	topics, err := s.rdb.SMembers(ctx, s.topicsKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("read topics: %w", err)
	}
	slices.Sort(topics)
	return append([]string{""}, topics...), nil
}

func fields(k Key, topics []string) []string {
	f := make([]string, len(topics))
	for i, t := range topics {
		f[i] = field(k, t)
	}
	return f
}

func keysOf(addresses []string) ([]Key, error) {
	keys := make([]Key, len(addresses))
	for i, text := range addresses {
		a, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", text, err)
		}
		keys[i] = KeyOf(a.Canonical())
	}
	return keys, nil
}
