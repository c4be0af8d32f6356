package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/window"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi64(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // our own fields; absent is 0
	return n
}

// A Record is what is known of a run as a whole.
type Record struct {
	ID       string
	Campaign string
	State    campaign.RunState
	Reason   string // why it is paused, held, cancelled or failed
	Attempt  string // empty until it is ready
	Key      string // of `launch --key`
	Parent   string // the run that this one retries
	Topic    string
	Subject  string
	From     string
	Audience string // where the recipients came from
	Accounts []string
	Created  time.Time
	Ready    time.Time // zero until the audience was in
	Finished time.Time // zero while anything is open
	Expires  time.Duration
	Lasts    time.Duration   // the same, in hours in which its window is open
	Retry    []time.Duration // pauses after the first, second, ... deferral
	Attempts int             // the most for each recipient
	Skipped  campaign.Skipped
	Window   *window.Window // in which it may send; nil: always
	High     bool           // it goes before runs of normal priority
	Sizes    []PartSize

	Resend, Replicated bool // as in NewRun
	Guard              campaign.Guard
	Watch              Watch
	Telling            Telling

	waves string // as they are stored: few who read a record ask for them
}

// Waves returns when recipients are due who get the message by their own clocks, in the
// order of time; nil when all are due at once.
func (r *Record) Waves() []campaign.Wave {
	if r.waves == "" {
		return nil
	}
	var waves []campaign.Wave
	if err := json.Unmarshal([]byte(r.waves), &waves); err != nil {
		return nil // of a newer version: they are only shown
	}
	return waves
}

// Handle returns the handle of a run that became ready, else nil.
func (r *Record) Handle() *Run {
	if r.Attempt == "" {
		return nil
	}
	return &Run{ID: r.ID, Attempt: r.Attempt, Created: r.Created, Sizes: r.Sizes, Replicated: r.Replicated}
}

// Total returns the number of recipients.
func (r *Record) Total() int64 {
	var n int64
	for _, p := range r.Sizes {
		n += int64(p.Size)
	}
	return n
}

// A NewRun is what a run is created from.
type NewRun struct {
	ID, Campaign, Key, Parent, Topic, Subject, From, Audience string
	Accounts                                                  []string
	Created                                                   time.Time
	Retry                                                     []time.Duration
	MaxAttempts                                               int
	ExpiresAfter                                              time.Duration
	Lasts                                                     time.Duration // the same in hours in which its window is open
	Resend                                                    bool          // uncertain recipients are tried again
	Replicated                                                bool          // a claim waits for a replica
	Guard                                                     campaign.Guard
	Window                                                    *window.Window // nil: always open
	High                                                      bool           // it goes before runs of normal priority
}

// Create makes the record of a run in state expanding. It reports false when
// the id is taken: a run is made once. The index of active runs comes first,
// so that no run exists that no worker looks after.
func (l *Ledger) Create(ctx context.Context, n NewRun) (bool, error) {
	retry := make([]string, len(n.Retry))
	for i, d := range n.Retry {
		retry[i] = strconv.FormatInt(max(1, seconds(d)), 10)
	}

	if err := l.index(ctx, n.ID, n.Campaign, n.Created); err != nil {
		return false, err
	}

	made, err := l.run(ctx, l.script.create, []string{l.runKey(n.ID, "record")},
		"campaign", n.Campaign, "key", n.Key, "parent", n.Parent, "topic", n.Topic, "subject", n.Subject,
		"from", n.From, "audience", n.Audience, "accounts", strings.Join(n.Accounts, ","),
		"created", n.Created.UnixMilli(), "retry", strings.Join(retry, ","),
		"guard", encode(n.Guard), "window", encode(n.Window), "lasts", seconds(n.Lasts), "max_attempts", n.MaxAttempts, "expires", seconds(n.ExpiresAfter),
		"on_uncertain", pick(n.Resend, "resend", "hold"), "durability", pick(n.Replicated, "replicated", "fast"),
		"priority", pick(n.High, campaign.HighPriority, campaign.NormalPriority)).Int()
	if err != nil {
		return false, fmt.Errorf("create run %s: %w", n.ID, err)
	}

	// Once more: a process that found no record yet may have taken it off the index.
	return made == 1, l.index(ctx, n.ID, n.Campaign, n.Created)
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// index puts a run on the lists of runs.
func (l *Ledger) index(ctx context.Context, id, name string, created time.Time) error {
	score := float64(created.UnixMilli())
	pipe := l.rdb.Pipeline()
	pipe.SAdd(ctx, l.activeKey(), id)
	pipe.ZAddNX(ctx, l.runsKey(), redis.Z{Score: score, Member: id})
	pipe.ZAddNX(ctx, l.campaignKey(name), redis.Z{Score: score, Member: id})
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("index run %s: %w", id, err)
	}
	return nil
}

