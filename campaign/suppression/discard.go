package suppression

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"

	"github.com/redis/go-redis/v9"
)

const (
	// notesKept is how many entries of one lane are noted: many more than a lane makes
	// before the storm guard closes it.
	notesKept = 5000
	// notesLife is how long the notes of a lane are kept after the last one.
	notesLife = 48 * time.Hour

	// sourceSMTP is the Source of entries that the reply of a server has caused.
	sourceSMTP = "smtp"
)

// A Recipient is one recipient of a run.
type Recipient struct {
	Run         string
	Part, Index int
}

// A note says where an entry is that a reply has caused, and which recipient it was.
type note struct {
	at        int64 // ms since 1970, as in the entry
	recipient Recipient
	field     string
}

// text returns the note as it is stored; the field comes last, as it may have any
// byte.
func (n note) text() string {
	return strings.Join([]string{
		strconv.FormatInt(n.at, 10), n.recipient.Run, strconv.Itoa(n.recipient.Part), strconv.Itoa(n.recipient.Index), n.field,
	}, "\t")
}

// parseNote reads what text has written; false for what it has not.
func parseNote(text string) (note, bool) {
	parts := strings.SplitN(text, "\t", 5)
	if len(parts) != 5 || len(parts[4]) < len(Key{}) {
		return note{}, false
	}
	at, errAt := strconv.ParseInt(parts[0], 10, 64)
	part, errPart := strconv.Atoi(parts[2])
	index, errIndex := strconv.Atoi(parts[3])
	if errors.Join(errAt, errPart, errIndex) != nil {
		return note{}, false
	}
	return note{at, Recipient{parts[1], part, index}, parts[4]}, true
}

// shard returns where the entry is.
func (n note) shard() int { return shardOf(Key([]byte(n.field[:len(Key{})]))) }

// queueLanes notes the entries that have a Lane. It comes before the entries, so that
// none is without its note.
func (s *Store) queueLanes(ctx context.Context, pipe redis.Pipeliner, entries []Entry) {
	notes := map[string][]any{}
	for _, e := range entries {
		if e.Lane == "" {
			continue
		}
		if notes[e.Lane] == nil {
			notes[e.Lane] = []any{notesKept, notesLife.Milliseconds()}
		}
		n := note{e.At.UnixMilli(), Recipient{e.Run, e.Part, e.Index}, field(e.key(), e.topic())}
		notes[e.Lane] = append(notes[e.Lane], n.text())
	}
	for lane, args := range notes {
		s.lane.Eval(ctx, pipe, []string{s.laneKey(lane)}, args...)
	}
}

// Discard takes those entries off the list that replies in a lane ("ACCOUNT/LANE") have
// caused since then, and returns how many these were. Only what is on the list for that
// reply alone is taken off: what stood there before stays, and what was added by another
// road too. recipients are those of the entries, also of entries that an earlier
// call has discarded: a call that was cut off can be repeated.
//
// It knows the newest 5,000 of a lane, for 48 hours after the last one.
func (s *Store) Discard(ctx context.Context, lane string, since time.Time) (recipients []Recipient, removed int, err error) {
	key := s.laneKey(lane)
	texts, err := s.rdb.LRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, 0, campaign.ReadError(err, "the suppressions of lane "+lane, key)
	}
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("discard the suppressions of lane %s: ask redis for the time: %w", lane, err)
	}

	var byShard [shards][]note
	seen := map[string]bool{}
	for _, text := range texts {
		n, ok := parseNote(text)
		if !ok || n.at < since.UnixMilli() || seen[text] {
			continue
		}
		seen[text] = true
		byShard[n.shard()] = append(byShard[n.shard()], n)
	}
	for shard, notes := range byShard {
		if len(notes) == 0 {
			continue
		}
		some, n, err := s.discardOf(ctx, shard, lane, now, notes)
		recipients = append(recipients, some...)
		removed += n
		if err != nil {
			return recipients, removed, fmt.Errorf("discard the suppressions of lane %s: %w", lane, err)
		}
	}
	return recipients, removed, nil
}

// discardOf is Discard for the entries of one shard.
func (s *Store) discardOf(ctx context.Context, shard int, lane string, now time.Time, notes []note) (recipients []Recipient, removed int, err error) {
	args := []any{now.UnixMilli(), ReasonBounce, sourceSMTP, lane}
	for _, n := range notes {
		args = append(args, n.field, n.at, n.recipient.Run)
	}
	answers, err := s.discard.Run(ctx, s.rdb, []string{s.shardKey(shard)}, args...).Int64Slice()
	if err != nil {
		return nil, 0, err
	}
	if len(answers) != len(notes) {
		return nil, 0, fmt.Errorf("found %d answers, expected %d", len(answers), len(notes))
	}

	for i, answer := range answers {
		if answer > 0 {
			recipients = append(recipients, notes[i].recipient)
		}
		if answer == 1 {
			removed++
		}
	}
	return recipients, removed, nil
}
