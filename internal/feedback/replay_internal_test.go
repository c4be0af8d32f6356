package feedback

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
)

type acceptor struct{ Suppressor }

func (acceptor) AddLasting(context.Context, suppression.Barrier, ...suppression.Entry) (suppression.Noted, error) {
	return suppression.Noted{Added: 1, Lasting: true}, nil
}

// noRuns is a ledger without runs.
type noRuns struct{ Ledger }

func (noRuns) Record(context.Context, string) (*ledger.Record, error) { return nil, ledger.ErrNoRun }

func (acceptor) ConfirmReturns(_ context.Context, _ []int, returns []suppression.Return) ([]bool, error) {
	return make([]bool, len(returns)), nil
}

func (acceptor) CountReturns(_ context.Context, _ suppression.SoftLimit, all []suppression.Return) ([]bool, error) {
	return make([]bool, len(all)), nil
}

// What can be added again is bounded, and the log says once that some cannot.
func TestForgettingTheOldestIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := New(Config{Suppression: acceptor{}, Ledger: noRuns{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	const line = "the oldest are in redis alone"
	for n := range keepMost + 3 {
		event := campaign.Event{Kind: campaign.EventUnsubscribed, Recipient: fmt.Sprintf("ada%d@example.org", n)}
		if err := r.Apply(t.Context(), event); err != nil {
			t.Fatalf("Apply: %v", err)
		}
		if n == keepMost-1 && strings.Contains(log.String(), line) {
			t.Fatalf("logged before it was full: %s", &log)
		}
	}

	if got := r.replayer.recent.Len(); got != keepMost || len(r.replayer.byKey) != keepMost {
		t.Errorf("%d are remembered under %d keys, want %d", got, len(r.replayer.byKey), keepMost)
	}

	if n := strings.Count(log.String(), line); n != 1 {
		t.Errorf("logged %d times that the oldest were forgotten, want once", n)
	}
}