// Record reads the record of a run. ErrNoRun when there is none, a
// campaign.BrokenError when what is there is no record.
func (l *Ledger) Record(ctx context.Context, id string) (*Record, error) {
	key := l.runKey(id, "record")
	m, err := l.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "run "+id, key)
	}

	if len(m) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoRun, id)
	}

	r := parseRecord(id, m)
	if err := checkRecord(r, m); err != nil {
		return nil, &campaign.BrokenError{What: "run " + id, Key: key, Err: err}
	}

	return r, nil
}

// checkRecord looks for values that no version has written so far and that this one
// could not use.
func checkRecord(r *Record, m map[string]string) error {
	switch {
	case r.Created.IsZero():
		return fmt.Errorf("created: found %q, expected milliseconds since 1970", m["created"])
	case !r.State.Known():
		return fmt.Errorf("state: found %q, expected a state of runs", m["state"])
	}
	return checkParts(m["parts"])
}

func checkParts(parts string) error {
	if parts == "" {
		return nil
	}

	for p := range strings.SplitSeq(parts, ",") {
		number, size, _ := strings.Cut(p, "=")
		part, err := strconv.Atoi(number)
		n, sizeErr := strconv.Atoi(size)
		if err != nil || sizeErr != nil || n < 0 {
			return fmt.Errorf("parts: found %q, expected NUMBER=SIZE with commas between", parts)
		}
		if part < 0 || part >= len(campaign.Providers) {
			return fmt.Errorf("parts: found number %d, expected one of the %d mailbox providers that this version knows", part, len(campaign.Providers))
		}
	}

	return nil
}

func parseRecord(id string, m map[string]string) *Record {
	r := &Record{
		ID: id, Campaign: m["campaign"], State: campaign.RunState(m["state"]), Reason: m["reason"],
		Attempt: m["attempt"], Key: m["key"], Parent: m["parent"], Topic: m["topic"], Subject: m["subject"],
		From: m["from"], Audience: m["audience"],
		Created: fromMillis(m["created"]), Ready: fromMillis(m["ready"]), Finished: fromMillis(m["finished"]),
		Expires: time.Duration(atoi64(m["expires"])) * time.Second,
		Lasts:   time.Duration(cmp.Or(atoi64(m["lasts"]), atoi64(m["expires"]))) * time.Second,
		waves:   m["waves"],
		Resend:  m["on_uncertain"] == "resend", Replicated: m["durability"] == "replicated",
		High: m["priority"] == campaign.HighPriority,
		Skipped: campaign.Skipped{
			Invalid: atoi64(m["invalid"]), Duplicate: atoi64(m["duplicate"]),
			Excluded: atoi64(m["excluded"]),
			Filtered: atoi64(m["filtered"]), Sampled: atoi64(m["sampled"]), Limited: atoi64(m["limited"]),
			Passed: atoi64(m["passed"]),
		},
	}
	r.readGuard(m)
	if m["window"] != "" {
		if err := json.Unmarshal([]byte(m["window"]), &r.Window); err != nil {
			r.Window = window.Closed // of a newer version: nothing leaves at a wrong time
		}
	}
	r.readTelling(m)
	r.Attempts = int(atoi64(m["max_attempts"]))
	for d := range strings.SplitSeq(m["retry"], ",") {
		if d != "" {
			r.Retry = append(r.Retry, time.Duration(atoi64(d))*time.Second)
		}
	}

	if m["accounts"] != "" {
		r.Accounts = strings.Split(m["accounts"], ",")
	}

	for p := range strings.SplitSeq(m["parts"], ",") {
		if part, size, ok := strings.Cut(p, "="); ok {
			r.Sizes = append(r.Sizes, PartSize{int(atoi64(part)), int(atoi64(size))})
		}
	}

	return r
}

