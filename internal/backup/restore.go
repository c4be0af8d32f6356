package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/internal/failure"
	"broadside/internal/subscribe"
	"broadside/scheduler"
)

// Restored says what a backup added to what there was. Nothing that was there
// is changed or removed.
type Restored struct {
	Header       Header
	Suppressions Merged
	Topics       Merged
	Proofs       Merged // of subscriptions
	Lists        []RestoredList
	Schedules    []RestoredSchedule
}

// Merged counts what was added, and what was there before and stayed as it is.
type Merged struct {
	Added int64 `json:"added"`
	Kept  int64 `json:"kept"`
}

// A RestoredList says how many people a list has got from a
type RestoredList struct {
	Name string `json:"list"`
	Merged
	Total int64 `json:"total"` // recipients in the list now
}

// A RestoredSchedule says what became of a schedule.
type RestoredSchedule struct {
	ID    string
	State string    // ScheduleAdded, ...
	Next  time.Time // when it is added
}

// States of a RestoredSchedule.
const (
	ScheduleAdded = "added"
	ScheduleKept  = "kept" // there is one of that id
	SchedulePast  = "past" // it has no time left to come
)

// Restore merges a backup into what there is. The file is read twice: nothing
// is written before all of it was found to be whole. With dryRun nothing is
// written at all. Restoring again adds nothing, so that a restore which was
// interrupted can be repeated.
//
// Occurrences of a schedule between the backup and now are not made up for: whether
// they were sent is not known.
func (i *Installation) Restore(ctx context.Context, file io.ReadSeeker, name string, dryRun bool) (Restored, error) {
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return Restored{}, fmt.Errorf("%s cannot be read twice (write - for the standard input): %w", name, err)
	}

	if err := i.check(ctx, file, name); err != nil {
		return Restored{}, err
	}
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return Restored{}, fmt.Errorf("read %s again: %w", name, err)
	}

	b, err := NewReader(file, name)
	if err != nil {
		return Restored{}, unusable(err)
	}
	defer b.Close()
	r := &restorer{Installation: i, in: b, dry: dryRun, done: Restored{Header: b.Header(), Lists: []RestoredList{}, Schedules: []RestoredSchedule{}}}
	if err := r.run(ctx); err != nil {
		return r.done, unusable(err)
	}

	return r.done, nil
}

// unusable makes an error of the file one of the input.
func unusable(err error) error {
	var file *FileError
	if errors.As(err, &file) {
		return failure.New(failure.ErrInvalid, err.Error(), err)
	}
	return err
}

// check reads a backup to its end.
func (i *Installation) check(ctx context.Context, file io.Reader, name string) error {
	b, err := NewReader(file, name)
	if err != nil {
		return unusable(err)
	}
	defer b.Close()
	known := map[string]bool{} // names of lists in proofs
	for ctx.Err() == nil {
		rec, err := b.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unusable(err)
		case rec.Proof != nil && !known[rec.Proof.List]:
			known[rec.Proof.List] = true
			err = i.checkList(ctx, rec.Proof.List)
		case rec.List != nil:
			err = i.checkList(ctx, rec.List.Name)
		case rec.Schedule != nil:
			if _, err := scheduleOf(rec.Schedule); err != nil {
				return failure.Invalid(fmt.Sprintf("%s: %v", name, err))
			}
		}
		if err != nil {
			return err
		}
	}

	return context.Cause(ctx)
}

// checkList refuses what is no name for a list. The error may be one of Redis too.
func (i *Installation) checkList(ctx context.Context, name string) error {
	_, err := i.Lists.Show(ctx, name)
	if errors.Is(err, audience.ErrNoList) {
		return nil
	}
	return err
}

// scheduleOf reads a schedule of a
func scheduleOf(text json.RawMessage) (scheduler.Schedule, error) {
	var s scheduler.Schedule
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("not a schedule: %w", err)
	}
	if s.ID == "" {
		return s, errors.New("a schedule without an id")
	}
	if _, err := s.Timing.Next(time.Time{}); err != nil {
		return s, fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	return s, nil
}

// A restorer is the state of one Restore.
type restorer struct {
	*Installation
	in     *Reader
	dry    bool
	done   Restored
	wait   []suppression.Entry // read, and not added yet
	proofs []subscribe.Kept    // the same
}

// restoreBatch is how many suppressions, or proofs, are added at once.
const restoreBatch = 1000

func (r *restorer) run(ctx context.Context) error {
	for {
		rec, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			return r.addWaiting(ctx)
		}
		if err != nil {
			return err
		}
		if rec.Suppression != nil {
			r.wait = append(r.wait, *rec.Suppression)
		}
		if rec.Proof != nil {
			r.proofs = append(r.proofs, *rec.Proof)
		}
		if (rec.Suppression != nil || rec.Proof != nil) && len(r.wait) < restoreBatch && len(r.proofs) < restoreBatch {
			continue
		}
		if err := r.addWaiting(ctx); err != nil {
			return err
		}
		switch {
		case rec.Topic != "":
			err = r.topic(ctx, rec.Topic)
		case rec.Text != nil:
			err = r.text(ctx, *rec.Text)
		case rec.List != nil:
			err = r.list(ctx, rec.List)
		case rec.Schedule != nil:
			err = r.schedule(ctx, rec.Schedule)
		}
		if err != nil {
			return err
		}
	}
}

