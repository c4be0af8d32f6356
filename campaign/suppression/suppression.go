package suppression

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"broadside/campaign"

	"github.com/redis/go-redis/v9"
)

//go:embed add.lua
var addSource string

//go:embed rm.lua
var rmSource string

//go:embed topics.lua
var topicsSource string

//go:embed lane.lua
var laneSource string

//go:embed discard.lua
var discardSource string

// batch is how many addresses go into one pipeline.
const batch = 1000

// A Store is the suppression list in Redis. It is safe for concurrent use.
type Store struct {
	rdb    redis.UniversalClient
	prefix string
	add    *redis.Script
	rm     *redis.Script
	topics *redis.Script
	runs   *redis.Script
	now    func() time.Time
	encode func(Entry) string

	confirm *redis.Script
	soft    *redis.Script
	lane    *redis.Script
	discard *redis.Script
	erase   *redis.Script
	undo    *redis.Script

	known atomic.Pointer[domainList] // the newest that was read
}

// New returns the list under prefix. lua makes a script from its source: it
// is redis.NewScript, or what a store that lacks script flags offers instead.
func New(rdb redis.UniversalClient, prefix string, lua func(src string) *redis.Script) *Store {
	return &Store{
		rdb: rdb, prefix: prefix, encode: Entry.encode,
		add: lua(withForm(addSource)), rm: lua(withForm(rmSource)), topics: lua(topicsSource), runs: lua(runsSource), confirm: lua(confirmSource),
		soft: lua(softSource), lane: lua(laneSource), discard: lua(discardSource), erase: lua(withForm(eraseSource)), undo: lua(withForm(undoSource)), now: time.Now,
	}
}

// Add adds entries and returns how many of them suppress what was not
// suppressed before. An entry that is already there (same address, same
// scope) is kept with its reason and time, unless the new one holds longer; or the old
// one is an unsubscribe, which could be undone, and the new one has another reason and
// holds as long. Entries with a Lane are noted for Discard.
//
// When an entry is not valid nothing is added. When Redis fails some may be:
// adding again is harmless.
func (s *Store) Add(ctx context.Context, entries ...Entry) (int, error) {
	n, err := s.addAll(ctx, asNew, entries)
	if err != nil {
		return n, fmt.Errorf("add suppressions: %w", err)
	}
	return n, nil
}

// CountNew returns what Add would, and adds nothing.
func (s *Store) CountNew(ctx context.Context, entries ...Entry) (int, error) {
	n, err := s.addAll(ctx, asCount, entries)
	if err != nil {
		return n, fmt.Errorf("count new suppressions: %w", err)
	}
	return n, nil
}

func (s *Store) addAll(ctx context.Context, how string, entries []Entry) (int, error) {
	now := s.now()
	complete, err := completeAll(entries, now)
	if err != nil {
		return 0, err
	}

	added := 0
	for part := range slices.Chunk(complete, batch) {
		n, err := s.addBatch(ctx, how, now, part)
		added += n
		if err != nil {
			return added, err
		}
	}

	return added, nil
}

func (s *Store) addBatch(ctx context.Context, how string, now time.Time, entries []Entry) (int, error) {
	if err := s.checkRoom(ctx, entries); err != nil {
		return 0, err
	}

	if how != asCount {
		entries = s.withRefs(ctx, entries)
	}
	w := s.newWrite(how, now, entries)
	pipe := s.rdb.Pipeline()
	if w.topics != nil && how != asCount {
		s.topics.Eval(ctx, pipe, []string{s.topicsKey()}, w.topics...)
	}
	if how != asCount {
		s.queueLanes(ctx, pipe, entries)
	}
	counts := s.queueWrite(ctx, pipe, w, w.places()...)
	_, err := pipe.Exec(ctx)
	added, failed := sum(counts)
	return added, cmp.Or(failed, err)
}

// Rm takes addresses, and domains ("*@example.com"), off the list, in every scope,
// and returns how many entries it removed, expired ones included. An address stays
// suppressed when its domain is. That they were removed is noted,
// with the time of Redis: see Replay.
func (s *Store) Rm(ctx context.Context, addresses ...string) (int, error) {
	subjects, err := parseSubjects(addresses)
	if err != nil {
		return 0, fmt.Errorf("remove suppression: %w", err)
	}

	topics, err := s.scopes(ctx)
	if err != nil {
		return 0, fmt.Errorf("remove suppressions: %w", err)
	}

	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("remove suppressions: ask redis for the time: %w", err)
	}

	removed := 0
	for part := range slices.Chunk(subjects, batch) {
		n, err := s.rmBatch(ctx, now, part, topics)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("remove suppressions: %w", err)
		}
	}

	return removed, nil
}

func (s *Store) rmBatch(ctx context.Context, now time.Time, subjects []subject, topics []string) (int, error) {
	var args [places][]any
	for _, who := range subjects {
		a := &args[who.place]
		if *a == nil {
			*a = []any{now.UnixMilli(), versionFor(who.place)}
		}
		for _, f := range fields(KeyOf(who.shown), topics) {
			*a = append(*a, f)
		}
	}

	pipe := s.rdb.Pipeline()
	var counts []*redis.Cmd
	for place, a := range args {
		if a != nil {
			counts = append(counts, s.rm.Eval(ctx, pipe, []string{s.placeKey(place)}, a...))
		}
	}
	for _, who := range subjects {
		k := KeyOf(who.shown)
		pipe.HDel(ctx, s.softKey(shardOf(k)), field(k, ""))    // see CountReturns
		pipe.HDel(ctx, s.confirmKey(shardOf(k)), field(k, "")) // see ConfirmReturns
	}

	_, _ = pipe.Exec(ctx) // each command has its own error
	return sum(counts)
}

// scopes returns "" (all) and then, sorted, every topic that can have an
// entry.
func (s *Store) scopes(ctx context.Context) ([]string, error) {
	topics, err := s.rdb.SMembers(ctx, s.topicsKey()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of topics with suppressions", s.topicsKey())
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
