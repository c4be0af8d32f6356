package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// A Watch is what the guards of a run remember. It stands in the run's record,
// so that it outlives the worker that feeds the run.
type Watch struct {
	// Base holds the counts at the moment when the run was resumed after a guard had
	// paused it: the guards count from there.
	Base campaign.Sample
	// CanarySettled is when the last recipient of the canary had an answer,
	// CanaryOver when the others were released; zero until then.
	CanarySettled, CanaryOver time.Time
}

// Canary reports whether the run still waits for its first recipients.
func (r *Record) Canary() bool {
	return r.Guard.Canary > 0 && int64(r.Guard.Canary) < r.Total() && r.Watch.CanaryOver.IsZero()
}

// CanaryEnds returns when the other recipients are released; the zero time when
// that is not known yet.
func (r *Record) CanaryEnds() time.Time {
	if r.Watch.CanarySettled.IsZero() {
		return time.Time{}
	}
	return r.Watch.CanarySettled.Add(r.Guard.CanaryWait)
}

// Sample returns what the guards look at.
func (t *Tally) Sample() campaign.Sample {
	s := campaign.Sample{
		Accepted: t.Counts[campaign.Accepted], Bounced: t.Counts[campaign.Bounced], Failed: t.Counts[campaign.Failed],
		Uncertain: t.Counts[campaign.Uncertain], Deferred: t.Counts[campaign.Deferred], Complained: t.After[campaign.EventComplained],
	}

	for part, n := range t.Complained {
		if part < 0 || part >= len(campaign.Providers) {
			continue
		}
		if s.At == nil {
			s.At = map[campaign.Provider]campaign.SampleAt{}
		}
		s.At[campaign.Providers[part]] = campaign.SampleAt{Accepted: t.Parts[part][campaign.Accepted], Complained: n}
	}
	return s
}

// PauseFor pauses a run that is running, and reports whether it was: another
// process may have paused it first.
func (l *Ledger) PauseFor(ctx context.Context, id string, code codes.Code, why string) (bool, error) {
	before, err := l.Turn(ctx, id, campaign.Paused, code.Reason("%s", why), campaign.Running)
	return err == nil && before == campaign.Running, err
}

// Reopen undoes the failures for which a guard has stopped the run: the recipients
// of a part become pending again, and the attempt is not counted. It returns how
// many it reopened; none in a run that is over.
func (l *Ledger) Reopen(ctx context.Context, run *Run, part int, indexes []int) (int, error) {
	args := make([]any, 0, len(indexes)+1)
	args = append(args, part)
	for _, i := range indexes {
		args = append(args, i)
	}

	n, err := l.run(ctx, l.script.reopen, l.keys(run, part), args...).Int()
	if err != nil {
		return 0, fmt.Errorf("reopen %d recipients of run %s: %w", len(indexes), run.ID, err)
	}

	return n, nil
}

// NoteBase lets the guards of a run count from here.
func (l *Ledger) NoteBase(ctx context.Context, id string, base campaign.Sample) error {
	return l.note(ctx, id, "base", encode(base))
}

// NoteCanarySettled notes when the last recipient of the canary had an answer.
func (l *Ledger) NoteCanarySettled(ctx context.Context, id string, at time.Time) error {
	return l.note(ctx, id, "canary_settled", at.UnixMilli())
}

// NoteCanaryOver releases the other recipients of a run.
func (l *Ledger) NoteCanaryOver(ctx context.Context, id string, at time.Time) error {
	return l.note(ctx, id, "canary_over", at.UnixMilli())
}

// NoteFinished ends a cancelled run whose counts say that recipients are left while
// its cells say that none is.
func (l *Ledger) NoteFinished(ctx context.Context, id string, at time.Time) error {
	return l.note(ctx, id, "finished", at.UnixMilli())
}

// note writes one field of the record of a run; ErrNoRun when there is none.
func (l *Ledger) note(ctx context.Context, id, field string, value any) error {
	n, err := l.run(ctx, l.script.note, []string{l.runKey(id, "record")}, field, value).Int()
	if err != nil {
		return fmt.Errorf("note %s of run %s: %w", field, id, err)
	}
	if n == 0 {
		return fmt.Errorf("%w: %s", ErrNoRun, id)
	}
	return nil
}

// encode returns a plain value as a field of the record.
func encode(v any) string {
	b, _ := json.Marshal(v) // numbers and text only: cannot fail
	return string(b)
}

// readGuard fills in the guards' fields of the record. A record that an older
// version wrote has none of them.
func (r *Record) readGuard(m map[string]string) {
	_ = json.Unmarshal([]byte(m["guard"]), &r.Guard) // absent: no guard
	_ = json.Unmarshal([]byte(m["base"]), &r.Watch.Base)
	r.Watch.CanarySettled = fromMillis(m["canary_settled"])
	r.Watch.CanaryOver = fromMillis(m["canary_over"])
}
