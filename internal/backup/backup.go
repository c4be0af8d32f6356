package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/store"
	"broadside/internal/subscribe"
	"broadside/scheduler"
)

// An Installation is what a backup is made of, and restored into.
type Installation struct {
	Namespace   string
	Store       *store.Store
	Suppression *suppression.Store
	Subscribers *subscribe.Store
	Lists       *audience.Lists
	Ledger      *ledger.Ledger // knows the topics
	Schedules   *scheduler.Schedules

	// Import adds rows to a list, if Redis has room for them.
	Import func(ctx context.Context, list string, rows *audience.Reader, o audience.ImportOptions) (audience.Imported, error)
}

// Write writes everything that campaign files and configuration do not have:
// suppressions, topics, proofs of subscriptions, lists (the newest version; empty ones are
// left out) and schedules that are still to come, with their files. Other processes may write
// in the meantime: what is there throughout is in the backup, each list as it was at one
// moment.
func (i *Installation) Write(ctx context.Context, w io.Writer) (Counts, error) {
	var counts Counts
	err := i.Store.OneServer(ctx, func() error {
		b, err := NewWriter(w, Header{Namespace: i.Namespace, Created: time.Now().Truncate(time.Millisecond)})
		if err != nil {
			return err
		}
		for _, write := range []func(context.Context, *Writer) error{i.writeSuppressions, i.writeProofs, i.writeLists, i.writeSchedules} {
			if err := write(ctx, b); err != nil {
				return err
			}
		}
		counts, err = b.Close()
		return err
	})
	return counts, err
}

// ExportSuppressions writes the suppression list as CSV; hashed, without addresses.
func (i *Installation) ExportSuppressions(ctx context.Context, w io.Writer, hashed bool) error {
	return i.Store.OneServer(ctx, func() error {
		_, err := i.Suppression.Export(ctx, w, hashed)
		return err
	})
}

func (i *Installation) writeSuppressions(ctx context.Context, b *Writer) error {
	if err := i.Suppression.Each(ctx, func(e suppression.Entry) error { return b.Suppression(e) }); err != nil {
		return fmt.Errorf("back up suppressions: %w", err)
	}

	topics, err := i.Ledger.Topics(ctx)
	if err != nil {
		return err
	}

	slices.Sort(topics)
	for _, t := range topics {
		if err := b.Topic(t); err != nil {
			return err
		}
	}

	return nil
}

// writeProofs writes the proofs of subscriptions. It comes before the lists: see
// [subscribe.Store.Each].
func (i *Installation) writeProofs(ctx context.Context, b *Writer) error {
	texts, err := i.Subscribers.Texts(ctx)
	if err != nil {
		return err
	}
	for _, version := range slices.Sorted(maps.Keys(texts)) {
		if err := b.Text(Text{version, texts[version]}); err != nil {
			return err
		}
	}
	if err := i.Subscribers.Each(ctx, b.Proof); err != nil {
		return fmt.Errorf("back up proofs of subscriptions: %w", err)
	}
	return nil
}

func (i *Installation) writeLists(ctx context.Context, b *Writer) error {
	lists, err := i.Lists.Ls(ctx)
	if err != nil {
		return err
	}

	for _, l := range lists {
		if l.Count == 0 {
			continue
		}
		r, err := i.Lists.Open(ctx, l.Name, audience.Options{})
		if errors.Is(err, audience.ErrNoList) {
			continue // it was removed after the names were read
		}
		if err != nil {
			return err
		}
		if err := writeList(b, l.Name, r); err != nil {
			return err
		}
	}
	return nil
}

func writeList(b *Writer, name string, r *audience.Reader) error {
	defer r.Close() //nolint:errcheck // only read
	if err := b.List(name, r.Columns()); err != nil {
		return err
	}

	var row audience.Row
	for {
		err := r.Next(&row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("back up list %s: %w", name, err)
		}
		if err := b.Row(row.Values); err != nil {
			return err
		}
	}
}

func (i *Installation) writeSchedules(ctx context.Context, b *Writer) error {
	all, err := i.Schedules.List(ctx)
	if err != nil {
		return err
	}

	for _, e := range all {
		if e.Broken != nil {
			return e.Broken // a backup without it would look whole
		}
		if e.Done() {
			continue
		}
		if err := i.writeSchedule(ctx, b, &e.Schedule); err != nil {
			return fmt.Errorf("back up schedule %s: %w", e.ID, err)
		}
	}
	return nil
}

func (i *Installation) writeSchedule(ctx context.Context, b *Writer, s *scheduler.Schedule) error {
	if err := b.Schedule(s); err != nil {
		return err
	}

	for _, f := range s.Files {
		r, err := i.Schedules.Open(ctx, s, f.Key)
		if err != nil {
			return err
		}
		err = b.File(File{Key: f.Key, Size: f.Size, Sum: f.Sum}, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}
