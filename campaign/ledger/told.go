package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// keepTurns is how many turns lua/turn.lua keeps.
const keepTurns = 16

// A Turn is one time that a run was stopped.
type Turn struct {
	Number int64 // 1 is the first of the run
	State  campaign.RunState
	Reason string
	At     time.Time
}

// A Telling is what the record of a run knows for those who tell others what happens in
// it: what is to be told stands there together with what happened, so that it outlives
// every process.
type Telling struct {
	Turns []Turn // that were not told yet, the oldest first

	end string // Finished, in milliseconds, when the end was told
}

// EndTold reports whether the end of the run was told. A run that goes on and ends once
// more has another one.
func (r *Record) EndTold() bool { return r.Telling.end == r.end() }

// end names the end of a run that is over.
func (r *Record) end() string {
	if r.Finished.IsZero() {
		return string(r.State)
	}
	return strconv.FormatInt(r.Finished.UnixMilli(), 10)
}

func (r *Record) readTelling(m map[string]string) {
	r.Telling.end = m["told_end"]
	last := atoi64(m["turns"])
	for n := max(atoi64(m["told"]), last-keepTurns) + 1; n <= last; n++ {
		f := strings.SplitN(m["turn:"+strconv.FormatInt(n, 10)], " ", 3)
		if len(f) < 3 {
			continue
		}
		r.Telling.Turns = append(r.Telling.Turns, Turn{Number: n, At: fromMillis(f[0]), State: campaign.RunState(f[1]), Reason: f[2]})
	}
}

// NoteTurnTold notes that a turn was told, and those before it.
func (l *Ledger) NoteTurnTold(ctx context.Context, id string, number int64) error {
	return l.note(ctx, id, "told", number)
}

// NoteEndTold notes that the end of a run was told.
func (l *Ledger) NoteEndTold(ctx context.Context, r *Record) error {
	return l.note(ctx, r.ID, "told_end", r.end())
}

func (l *Ledger) untoldKey() string { return l.prefix + ":runs:untold" }

// AddUntold puts a run that is over on the list of those whose end is to be told.
func (l *Ledger) AddUntold(ctx context.Context, id string) error {
	if err := l.rdb.SAdd(ctx, l.untoldKey(), id).Err(); err != nil {
		return fmt.Errorf("note that the end of run %s is to be told: %w", id, err)
	}
	return nil
}

// Untold lists the runs that are over and not told about to the end.
func (l *Ledger) Untold(ctx context.Context) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, l.untoldKey()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of runs to be told about", l.untoldKey())
	}
	return ids, nil
}

// RemoveUntold takes a run off the list.
func (l *Ledger) RemoveUntold(ctx context.Context, id string) error {
	if err := l.rdb.SRem(ctx, l.untoldKey(), id).Err(); err != nil {
		return fmt.Errorf("note that the end of run %s was told: %w", id, err)
	}
	return nil
}

// Teller takes or renews the right to tell about runs, or gives it up when d is 0. It
// saves work and protects nothing: what is told twice is the same event.
func (l *Ledger) Teller(ctx context.Context, holder string, d time.Duration) (bool, error) {
	held, err := l.run(ctx, l.script.lease, []string{l.prefix + ":runs:teller"}, holder, d.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("take the right to tell about runs: %w", err)
	}
	return held == 1, nil
}

func (l *Ledger) toldKey(r *Run) string { return l.runKey(r.ID, r.Attempt+":told") }

// Bits has a bit for each recipient of a part, as Redis has them: index 0 is the highest
// bit of the first byte. What is behind its end is not set.
type Bits []byte

// Has reports whether the bit of a recipient is set.
func (b Bits) Has(index int) bool {
	at := index / 8
	return at < len(b) && b[at]>>(7-index%8)&1 == 1
}

// With returns the bits with that of a recipient set.
func (b Bits) With(index int) Bits {
	at := index / 8
	if at >= len(b) {
		b = append(b, make([]byte, at+1-len(b))...)
	}
	b[at] |= 1 << (7 - index%8)
	return b
}

