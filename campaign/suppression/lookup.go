package suppression

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"

	"github.com/redis/go-redis/v9"
)

// A Person is who a look-up asks about: the address by its hash, and its domain.
type Person struct {
	Key    Key
	Domain string // as in address.Address; empty: entries of domains are left out
}

// PersonOf returns what is asked about an address.
func PersonOf(a address.Address) Person {
	hash := a.Hash()
	return Person{Key: Key(hash[:]), Domain: a.Domain}
}

// Suppressed reports for each person whether they must not get messages of topic, in
// the order of people. The topic "" asks for entries of the scope All only. It is made
// for expansion: a thousand people cost one round trip.
func (s *Store) Suppressed(ctx context.Context, topic string, people []Person) ([]bool, error) {
	out := make([]bool, 0, len(people))
	for part := range slices.Chunk(people, batch) {
		found, err := s.suppressed(ctx, topic, part)
		if err != nil {
			return nil, fmt.Errorf("look up suppressions: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func (s *Store) suppressed(ctx context.Context, topic string, people []Person) ([]bool, error) {
	var asked [shards][]string // fields
	var personOf [shards][]int // the index in people of each field
	for i, p := range people {
		shard := shardOf(p.Key)
		for _, f := range lookupFields(p.Key, topic) {
			asked[shard] = append(asked[shard], f)
			personOf[shard] = append(personOf[shard], i)
		}
	}

	pipe := s.rdb.Pipeline()
	domains := s.queueDomains(ctx, pipe)
	var replies [shards]*redis.SliceCmd
	for shard, f := range asked {
		if f != nil {
			replies[shard] = pipe.HMGet(ctx, s.shardKey(shard), f...)
		}
	}

	_, _ = pipe.Exec(ctx) // each command has its own error
	list, err := domains()
	if err != nil {
		return nil, err
	}

	now := s.now()
	out := make([]bool, len(people))
	for i, p := range people {
		out[i] = list.suppress(topic, p.Domain, now)
	}
	for shard, r := range replies {
		if r == nil {
			continue
		}
		if err := r.Err(); err != nil {
			return nil, campaign.ReadError(err, "a part of the suppression list", s.shardKey(shard))
		}
		for i, v := range r.Val() {
			if value, ok := v.(string); ok && live(value, now) {
				out[personOf[shard][i]] = true
			}
		}
	}

	return out, nil
}

// lookupFields are the fields that keep mail of topic from the address of k.
func lookupFields(k Key, topic string) []string {
	if topic == "" {
		return []string{field(k, "")}
	}
	return []string{field(k, ""), field(k, topic)}
}

// Queue begins the look-ups of one batch. What it returns puts the look-up of one
// address and its domain for topic on pipe, which the caller executes, and returns the
// function that then reads the answer. It is made for the sender, which asks in the
// pipeline of its claims. Only without an error is the answer true or false; with one
// nothing is known.
//
// All look-ups of a batch together cost one command for the domains, and another round
// trip when the entries of domains have changed.
func (s *Store) Queue(ctx context.Context, pipe redis.Pipeliner) func(topic string, k Key, domain string) func() (bool, error) {
	var domains func() (*domainList, error)
	return func(topic string, k Key, domain string) func() (bool, error) {
		if domains == nil {
			domains = s.queueDomains(ctx, pipe)
		}
		list := domains
		cmd := pipe.HMGet(ctx, s.shardKey(shardOf(k)), lookupFields(k, topic)...)
		return func() (bool, error) {
			suppressed, err := s.answer(cmd, list, topic, domain)
			if err != nil {
				return false, fmt.Errorf("look up suppression: %w", err)
			}
			return suppressed, nil
		}
	}
}

// answer reads what Redis says of one address, and what is known of its domain.
func (s *Store) answer(cmd *redis.SliceCmd, domains func() (*domainList, error), topic, domain string) (bool, error) {
	values, err := cmd.Result()
	if err != nil {
		return false, err
	}
	if len(values) == 0 {
		return false, errors.New("the pipeline was not executed")
	}

	now := s.now()
	for _, v := range values {
		if value, ok := v.(string); ok && live(value, now) {
			return true, nil
		}
	}

	list, err := domains()
	if err != nil {
		return false, err
	}
	return list.suppress(topic, domain, now), nil
}

// A Result is what the list says of one address in one scope. Its JSON is
// that of `suppression check --json`.
type Result struct {
	Address    string // canonical, or "*@" and a domain
	Suppressed bool
	Entry      Entry // only when Suppressed
}

// Check returns what the list says of addresses, and of domains ("*@example.com"), in
// their order: one result for each scope in which an address or its domain is
// suppressed, or one that says that it is not.
func (s *Store) Check(ctx context.Context, addresses ...string) ([]Result, error) {
	subjects, err := parseSubjects(addresses)
	if err != nil {
		return nil, fmt.Errorf("check suppression: %w", err)
	}

	scopes, err := s.scopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("check suppressions: %w", err)
	}

	results := []Result{} // JSON of none is [], not null
	for part := range slices.Chunk(subjects, batch) {
		found, err := s.check(ctx, scopes, part)
		if err != nil {
			return nil, fmt.Errorf("check suppressions: %w", err)
		}
		results = append(results, found...)
	}

	return results, nil
}

func (s *Store) check(ctx context.Context, scopes []string, subjects []subject) ([]Result, error) {
	pipe := s.rdb.Pipeline()
	replies := make([][]*redis.SliceCmd, len(subjects))
	for i, who := range subjects {
		for _, about := range who.andDomain() {
			replies[i] = append(replies[i], pipe.HMGet(ctx, s.placeKey(about.place), fields(KeyOf(about.shown), scopes)...))
		}
	}

	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}

	var results []Result
	now := s.now()
	runs := s.runNames()
	for i, who := range subjects {
		found := false
		for n, about := range who.andDomain() {
			for _, e := range about.entries(scopes, replies[i][n].Val(), now) {
				if err := runs.fill(ctx, &e); err != nil {
					return nil, err
				}
				found = true
				results = append(results, Result{Address: who.shown, Suppressed: true, Entry: e})
			}
		}
		if !found {
			results = append(results, Result{Address: who.shown})
		}
	}

	return results, nil
}

// entries returns those that hold now of the values that a subject has in each scope.
func (s subject) entries(scopes []string, values []any, now time.Time) []Entry {
	var found []Entry
	for i, v := range values {
		value, ok := v.(string)
		if !ok || !live(value, now) {
			continue
		}
		found = append(found, s.entry(scopes[i], value))
	}
	return found
}

// entry returns the entry that a subject has in a topic.
func (s subject) entry(topic, value string) Entry {
	e, err := decode(field(KeyOf(s.shown), topic), value)
	if err != nil { // it keeps mail back all the same
		e = Entry{Scope: All, Reason: "unreadable entry"}
		if topic != "" {
			e.Scope = Topic(topic)
		}
	}

	e.Address = s.shown
	if s.place == domains {
		e.Address = ""
		e.Domain = strings.TrimPrefix(s.shown, everyone)
	}
	return e
}

// MarshalJSON writes the object that the command line promises.
func (r Result) MarshalJSON() ([]byte, error) {
	ofDomain := ""
	if r.Entry.Domain != "" {
		ofDomain = r.Entry.Shown()
	}
	return json.Marshal(struct {
		Address    string `json:"address"`
		Suppressed bool   `json:"suppressed"`
		Entry      string `json:"entry,omitempty"` // of a domain
		Reason     string `json:"reason,omitempty"`
		Scope      string `json:"scope,omitempty"`
		Source     string `json:"source,omitempty"`
		Run        string `json:"run,omitempty"`
		Lane       string `json:"lane,omitempty"`
		Evidence   string `json:"evidence,omitempty"`
		At         string `json:"at,omitempty"`
		Expires    string `json:"expires,omitempty"`
	}{
		r.Address, r.Suppressed, ofDomain, r.Entry.Reason, r.Entry.Scope, r.Entry.Source, r.Entry.Run, r.Entry.Lane, r.Entry.Evidence,
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
