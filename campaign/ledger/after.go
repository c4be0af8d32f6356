package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

const (
	// maxAfterTexts is how many different texts a run keeps of what came back.
	maxAfterTexts = 200
	// maxAfterNotes is of how many things that came back a run keeps when, by which
	// road and with which words: about 200 bytes each.
	maxAfterNotes = 100_000
	// maxSaid is how much of the words of one of them is kept, in bytes.
	maxSaid = 200
	// aftersAtOnce is how many go to one script.
	aftersAtOnce = 500
)

// A Place is where a recipient is in a run.
type Place struct{ Part, Index int }

// An After is what came back about one message of a run after it was accepted.
type After struct {
	Kind campaign.EventKind

	// The recipient: its place; or a name for the person (such as a hash of the
	// address) by which the kind is then counted once. With a name the index may be -1:
	// it is not known.
	Place
	Person string

	State   campaign.State // what the recipient becomes if it is uncertain; 0: what it is
	Reply   Reply          // why, for a State of Bounced
	Day     string         // the date in UTC on which it happened
	Account string         // that the message went by; empty: it is not known
	Text    string         // what was said, without what differs from one to the next; may be empty

	At     time.Time // when it happened; zero: no note is kept of it
	Source string    // the road by which it came
	Said   string    // what was said, without addresses; may be empty
}

// figure is the field of counters that the event belongs to.
func (a *After) figure() string {
	return a.Day + " " + string(a.Kind) + " " + itoa(a.Part) + " " + a.Account
}

// note is what is kept of one thing that came back: time TAB road TAB account TAB
// status TAB words. It is empty where nothing is. Deliveries have none: they may be as
// many as the recipients.
func (a *After) note() string {
	if a.At.IsZero() || a.Kind == campaign.EventDelivered {
		return ""
	}
	said := oneLine(a.Said)
	if len(said) > maxSaid {
		said = strings.ToValidUTF8(said[:maxSaid], "")
	}
	return strings.Join([]string{
		strconv.FormatInt(a.At.UnixMilli(), 10), oneLine(a.Source), oneLine(a.Account), oneLine(a.Reply.Enhanced), said,
	}, "\t")
}

// noteField names one thing that came back about a recipient.
func noteField(kind campaign.EventKind, recipient string) string {
	return string(kind) + ":" + recipient
}

func (l *Ledger) afterKey(r *Run) string      { return l.runKey(r.ID, r.Attempt+":after") }
func (l *Ledger) afterTextsKey(r *Run) string { return l.afterKey(r) + ":texts" }
func (l *Ledger) afterNotesKey(r *Run) string { return l.afterKey(r) + ":notes" }

// markKey is the key of the marks of what was counted: bits by index, or a set of
// names.
func (l *Ledger) markKey(r *Run, a *After) string {
	if a.Person != "" {
		return l.afterKey(r) + ":" + string(a.Kind)
	}
	return l.bitsKey(r, a.Kind, a.Part)
}

func (l *Ledger) bitsKey(r *Run, kind campaign.EventKind, part int) string {
	return l.afterKey(r) + ":" + string(kind) + ":" + itoa(part)
}

// afterKeys returns all keys of what came back about a run.
func (l *Ledger) afterKeys(r *Run) []string {
	keys := []string{l.afterKey(r), l.afterTextsKey(r), l.afterNotesKey(r)}
	for _, kind := range campaign.EventKinds {
		keys = append(keys, l.markKey(r, &After{Kind: kind, Person: "any"}))
		for _, p := range r.Sizes {
			keys = append(keys, l.bitsKey(r, kind, p.Part))
		}
	}
	return keys
}

// CountAfter counts what came back about a run, each kind once for each recipient,
// and settles recipients that are uncertain. It reports for each whether it was
// counted now; false also when the run is gone. After an error it can be called again:
// nothing counts twice.
func (l *Ledger) CountAfter(ctx context.Context, r *Run, all []After) ([]bool, error) {
	order := make([]int, len(all))
	for i := range all {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a].Part, all[b].Part) })

	counted := make([]bool, len(all))
	for some := range slices.Chunk(order, aftersAtOnce) {
		answer, err := l.countAfter(ctx, r, all, some)
		if err != nil {
			return counted, fmt.Errorf("count what came back of run %s: %w", r.ID, err)
		}
		for k, i := range some {
			counted[i] = answer[k] == 1
		}
	}
	return counted, nil
}

// countAfter is CountAfter for those at some indexes, which are in the order of parts.
func (l *Ledger) countAfter(ctx context.Context, r *Run, all []After, some []int) ([]int64, error) {
	first := all[some[0]].Part
	keys := append(l.keys(r, first), l.afterKey(r), l.afterTextsKey(r), l.afterNotesKey(r))
	numbers := map[string]int{}
	number := func(key string) int {
		if numbers[key] == 0 {
			keys = append(keys, key)
			numbers[key] = len(keys)
		}
		return numbers[key]
	}

	args := []any{first, maxAfterTexts, maxAfterNotes}
	for _, i := range some {
		a := &all[i]
		cells := 0
		if _, _, ok := r.place(a.Part, a.Index); ok {
			cells = number(l.cellsKey(r, a.Part))
		} else if a.Person == "" {
			return nil, fmt.Errorf("run %s has no recipient %d/%d", r.ID, a.Part, a.Index)
		}
		args = append(args, a.Part, cells, number(l.markKey(r, a)), a.Index, a.Person, int(a.State), a.Reply.field(),
			string(a.Kind), a.figure(), oneLine(a.Text), a.note())
	}

	answer, err := l.run(ctx, l.script.after, keys, args...).Int64Slice()
	if err == nil && len(answer) != len(some) {
		err = fmt.Errorf("found %d answers, expected %d", len(answer), len(some))
	}
	return answer, err
}

// Left reports for each recipient whether a message of the run may have left to it: it
// is accepted, is or was uncertain, or is being sent.
func (l *Ledger) Left(ctx context.Context, r *Run, places []Place) ([]bool, error) {
	pipe := l.rdb.Pipeline()
	states := make([]*redis.StringCmd, len(places))
	bounced := make([]*redis.StringCmd, len(places)) // the byte with the recipient's bit
	for i, p := range places {
		at := int64(p.Index * cellSize)
		states[i] = pipe.GetRange(ctx, l.cellsKey(r, p.Part), at, at)
		of := int64(p.Index / 8)
		bounced[i] = pipe.GetRange(ctx, l.bitsKey(r, campaign.EventBounced, p.Part), of, of)
	}

	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read states of run %s: %w", r.ID, err)
	}

	left := make([]bool, len(places))
	for i, p := range places {
		if states[i].Val() == "" {
			continue
		}
		switch campaign.State(states[i].Val()[0]) {
		case campaign.Accepted, campaign.Uncertain, campaign.Sending:
			left[i] = true
		case campaign.Bounced: // it was uncertain where the bounce came later
			bits := bounced[i].Val()
			left[i] = bits != "" && bits[0]>>(7-p.Index%8)&1 == 1
		}
	}
	return left, nil
}
