package web

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"broadside/campaign/suppression"
)

type acceptor struct{ Suppressor }

func (acceptor) AddLasting(context.Context, suppression.Barrier, ...suppression.Entry) (suppression.Noted, error) {
	return suppression.Noted{Added: 1, Lasting: true}, nil
}

// What can be added again is bounded, and the log says once that some cannot.
func TestTheOldestUnsubscribesAreDroppedAloud(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	k := newKeeper(acceptor{}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	for n := range keepMost + 3 {
		entry := suppression.Entry{Address: fmt.Sprintf("ada%d@example.org", n)}
		if noted, err := k.note(t.Context(), entry); err != nil || !noted.added {
			t.Fatalf("note: %+v, %v", noted, err)
		}
		if n == keepMost-1 && log.Len() > 0 {
			t.Fatalf("logged before it was full: %s", &log)
		}
	}
	if k.kept.Len() != keepMost || len(k.byKey) != keepMost || strings.Count(log.String(), "the oldest are in redis alone") != 1 {
		t.Errorf("%d are kept, log %q; want %d and one line", k.kept.Len(), &log, keepMost)
	}
}
