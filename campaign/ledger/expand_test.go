package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

// expansion writes two recipients of a run, which is not ready.
func expansion(t *testing.T, l *Ledger, id string) *Expansion {
	t.Helper()
	e := l.Expand(id)
	for _, err := range []error{
		e.Content(t.Context(), campaign.Snapshot{Campaign: "news"}),
		e.Add(t.Context(), Chunk{Part: 0, Data: []byte("x"), Suppressed: []bool{false}}, Chunk{Part: 3, Data: []byte("x"), Suppressed: []bool{true}}),
		e.Rejects(t.Context(), []byte("[]")),
	} {
		if err != nil {
			t.Fatalf("expand: %v", err)
		}
	}
	return e
}

// keysOf returns the keys of an attempt, without what they have in common.
func keysOf(t *testing.T, l *Ledger, e *Expansion) []string {
	t.Helper()
	keys, err := l.rdb.Keys(t.Context(), e.key("*")).Result()
	if err != nil {
		t.Fatalf("list keys: %v", err)
	}
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, e.key(""))
	}
	slices.Sort(keys)
	return keys
}

func TestDiscardLeavesOnlyTheExpansionThatWon(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		made, err := l.Create(t.Context(), NewRun{ID: "news-1", Campaign: "news", Created: time.Now(), Retry: []time.Duration{time.Hour}, MaxAttempts: 3, ExpiresAfter: time.Hour})
		if err != nil || !made {
			t.Fatalf("create: %v, %v", made, err)
		}
		first, second := expansion(t, l, "news-1"), expansion(t, l, "news-1")
		all := []string{"cells:0", "cells:3", "chunks", "content", "rejects"}
		if diff := cmp.Diff(all, keysOf(t, l, first)); diff != "" {
			t.Fatalf("keys of an expansion (-want +got):\n%s", diff)
		}
		if err := second.Ready(t.Context(), campaign.Skipped{}); err != nil {
			t.Fatalf("ready: %v", err)
		}
		for _, e := range []*Expansion{first, second, first} {
			if err := e.Discard(t.Context()); err != nil {
				t.Fatalf("discard: %v", err)
			}
		}
		if got := keysOf(t, l, first); len(got) > 0 {
			t.Errorf("left of the one that lost: %v", got)
		}
		if diff := cmp.Diff(all, keysOf(t, l, second)); diff != "" {
			t.Errorf("keys of the one that won (-want +got):\n%s", diff)
		}
	})
}
