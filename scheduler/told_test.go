package scheduler

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/testkit"
)

// TestARunThatIsOverIsOnTheListOfThoseToBeTold looks at the list when the run is not
// active any more: an end that no one is to be told of is on no list.
func TestARunThatIsOverIsOnTheListOfThoseToBeTold(t *testing.T) {
	for _, told := range []bool{true, false} {
		stores(t, func(t *testing.T, l *ledger.Ledger) {
			run := makeRun(t, l, 1)
			if _, err := l.Line(nil, nil).Refuse(t.Context(), ledger.Ref{Run: run}, ledger.Outcome{State: campaign.Failed}); err != nil {
				t.Fatal(err)
			}
			f := newTestFeeder(l, newRecorder(), isOpen)
			f.cfg.Told = told
			runFeeder(t, f)

			active := []string{"not read yet"}
			for range testkit.Tries(20 * time.Second) {
				var err error
				if active, err = l.Active(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(active) == 0 {
					break
				}
			}
			untold, err := l.Untold(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(active) > 0 || (len(untold) == 1) != told {
				t.Errorf("told %v: active %v, to be told %v", told, active, untold)
			}
		})
	}
}
