package suppression

import (
	"context"
	_ "embed"
	"fmt"
)

//go:embed undo.lua
var undoSource string

// Undo takes one entry off the list in its scope, and reports whether it did. The
// entry is one that [Store.Check] has returned: when another one stands in its place
// by now, that one stays. Only an unsubscribe can be undone: the reader who takes it
// back is the one who said it. That it was taken off is noted, as Rm does.
func (s *Store) Undo(ctx context.Context, e Entry) (bool, error) {
	if e.Reason != ReasonUnsubscribe {
		return false, fmt.Errorf("undo suppression: found the reason %q, expected %q: take others off with suppression rm", e.Reason, ReasonUnsubscribe)
	}

	e, err := e.complete(s.now())
	if err != nil {
		return false, fmt.Errorf("undo suppression: %w", err)
	}
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return false, fmt.Errorf("undo suppression: ask redis for the time: %w", err)
	}

	head, tail, _ := e.short()
	referred := e
	if e.Run != "" {
		referred.Run = refOf(e.Run)
	}
	_, withRef, _ := referred.short()
	done, err := s.undo.Run(ctx, s.rdb, []string{s.shardKey(shardOf(e.key()))},
		now.UnixMilli(), field(e.key(), e.topic()), e.At.UnixMilli(), e.Reason, e.Source, e.Run, head, tail, referred.Run, withRef).Bool()
	if err != nil {
		return false, fmt.Errorf("undo suppression: %w", err)
	}

	return done, nil
}
