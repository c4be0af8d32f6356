package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A time that is left out makes no run, and the schedule goes on with the next one; a skip
// that was taken back changes nothing.
func TestASkippedTimeMakesNoRun(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		put(t, s, "often", Timing{Cron: "@every 1s"})
		e, err := s.Get(t.Context(), "often")
		if err != nil {
			t.Fatal(err)
		}
		skipped, kept := e.Next, e.Next.Add(time.Second)
		for _, at := range []time.Time{skipped, kept} {
			if err := s.Skip(t.Context(), "often", at); err != nil {
				t.Fatal(err)
			}
		}
		// A scheduler that comes back within max_lateness has to find it.
		if left, err := s.rdb.PTTL(t.Context(), s.skipKey("often", skipped)).Result(); err != nil || left < 32*24*time.Hour {
			t.Errorf("the skip is kept for %s, %v", left, err)
		}
		if was, err := s.Unskip(t.Context(), "often", kept); err != nil || !was {
			t.Errorf("take it back: %v, %v", was, err)
		}
		if was, err := s.Unskip(t.Context(), "often", kept); err != nil || was {
			t.Errorf("take it back twice: %v, %v", was, err)
		}
		got, err := s.Skipped(t.Context(), "often", skipped, kept)
		if err != nil || !cmp.Equal(got, []bool{true, false}) {
			t.Errorf("skipped: %v, %v", got, err)
		}

		r := &runs{made: map[string]int{}}
		stop := firing(t, s, r.make)
		until(t, s, "often", func(e *Entry) bool { return e.Fired >= 2 })
		stop()
		outcomes := map[string]string{}
		for _, o := range history(t, s, "often") {
			outcomes[o.At.Format(time.RFC3339)] = o.Outcome
		}
		if outcomes[skipped.Format(time.RFC3339)] != Skipped || outcomes[kept.Format(time.RFC3339)] != Fired {
			t.Errorf("%s was to be skipped and %s fired: %v", skipped, kept, outcomes)
		}
		if n := r.made[fmt.Sprint("often-", skipped.Unix())]; n != 0 {
			t.Errorf("its run was made %d times", n)
		}
	})
}