// Counts reads how many recipients are in each state, over all parts and per
// part, and the other figures of the run.
func (l *Ledger) Counts(ctx context.Context, id string) (*Tally, error) {
	key := l.runKey(id, "counts")
	m, err := l.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "counts of run "+id, key)
	}
	return parseTally(m), nil
}

// A Tally is the counters of a run.
type Tally struct {
	Counts        campaign.Counts
	Parts         map[int]campaign.Counts
	FirstAccepted time.Time
	LastAccepted  time.Time
	After         map[campaign.EventKind]int64 // events after acceptance
	Complained    map[int]int64                // complaints by part
}

func parseTally(m map[string]string) *Tally {
	t := &Tally{Counts: campaign.Counts{}, Parts: map[int]campaign.Counts{}, After: map[campaign.EventKind]int64{}, Complained: map[int]int64{}}
	t.FirstAccepted = fromMillis(m["first"])
	t.LastAccepted = fromMillis(m["last"])
	for field, v := range m {
		if part, ok := strings.CutPrefix(field, "after:complained:"); ok {
			t.Complained[int(atoi64(part))] = atoi64(v)
			continue
		}
		if kind, ok := strings.CutPrefix(field, "after:"); ok {
			t.After[campaign.EventKind(kind)] = atoi64(v)
			continue
		}

		p, s, ok := strings.Cut(field, ":")
		if !ok {
			continue
		}

		part := int(atoi64(p))
		state := campaign.State(atoi64(s))
		n := atoi64(v)
		if t.Parts[part] == nil {
			t.Parts[part] = campaign.Counts{}
		}
		t.Parts[part][state] += n
		t.Counts[state] += n
	}

	return t
}

func (l *Ledger) activeKey() string                  { return l.prefix + ":runs:active" }
func (l *Ledger) runsKey() string                    { return l.prefix + ":runs" }
func (l *Ledger) campaignKey(campaign string) string { return l.prefix + ":runs:of:" + campaign }

// Active lists the ids of runs that may still need work.
func (l *Ledger) Active(ctx context.Context) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, l.activeKey()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of active runs", l.activeKey())
	}
	sort.Strings(ids)
	return ids, nil
}

// List returns the ids of all runs, the newest first; of one campaign when
// name is not empty.
func (l *Ledger) List(ctx context.Context, name string) ([]string, error) {
	key := l.runsKey()
	if name != "" {
		key = l.campaignKey(name)
	}
	ids, err := l.rdb.ZRevRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of runs", key)
	}
	return ids, nil
}

// Prune takes runs that were created before a moment, and whose record has
// expired, off the lists of runs.
func (l *Ledger) Prune(ctx context.Context, before time.Time) error {
	ids, err := l.rdb.ZRangeByScore(ctx, l.runsKey(), &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10)}).Result()
	if err != nil {
		return campaign.ReadError(err, "the list of runs", l.runsKey())
	}

	for _, id := range ids {
		_, err := l.Record(ctx, id)
		switch {
		case errors.Is(err, ErrNoRun):
			if err := l.Forget(ctx, id, campaign.OfRun(id)); err != nil {
				return err
			}
		case err != nil && !campaign.IsBroken(err): // what is broken stays, so that it is seen
			return err
		}
	}

	return nil
}

// Find returns the id that prefix stands for: an id, or a prefix of exactly
// one. ErrNoRun otherwise, with the candidates when there are several.
func (l *Ledger) Find(ctx context.Context, prefix string) (string, error) {
	ids, err := l.List(ctx, "")
	if err != nil {
		return "", err
	}

	var found []string
	for _, id := range ids {
		if id == prefix {
			return id, nil
		}
		if prefix != "" && strings.HasPrefix(id, prefix) {
			found = append(found, id)
		}
	}

	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%w: %q is the beginning of %d runs (%s, ...); write more of it", ErrNoRun, prefix, len(found), found[0])
	}

	return "", fmt.Errorf("%w: %q", ErrNoRun, prefix)
}