// addWaiting adds what was read and not added yet. Suppressions come first.
func (r *restorer) addWaiting(ctx context.Context) error {
	if err := r.addSuppressions(ctx); err != nil {
		return err
	}
	return r.addProofs(ctx)
}

// addProofs adds the proofs of those who have none.
func (r *restorer) addProofs(ctx context.Context) error {
	if len(r.proofs) == 0 {
		return nil
	}

	missing, err := r.Subscribers.Missing(ctx, r.proofs)
	if err != nil {
		return err
	}
	if !r.dry {
		if err := r.Subscribers.Keep(ctx, missing); err != nil {
			return err
		}
	}
	r.done.Proofs.Added += int64(len(missing))
	r.done.Proofs.Kept += int64(len(r.proofs) - len(missing))
	r.proofs = r.proofs[:0]
	return nil
}

func (r *restorer) text(ctx context.Context, t Text) error {
	if r.dry {
		return nil
	}
	return r.Subscribers.KeepTexts(ctx, map[string]string{t.Version: t.Words})
}

func (r *restorer) addSuppressions(ctx context.Context) error {
	if len(r.wait) == 0 {
		return nil
	}

	add := r.Suppression.Add
	if r.dry {
		add = r.Suppression.CountNew
	}

	n, err := add(ctx, r.wait...)
	r.done.Suppressions.Added += int64(n)
	if err != nil {
		return err
	}

	r.done.Suppressions.Kept += int64(len(r.wait) - n)
	r.wait = r.wait[:0]
	return nil
}

func (r *restorer) topic(ctx context.Context, name string) error {
	used, err := r.Ledger.TopicUsed(ctx, name)
	if err != nil {
		return err
	}

	if used {
		r.done.Topics.Kept++
		return nil
	}

	r.done.Topics.Added++
	if r.dry {
		return nil
	}

	return r.Ledger.UseTopic(ctx, name)
}

// list adds the recipients that are not on the list. Those that are on it keep
// their values.
func (r *restorer) list(ctx context.Context, l *List) error {
	rows := audience.FromRows("backup of "+r.done.Header.Created.Format(time.RFC3339), l.Columns, func(row *audience.Row) error {
		rec, err := r.in.Next()
		if err != nil {
			return err
		}
		if rec.Row == nil {
			r.in.Unread()
			return io.EOF
		}
		row.Line++
		row.Address, row.Values = rec.Address, append(row.Values[:0], rec.Row...)
		return nil
	})
	sum, err := r.Import(ctx, l.Name, rows, audience.ImportOptions{Mode: audience.Add, DryRun: r.dry})
	if err != nil {
		return fmt.Errorf("restore list %s: %w", l.Name, err)
	}

	r.done.Lists = append(r.done.Lists, RestoredList{l.Name, Merged{sum.Added, sum.Known + sum.Duplicate}, sum.Total})
	return nil
}

func (r *restorer) schedule(ctx context.Context, text json.RawMessage) error {
	s, err := scheduleOf(text)
	if err != nil {
		return err
	}

	done := RestoredSchedule{ID: s.ID}
	if done.State, done.Next, err = r.fate(ctx, &s); err != nil {
		return err
	}

	if done.State == ScheduleAdded && !r.dry {
		s.Version = scheduler.NewVersion()
		err = r.store(ctx, &s)
		if err != nil {
			r.Schedules.Discard(ctx, s.Version)
		}
		switch {
		case errors.Is(err, scheduler.ErrPast):
			done.State, done.Next = SchedulePast, time.Time{}
		case err != nil:
			return fmt.Errorf("restore schedule %s: %w", s.ID, err)
		}
	}

	r.done.Schedules = append(r.done.Schedules, done)
	return nil
}

// fate says what is to become of a schedule, and when it would be due.
func (r *restorer) fate(ctx context.Context, s *scheduler.Schedule) (state string, next time.Time, err error) {
	_, err = r.Schedules.Get(ctx, s.ID)
	if err == nil {
		return ScheduleKept, time.Time{}, nil
	}
	if !errors.Is(err, scheduler.ErrNoSchedule) {
		return "", time.Time{}, err
	}

	now, err := r.Schedules.Now(ctx)
	if err != nil {
		return "", time.Time{}, err
	}

	if next, err = s.Timing.Next(now); err != nil || next.IsZero() {
		return SchedulePast, time.Time{}, err
	}

	return ScheduleAdded, next, nil
}

// store stores a schedule with the files that follow in the
func (r *restorer) store(ctx context.Context, s *scheduler.Schedule) error {
	names := map[string]string{}
	for _, f := range s.Files {
		names[f.Key] = f.Name
	}

	s.Files = nil
	for {
		rec, err := r.in.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if rec.File == nil {
			r.in.Unread() // the end of it too
			break
		}
		staged, err := r.Schedules.Stage(ctx, s.Version, rec.File.Key, names[rec.File.Key], &contentReader{in: r.in})
		if err != nil {
			return err
		}
		s.Files = append(s.Files, staged)
	}

	_, err := r.Schedules.Put(ctx, *s)
	return err
}

// A contentReader reads the content of one file of a
type contentReader struct {
	in   *Reader
	rest []byte
}

func (c *contentReader) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		rec, err := c.in.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if rec.Data == nil {
			c.in.Unread()
			return 0, io.EOF
		}
		c.rest = rec.Data
	}

	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
