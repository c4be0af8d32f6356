package scheduler

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// maxSchedules bounds the schedules: all are read to list or find one.
const maxSchedules = 1000

// stagedTTL is how long files that no schedule names are kept: those of a schedule
// that is being stored, and of one that was replaced during an occurrence.
const stagedTTL = time.Hour

// Schedules keeps the schedules in Redis. Keys, all in one slot:
//
//	PREFIX:{sched}:due             sorted set: id by next occurrence in ms
//	PREFIX:{sched}:ids             set of ids
//	PREFIX:{sched}:of:ID           hash: schedule (JSON), version, next; holder, until and firing of a claim;
//	                               trouble, last_run, fired, missed, failed
//	PREFIX:{sched}:history:ID      list of occurrences, JSON, newest last
//	PREFIX:{sched}:untold          list of missed occurrences that others are to be told of, JSON, newest last
//	PREFIX:{sched}:skip:ID:TIME    a time in ms that is left out; ends two days after it
//	PREFIX:{sched}:files:VERSION   hash: KEY:N -> piece N of the file, Zstandard
//
// It is safe for concurrent use.
type Schedules struct {
	rdb    redis.UniversalClient
	prefix string
	lease  time.Duration // of a claim
	most   int           // schedules

	put, claim, hold, release, settle, remove *redis.Script
}

// NewSchedules returns the schedules whose keys begin with prefix. lua turns
// source text into a script that this Redis understands.
func NewSchedules(rdb redis.UniversalClient, prefix string, lua func(src string) *redis.Script) *Schedules {
	const always = "#!lua flags=allow-oom\n" // for scripts that free memory, or keep something from being done twice
	return &Schedules{
		rdb: rdb, prefix: prefix, lease: claimLease, most: maxSchedules,
		put: lua(source("put")), claim: lua(source("claim")), hold: lua(always + source("hold")),
		release: lua(always + source("release")), settle: lua(always + source("settle")), remove: lua(always + source("remove")),
	}
}

func source(name string) string {
	b, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // embedded: cannot happen in a binary that was built
	}
	return string(b)
}

func (s *Schedules) key(rest string) string      { return s.prefix + ":{sched}:" + rest }
func (s *Schedules) of(id string) string         { return s.key("of:" + id) }
func (s *Schedules) files(version string) string { return s.key("files:" + version) }

// Now returns the time of Redis, which is that of the schedules.
func (s *Schedules) Now(ctx context.Context) (time.Time, error) {
	t, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("ask redis for the time: %w", err)
	}
	return t.UTC(), nil
}

// Put stores a schedule whose Files were staged under its Version, and returns
// the one with the same id that it replaces, nil if there was none. The
// history stays. ErrPast: it has no occurrence in the future.
func (s *Schedules) Put(ctx context.Context, sc Schedule) (*Schedule, error) {
	var err error
	if sc.Stored, err = s.Now(ctx); err != nil {
		return nil, err
	}

	next, err := sc.Timing.First(sc.Stored)
	if err != nil {
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, err)
	}

	if next.IsZero() {
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, ErrPast)
	}

	text, err := json.Marshal(sc)
	if err != nil {
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, err)
	}

	pieces := 0
	for _, f := range sc.Files {
		pieces += f.Pieces
	}

	args := []any{sc.ID, sc.Version, text, next.UnixMilli(), pieces, s.files(""), stagedTTL.Milliseconds(), s.most}
	if sc.Timing.Recipient {
		args = append(args, sc.Timing.LastMoment(next).UnixMilli())
	}
	res, err := s.put.Run(ctx, s.rdb, []string{s.key("due"), s.key("ids"), s.of(sc.ID), s.files(sc.Version)}, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, err)
	}

	switch done, _ := res[0].(int64); done {
	case 0:
		return nil, fmt.Errorf("store schedule %s: some of its files are gone", sc.ID)
	case -1:
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, ErrPast)
	case -2:
		return nil, fmt.Errorf("store schedule %s: %w", sc.ID, ErrTooMany)
	}

	return decodeOld(sc.ID, res[1])
}

// decodeOld reads a schedule that a script returned; nil when there is none.
func decodeOld(id string, v any) (*Schedule, error) {
	text, _ := v.(string)
	if text == "" {
		return nil, nil
	}
	old := &Schedule{}
	if err := json.Unmarshal([]byte(text), old); err != nil {
		return nil, fmt.Errorf("decode schedule %s: %w", id, err)
	}
	return old, nil
}

// Remove removes a schedule. firing is the occurrence that a scheduler is firing at
// this moment, the zero time if none: that stops, unless its run is ready already.
// The error is ErrNoSchedule when there is no such schedule.
func (s *Schedules) Remove(ctx context.Context, id string) (firing time.Time, err error) {
	res, err := s.remove.Run(ctx, s.rdb, []string{s.key("due"), s.key("ids"), s.of(id), s.key("history:" + id)}, id, s.files("")).Slice()
	if err != nil {
		return time.Time{}, fmt.Errorf("remove schedule %s: %w", id, err)
	}
	if n, _ := res[0].(int64); n == 0 {
		return time.Time{}, fmt.Errorf("%w: %q", ErrNoSchedule, id)
	}
	text, _ := res[1].(string)
	return fromMillis(text), nil
}

// Get reads a schedule. ErrNoSchedule when there is none, a campaign.BrokenError
// when what is there is none.
func (s *Schedules) Get(ctx context.Context, id string) (*Entry, error) {
	m, err := s.rdb.HGetAll(ctx, s.of(id)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "schedule "+id, s.of(id))
	}
	return s.parseEntry(id, m)
}

// List reads all schedules, in the order of their ids. One that cannot be read
// has an id and the reason as Broken.
func (s *Schedules) List(ctx context.Context) ([]*Entry, error) {
	ids, err := s.rdb.SMembers(ctx, s.key("ids")).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of schedules", s.key("ids"))
	}

	slices.Sort(ids)
	var all []*Entry
	for _, id := range ids {
		e, err := s.Get(ctx, id)
		if errors.Is(err, ErrNoSchedule) {
			continue // it has been removed
		}

		if campaign.IsBroken(err) {
			e = &Entry{Schedule: Schedule{ID: id}, Broken: err}
			err = nil
		}

		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}

	return all, nil
}

// History returns what became of the latest occurrences of a schedule, newest
// first.
func (s *Schedules) History(ctx context.Context, id string) ([]Occurrence, error) {
	texts, err := s.rdb.LRange(ctx, s.key("history:"+id), 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "occurrences of schedule "+id, s.key("history:"+id))
	}

	slices.Reverse(texts)
	all := make([]Occurrence, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &all[i]); err != nil {
			return nil, fmt.Errorf("decode occurrence of %s: %w", id, err)
		}
	}

	return all, nil
}

func (s *Schedules) parseEntry(id string, m map[string]string) (*Entry, error) {
	if len(m) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoSchedule, id)
	}

	e := &Entry{
		Next: fromMillis(m["next"]), Firing: fromMillis(m["firing"]), Trouble: m["trouble"], LastRun: m["last_run"],
		Fired: number(m[Fired]), Missed: number(m[Missed]), Failed: number(m[Failed]),
	}
	if err := json.Unmarshal([]byte(m["schedule"]), &e.Schedule); err != nil {
		return nil, &campaign.BrokenError{What: "schedule " + id, Key: s.of(id), Err: err}
	}

	return e, nil
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // our own fields; absent is 0
	return n
}

// fromMillis returns the time of a field in milliseconds; the zero time for an
// empty one.
func fromMillis(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	return time.UnixMilli(number(s)).UTC()
}