// Turn changes the state of a whole run when it is in one of from, and returns
// the state before.
func (l *Ledger) Turn(ctx context.Context, id string, to campaign.RunState, reason string, from ...campaign.RunState) (campaign.RunState, error) {
	args := []any{string(to), reason}
	for _, s := range from {
		args = append(args, string(s))
	}

	key := l.runKey(id, "record")
	before, err := l.run(ctx, l.script.turn, []string{key, l.runKey(id, "counts")}, args...).Text()
	if campaign.IsWrongType(err) {
		return "", campaign.ReadError(err, "run "+id, key)
	}
	if err != nil {
		return "", fmt.Errorf("turn run %s to %s: %w", id, to, err)
	}
	if before == "" {
		return "", fmt.Errorf("%w: %s", ErrNoRun, id)
	}

	return campaign.RunState(before), nil
}

// Retire takes a run that is over off the list of active runs and lets its
// keys expire: everything after keep, addresses after addresses.
func (l *Ledger) Retire(ctx context.Context, r *Record, keep, addresses time.Duration) error {
	pipe := l.rdb.Pipeline()
	for _, k := range []string{"record", "counts", "claims", "late", "replies", "early"} {
		pipe.Expire(ctx, l.runKey(r.ID, k), keep)
	}

	pipe.Expire(ctx, l.stormKey(r.ID), min(keep, addresses))
	if h := r.Handle(); h != nil {
		pipe.Expire(ctx, l.runKey(r.ID, h.Attempt+":content"), keep)
		for _, k := range []string{":chunks", ":rejects", ":receipts", ":patterns"} {
			pipe.Expire(ctx, l.runKey(r.ID, h.Attempt+k), min(keep, addresses))
		}
		for _, p := range h.Sizes {
			pipe.Expire(ctx, l.cellsKey(h, p.Part), keep)
		}
		for _, key := range slices.Concat(l.afterKeys(h), l.hitKeys(h), []string{l.toldKey(h)}) {
			pipe.Expire(ctx, key, keep)
		}
	}

	pipe.SRem(ctx, l.activeKey(), r.ID)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("retire run %s: %w", r.ID, err)
	}

	return nil
}

// Forget drops a run that has no record (any more) from the indexes. A record
// that is made in the same moment keeps its place.
func (l *Ledger) Forget(ctx context.Context, id, name string) error {
	pipe := l.rdb.Pipeline()
	pipe.SRem(ctx, l.activeKey(), id)
	pipe.ZRem(ctx, l.runsKey(), id)
	pipe.ZRem(ctx, l.campaignKey(name), id)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("forget run %s: %w", id, err)
	}

	rec, err := l.Record(ctx, id)
	if errors.Is(err, ErrNoRun) {
		return nil
	}
	if err != nil {
		return err
	}

	return l.index(ctx, id, rec.Campaign, rec.Created)
}

// ExpansionLease is how long an expansion counts as alive without a sign of life.
const ExpansionLease = 10 * time.Second

// Expanding takes or renews the right to expand a run, or gives it up when d is
// 0, so that two launches do not do the same work. It saves work and protects
// nothing: of two expansions the first that is ready wins.
func (l *Ledger) Expanding(ctx context.Context, id, holder string, d time.Duration) (bool, error) {
	return l.lease(ctx, id, "expander", holder, d)
}

// Expanded reports whether some process has the right to expand a run, and so
// gives signs of life.
func (l *Ledger) Expanded(ctx context.Context, id string) (bool, error) {
	n, err := l.rdb.Exists(ctx, l.runKey(id, "expander")).Result()
	if err != nil {
		return false, fmt.Errorf("ask whether run %s is being expanded: %w", id, err)
	}
	return n > 0, nil
}
