package suppression

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"

	"github.com/redis/go-redis/v9"
)

// Suppressed reports for each key whether its address must not get messages
// of topic, in the order of keys. The topic "" asks for entries of the scope
// All only. It is made for expansion: a thousand keys cost one round trip.
func (s *Store) Suppressed(ctx context.Context, topic string, keys []Key) ([]bool, error) {
	out := make([]bool, 0, len(keys))
	for part := range slices.Chunk(keys, batch) {
		found, err := s.suppressed(ctx, topic, part)
		if err != nil {
			return nil, fmt.Errorf("look up suppressions: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func (s *Store) suppressed(ctx context.Context, topic string, keys []Key) ([]bool, error) {
	var asked [shards][]string // fields
	var keyOf [shards][]int    // the index in keys of each field
	for i, k := range keys {
		shard := shardOf(k)
		for _, f := range lookupFields(k, topic) {
			asked[shard] = append(asked[shard], f)
			keyOf[shard] = append(keyOf[shard], i)
		}
	}

	pipe := s.rdb.Pipeline()
	var replies [shards]*redis.SliceCmd
	for shard, f := range asked {
		if f != nil {
			replies[shard] = pipe.HMGet(ctx, s.shardKey(shard), f...)
		}
	}

	_, err := pipe.Exec(ctx)
	out := make([]bool, len(keys))
	now := s.now()
	for shard, r := range replies {
		if r == nil {
			continue
		}
		if err := r.Err(); err != nil {
			return nil, campaign.ReadError(err, "a part of the suppression list", s.shardKey(shard))
		}
		for i, v := range r.Val() {
			if value, ok := v.(string); ok && live(value, now) {
				out[keyOf[shard][i]] = true
			}
		}
	}

	return out, err
}

// lookupFields are the fields that keep mail of topic from the address of k.
func lookupFields(k Key, topic string) []string {
	if topic == "" {
		return []string{field(k, "")}
	}
	return []string{field(k, ""), field(k, topic)}
}

// Queue puts the look-up of one address for topic on pipe, which the caller
// executes, and returns the function that then reads the answer. It is made
// for the sender, which asks in the pipeline of its claim. Only without an
// error is the answer true or false; with one nothing is known.
func (s *Store) Queue(ctx context.Context, pipe redis.Pipeliner, topic string, k Key) func() (bool, error) {
	cmd := pipe.HMGet(ctx, s.shardKey(shardOf(k)), lookupFields(k, topic)...)
	return func() (bool, error) {
		values, err := cmd.Result()
		if err != nil {
			return false, fmt.Errorf("look up suppression: %w", err)
		}

		if len(values) == 0 { // the pipeline was not executed
			return false, errors.New("look up suppression: the pipeline was not executed")
		}

		now := s.now()
		return slices.ContainsFunc(values, func(v any) bool {
			value, ok := v.(string)
			return ok && live(value, now)
		}), nil
	}
}

// A Result is what the list says of one address in one scope. Its JSON is
// that of `suppression check --json`.
type Result struct {
	Address    string // canonical
	Suppressed bool
	Entry      Entry // only when Suppressed
}

// Check returns what the list says of addresses, in their order: one result
// for each scope in which an address is suppressed, or one that says it is
// not.
func (s *Store) Check(ctx context.Context, addresses ...string) ([]Result, error) {
	scopes, err := s.scopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("check suppressions: %w", err)
	}

	canonical := make([]string, len(addresses))
	for i, text := range addresses {
		a, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("check suppression: address %q: %w", text, err)
		}
		canonical[i] = a.Canonical()
	}

	results := []Result{} // JSON of none is [], not null
	for part := range slices.Chunk(canonical, batch) {
		found, err := s.check(ctx, scopes, part)
		if err != nil {
			return nil, fmt.Errorf("check suppressions: %w", err)
		}
		results = append(results, found...)
	}

	return results, nil
}

func (s *Store) check(ctx context.Context, scopes, canonical []string) ([]Result, error) {
	pipe := s.rdb.Pipeline()
	replies := make([]*redis.SliceCmd, len(canonical))
	for i, a := range canonical {
		k := KeyOf(a)
		replies[i] = pipe.HMGet(ctx, s.shardKey(shardOf(k)), fields(k, scopes)...)
	}

	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}

	var results []Result
	now := s.now()
	for i, a := range canonical {
		k := KeyOf(a)
		found := false
		for j, v := range replies[i].Val() {
			value, ok := v.(string)
			if !ok || !live(value, now) {
				continue
			}

			e, err := decode(field(k, scopes[j]), value)
			if err != nil { // it keeps mail back all the same
				e = Entry{Scope: All, Reason: "unreadable entry"}
				if scopes[j] != "" {
					e.Scope = Topic(scopes[j])
				}
			}

			e.Address = a
			found = true
			results = append(results, Result{Address: a, Suppressed: true, Entry: e})
		}

		if !found {
			results = append(results, Result{Address: a})
		}
	}

	return results, nil
}

// MarshalJSON writes the object that the command line promises.
func (r Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Address    string `json:"address"`
		Suppressed bool   `json:"suppressed"`
		Reason     string `json:"reason,omitempty"`
		Scope      string `json:"scope,omitempty"`
		Source     string `json:"source,omitempty"`
		Run        string `json:"run,omitempty"`
		Lane       string `json:"lane,omitempty"`
		Evidence   string `json:"evidence,omitempty"`
		At         string `json:"at,omitempty"`
		Expires    string `json:"expires,omitempty"`
	}{
		r.Address, r.Suppressed, r.Entry.Reason, r.Entry.Scope, r.Entry.Source, r.Entry.Run, r.Entry.Lane, r.Entry.Evidence,
		timeText(r.Entry.At), timeText(r.Entry.Expires),
	})
}

// timeText is RFC 3339 with milliseconds in UTC, empty for no time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
