package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/internal/backup"
	"broadside/scheduler"
)

// Backup writes everything that campaign files and configuration do not have:
// suppressions, topics, lists (the newest version; empty ones are left out) and
// schedules that are still to come, with their files. Others may write
// meanwhile: what is there throughout is in the backup, each list as it was at
// one moment.
func (a *App) Backup(ctx context.Context, w io.Writer) (backup.Counts, error) {
	var counts backup.Counts
	err := a.onOneServer(ctx, func() error {
		b, err := backup.NewWriter(w, backup.Header{Namespace: a.Config.Namespace, Created: time.Now().Truncate(time.Millisecond)})
		if err != nil {
			return err
		}
		for _, part := range []func(context.Context, *backup.Writer) error{a.backUpSuppressions, a.backUpLists, a.backUpSchedules} {
			if err := part(ctx, b); err != nil {
				return err
			}
		}
		counts, err = b.Close()
		return err
	})
	return counts, err
}

// ExportSuppressions writes the suppression list as CSV.
func (a *App) ExportSuppressions(ctx context.Context, w io.Writer) error {
	return a.onOneServer(ctx, func() error {
		_, err := a.Suppression.Export(ctx, w)
		return err
	})
}

// onOneServer does what must read one and the same server from beginning to
// end: where another one takes over, an iteration passes over some of what it
// has not met yet.
func (a *App) onOneServer(ctx context.Context, read func() error) error {
	before, err := a.store.RunID(ctx)
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return err
	}
	after, err := a.store.RunID(ctx)
	if err == nil && after != before {
		err = errors.New("redis was restarted or replaced meanwhile, and something may be missing: do it again")
	}
	return err
}

func (a *App) backUpSuppressions(ctx context.Context, b *backup.Writer) error {
	if err := a.Suppression.Each(ctx, func(e suppression.Entry) error { return b.Suppression(e) }); err != nil {
		return fmt.Errorf("back up suppressions: %w", err)
	}
	topics, err := a.Ledger.Topics(ctx)
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

func (a *App) backUpLists(ctx context.Context, b *backup.Writer) error {
	lists, err := a.Lists.Ls(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Count == 0 {
			continue
		}
		r, err := a.Lists.Open(ctx, l.Name, audience.Options{})
		if errors.Is(err, audience.ErrNoList) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		if err := backUpList(b, l.Name, r); err != nil {
			return err
		}
	}
	return nil
}

func backUpList(b *backup.Writer, name string, r *audience.Reader) error {
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

func (a *App) backUpSchedules(ctx context.Context, b *backup.Writer) error {
	all, err := a.schedules.List(ctx)
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
		if err := a.backUpSchedule(ctx, b, &e.Schedule); err != nil {
			return fmt.Errorf("back up schedule %s: %w", e.ID, err)
		}
	}
	return nil
}

func (a *App) backUpSchedule(ctx context.Context, b *backup.Writer, s *scheduler.Schedule) error {
	if err := b.Schedule(s); err != nil {
		return err
	}
	for _, f := range s.Files {
		r, err := a.schedules.Open(ctx, s, f.Key)
		if err != nil {
			return err
		}
		err = b.File(backup.File{Key: f.Key, Size: f.Size, Sum: f.Sum}, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}
