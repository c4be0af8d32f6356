package web

import (
	"bytes"
	"context"
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
	k := &keeper{list: acceptor{}, log: slog.New(slog.NewTextHandler(&log, nil))}
	for n := range keepMost + 3 {
		if isNew, err := k.note(t.Context(), suppression.Entry{Address: "ada@example.org"}); err != nil || !isNew {
			t.Fatalf("note: %v, %v", isNew, err)
		}
		if n == keepMost-1 && log.Len() > 0 {
			t.Fatalf("logged before it was full: %s", &log)
		}
	}
	if len(k.kept) != keepMost || strings.Count(log.String(), "the oldest are in redis alone") != 1 {
		t.Errorf("%d are kept, log %q; want %d and one line", len(k.kept), &log, keepMost)
	}
}
