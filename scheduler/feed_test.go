package scheduler

import (
	"context"
	"testing"
)

// A time at which there is nothing to send is recorded as skipped, with the reason, and the
// schedule goes on.
func TestATimeWithNothingToSendIsSkipped(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		put(t, s, "digest", Timing{Cron: "@every 1s"})
		stop := firing(t, s, func(context.Context, Firing, func(context.Context) error) (Made, error) {
			return Made{Skipped: "nothing new"}, nil
		})
		e, err := s.Get(t.Context(), "digest")
		if err != nil {
			t.Fatal(err)
		}
		first := e.Next
		until(t, s, "digest", func(e *Entry) bool { return e.Next.After(first.Add(1)) })
		stop()
		all := history(t, s, "digest")
		if len(all) == 0 {
			t.Fatal("nothing is recorded")
		}
		for _, o := range all {
			if o.Outcome != Skipped || o.Reason != "nothing new" || o.Run != "" {
				t.Errorf("recorded %+v", o)
			}
		}
		if e, err = s.Get(t.Context(), "digest"); err != nil || e.Fired+e.Failed+e.Missed != 0 || e.LastRun != "" {
			t.Errorf("schedule %+v, error %v", e, err)
		}
	})
}
