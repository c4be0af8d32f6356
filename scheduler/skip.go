package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// skipLife is how long a skip is kept after the time that is skipped: longer than that may
// be late, of which the most is max_lateness, 30 days, and the clocks of recipients.
const skipLife = 33 * 24 * time.Hour

func (s *Schedules) skipKey(id string, at time.Time) string {
	return s.key("skip:" + id + ":" + strconv.FormatInt(at.UnixMilli(), 10))
}

// Skip has one time of a schedule left out: when it comes no run is made of it.
func (s *Schedules) Skip(ctx context.Context, id string, at time.Time) error {
	now, err := s.Now(ctx)
	if err == nil {
		err = s.rdb.Set(ctx, s.skipKey(id, at), "1", at.Sub(now)+skipLife).Err()
	}
	if err != nil {
		return fmt.Errorf("skip a time of %s: %w", id, err)
	}
	return nil
}

// Unskip takes a skip back. It reports whether there was one.
func (s *Schedules) Unskip(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.rdb.Del(ctx, s.skipKey(id, at)).Result()
	if err != nil {
		return false, fmt.Errorf("take back the skip of a time of %s: %w", id, err)
	}
	return n == 1, nil
}

// Skipped reports for each time of a schedule whether it is left out.
func (s *Schedules) Skipped(ctx context.Context, id string, times ...time.Time) ([]bool, error) {
	skipped := make([]bool, len(times))
	for i, at := range times {
		n, err := s.rdb.Exists(ctx, s.skipKey(id, at)).Result()
		if err != nil {
			return nil, fmt.Errorf("read which times of %s are skipped: %w", id, err)
		}
		skipped[i] = n == 1
	}
	return skipped, nil
}

// skip records an occurrence that is left out.
func (f *Firer) skip(ctx context.Context, o Firing, log *slog.Logger) error {
	next, err := o.Timing.Next(o.Occurrence)
	if err != nil {
		return err
	}
	kept, err := f.schedules.record(ctx, o, Occurrence{At: o.Occurrence, Outcome: Skipped}, next)
	if kept {
		log.Info("occurrence skipped, nothing was sent")
	}
	return err
}