// Told reads which recipients of a part a receiver of webhooks was told about.
func (l *Ledger) Told(ctx context.Context, r *Run, receiver string, part int) (Bits, error) {
	b, err := l.rdb.HGet(ctx, l.toldKey(r), receiver+":"+itoa(part)).Bytes()
	if err != nil && err != redis.Nil {
		return nil, campaign.ReadError(err, "what was told of run "+r.ID, l.toldKey(r))
	}
	return b, nil
}

// NoteTold notes which recipients of a part a receiver of webhooks was told about.
func (l *Ledger) NoteTold(ctx context.Context, r *Run, receiver string, part int, told Bits) error {
	return l.noteTold(ctx, r, receiver+":"+itoa(part), []byte(told))
}

// noteTold writes fields and their values.
func (l *Ledger) noteTold(ctx context.Context, r *Run, fields ...any) error {
	keys := []string{l.runKey(r.ID, "record"), l.toldKey(r)}
	if err := l.run(ctx, l.script.told, keys, fields...).Err(); err != nil {
		return fmt.Errorf("note what was told of run %s: %w", r.ID, err)
	}
	return nil
}

// ToldOf reports for each name whether NoteToldOf was called with it.
func (l *Ledger) ToldOf(ctx context.Context, r *Run, names []string) ([]bool, error) {
	values, err := l.rdb.HMGet(ctx, l.toldKey(r), names...).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "what was told of run "+r.ID, l.toldKey(r))
	}
	told := make([]bool, len(names))
	for i, v := range values {
		told[i] = v != nil
	}
	return told, nil
}

// NoteToldOf notes what was told of a run, by names that the caller gives and that begin
// with "*", so that they are not taken for a receiver.
func (l *Ledger) NoteToldOf(ctx context.Context, r *Run, names []string) error {
	for some := range slices.Chunk(names, toldAtOnce) {
		fields := make([]any, 0, 2*len(some))
		for _, name := range some {
			fields = append(fields, name, "1")
		}
		if err := l.noteTold(ctx, r, fields...); err != nil {
			return err
		}
	}
	return nil
}

// toldAtOnce is how many names go to one script, which has an end to what it can unpack.
const toldAtOnce = 500

// CameBack reads which recipients of a part were counted for a kind of event by their
// place.
func (l *Ledger) CameBack(ctx context.Context, r *Run, kind campaign.EventKind, part int) (Bits, error) {
	key := l.bitsKey(r, kind, part)
	b, err := l.rdb.GetRange(ctx, key, 0, -1).Bytes()
	if err != nil {
		return nil, campaign.ReadError(err, "what came back of run "+r.ID, key)
	}
	return b, nil
}

// Counted reports for each whether CountAfter has counted it before.
func (l *Ledger) Counted(ctx context.Context, r *Run, all []After) ([]bool, error) {
	pipe := l.rdb.Pipeline()
	named := make([]*redis.BoolCmd, len(all))
	bits := make([]*redis.StringCmd, len(all)) // the byte with the recipient's bit
	for i := range all {
		key := l.markKey(r, &all[i])
		if all[i].Person != "" {
			named[i] = pipe.SIsMember(ctx, key, all[i].Person)
			continue
		}
		of := int64(all[i].Index / 8)
		bits[i] = pipe.GetRange(ctx, key, of, of)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look up what came back of run %s: %w", r.ID, err)
	}

	counted := make([]bool, len(all))
	for i := range all {
		if named[i] != nil {
			counted[i] = named[i].Val()
			continue
		}
		counted[i] = Bits(bits[i].Val()).Has(all[i].Index % 8)
	}
	return counted, nil
}

// RepliesOf reads the last replies for some recipients of a run that were not accepted;
// a zero one where none is kept.
func (l *Ledger) RepliesOf(ctx context.Context, r *Run, places []Place) ([]LastReply, error) {
	if len(places) == 0 {
		return nil, nil
	}
	fields := make([]string, len(places))
	for i, p := range places {
		fields[i] = itoa(p.Part) + ":" + itoa(p.Index)
	}

	key := l.runKey(r.ID, "replies")
	values, err := l.rdb.HMGet(ctx, key, fields...).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "replies of run "+r.ID, key)
	}
	out := make([]LastReply, len(places))
	for i, v := range values {
		text, _ := v.(string)
		out[i], _ = parseLastReply(text)
	}
	return out, nil
}
