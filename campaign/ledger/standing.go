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

// A Standing is how one recipient of a run stands.
type Standing struct {
	Cell
	Claimed time.Time  // when the claim was made that is held now; zero: none is
	Last    *LastReply // the last reply, unless it is that of an acceptance; nil: none is kept
}

// Standing reads how one recipient stands. The reply by which a message was accepted is
// in Receipts. The error wraps ErrNoRun when the run has no such recipient any more.
func (l *Ledger) Standing(ctx context.Context, r *Run, at Place) (Standing, error) {
	field := placeField(at)
	from := int64(at.Index * cellSize)
	pipe := l.rdb.Pipeline()
	cell := pipe.GetRange(ctx, l.cellsKey(r, at.Part), from, from+cellSize-1)
	reply := pipe.HMGet(ctx, l.runKey(r.ID, "replies"), field) // unlike HGET it is no error when there is none
	claim := pipe.HMGet(ctx, l.runKey(r.ID, "claims"), field)
	if _, err := pipe.Exec(ctx); err != nil {
		return Standing{}, fmt.Errorf("read a recipient of run %s: %w", r.ID, err)
	}
	if len(cell.Val()) < cellSize {
		return Standing{}, fmt.Errorf("%w: cell of %s", ErrNoRun, Ref{r, at.Part, at.Index})
	}

	s := Standing{Cell: parseCells(cell.Val())[0]}
	if last, ok := parseLastReply(textOf(reply)); ok {
		s.Last = &last
	}
	if f := strings.Fields(textOf(claim)); len(f) == 3 { // token, attempt, time
		s.Claimed = fromMillis(f[2])
	}
	return s, nil
}

// textOf returns the only value that was asked for; empty when there is none.
func textOf(cmd *redis.SliceCmd) string {
	values := cmd.Val()
	if len(values) != 1 {
		return ""
	}
	text, _ := values[0].(string)
	return text
}

func placeField(at Place) string { return strconv.Itoa(at.Part) + ":" + strconv.Itoa(at.Index) }

// A Returned is something that came back about one recipient of a run.
type Returned struct {
	Kind    campaign.EventKind
	At      time.Time // zero: it is not known, as are the others below
	Source  string    // the road by which it came
	Account string    // that the message went by
	Status  string    // enhanced status code
	Said    string    // what was said, without addresses
}

// Returned reads what came back about one recipient, one of each kind, the first that
// came. The recipient is named by place, or by the name of After.Person, or by both: an
// index of -1 is no place, an empty name is none.
func (l *Ledger) Returned(ctx context.Context, r *Run, at Place, person string) ([]Returned, error) {
	pipe := l.rdb.Pipeline()
	asked := make([]askedKind, len(campaign.EventKinds))
	for i, kind := range campaign.EventKinds {
		asked[i] = l.askKind(ctx, pipe, r, kind, at, person)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read what came back of run %s: %w", r.ID, err)
	}

	var all []Returned
	for i, kind := range campaign.EventKinds {
		if got, ok := asked[i].read(kind, at); ok {
			all = append(all, got)
		}
	}
	slices.SortStableFunc(all, func(a, b Returned) int { return a.At.Compare(b.At) })
	return all, nil
}

// An askedKind is what was asked about one kind.
type askedKind struct {
	byPlace  *redis.StringCmd // the byte of bits that has the recipient's; nil: not asked
	byPerson *redis.BoolCmd   // nil: not asked
	notes    *redis.SliceCmd
}

func (l *Ledger) askKind(ctx context.Context, pipe redis.Pipeliner, r *Run, kind campaign.EventKind, at Place, person string) askedKind {
	var a askedKind
	var fields []string
	if at.Index >= 0 {
		of := int64(at.Index / 8)
		a.byPlace = pipe.GetRange(ctx, l.bitsKey(r, kind, at.Part), of, of)
		fields = append(fields, noteField(kind, placeField(at)))
	}
	if person != "" {
		a.byPerson = pipe.SIsMember(ctx, l.markKey(r, &After{Kind: kind, Person: person}), person)
		fields = append(fields, noteField(kind, person))
	}
	if len(fields) > 0 {
		a.notes = pipe.HMGet(ctx, l.afterNotesKey(r), fields...)
	}
	return a
}

// read returns what came back; false when nothing did.
func (a *askedKind) read(kind campaign.EventKind, at Place) (Returned, bool) {
	marked := false
	if a.byPlace != nil {
		bits := a.byPlace.Val()
		marked = bits != "" && bits[0]>>(7-at.Index%8)&1 == 1
	}
	if a.byPerson != nil {
		marked = marked || a.byPerson.Val()
	}
	if !marked {
		return Returned{}, false
	}

	got := Returned{Kind: kind}
	for _, v := range a.notes.Val() {
		text, _ := v.(string)
		if f := strings.SplitN(text, "\t", 5); len(f) == 5 {
			got.At = fromMillis(f[0])
			got.Source = f[1]
			got.Account = f[2]
			got.Status = f[3]
			got.Said = f[4]
			break
		}
	}
	return got, true
}
