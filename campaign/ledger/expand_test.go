package ledger

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

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

		first := expansion(t, l, "news-1")
		second := expansion(t, l, "news-1")
		all := []string{"cells:0", "cells:3", "chunks", "content", "rejects"}
		if diff := cmp.Diff(all, keysOf(t, l, first)); diff != "" {
			t.Fatalf("keys of an expansion (-want +got):\n%s", diff)
		}
		if err := second.Ready(t.Context(), campaign.Skipped{}); err != nil {
			t.Fatalf("ready: %v", err)
		}

		for _, e := range []*Expansion{first, second, first} {
			if gone, err := e.Discard(t.Context()); err != nil || gone != (e != second) {
				t.Fatalf("discard: got %v, %v", gone, err)
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

// A loss loses questions to Redis or its answers, by the script that is called.
type loss struct {
	redis.Hook
	questions, answers []*redis.Script
}

func (x *loss) DialHook(next redis.DialHook) redis.DialHook { return next }

func (x *loss) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (x *loss) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	of := func(scripts []*redis.Script, cmd redis.Cmder) bool {
		return len(cmd.Args()) > 1 && slices.ContainsFunc(scripts, func(s *redis.Script) bool { return cmd.Args()[1] == s.Hash() })
	}
	return func(ctx context.Context, cmd redis.Cmder) error {
		if of(x.questions, cmd) {
			cmd.SetErr(io.EOF)
			return io.EOF
		}

		err := next(ctx, cmd)
		if err == nil && of(x.answers, cmd) {
			cmd.SetErr(io.EOF)
			return io.EOF
		}

		return err
	}
}

// TestReadyFindsOutWhatBecameOfALostAnswer: an answer that did not come is not
// taken for a no, and what is taken for a no cannot become a yes.
func TestReadyFindsOutWhatBecameOfALostAnswer(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		for _, tt := range []struct {
			name  string
			loss  loss
			err   error // nil: it is ready
			state campaign.RunState
			sure  bool
		}{
			{"answer", loss{answers: []*redis.Script{l.script.ready}}, nil, campaign.Running, true},
			{"question", loss{questions: []*redis.Script{l.script.ready}}, io.EOF, campaign.Expanding, true},
			{"question-and-more", loss{questions: []*redis.Script{l.script.ready, l.script.discard}}, io.EOF, campaign.Expanding, false},
			{"answer-and-more", loss{answers: []*redis.Script{l.script.ready}, questions: []*redis.Script{l.script.discard}}, io.EOF, campaign.Running, false},
		} {
			run := "news-" + tt.name
			ctx := t.Context()
			if made, err := l.Create(ctx, NewRun{ID: run, Campaign: "news", Created: time.Now(), MaxAttempts: 3, ExpiresAfter: time.Hour}); err != nil || !made {
				t.Fatalf("create: %v, %v", made, err)
			}
			for _, script := range slices.Concat(tt.loss.questions, tt.loss.answers) { // else it is sent as text
				if err := script.Load(ctx, l.rdb).Err(); err != nil {
					t.Fatalf("load: %v", err)
				}
			}

			e := expansion(t, l, run)
			client := redis.NewClient(l.rdb.(*redis.Client).Options())
			defer client.Close()
			client.AddHook(&tt.loss)
			lossy := *l
			lossy.rdb, e.l = client, &lossy
			err := e.Ready(ctx, campaign.Skipped{})
			_, unsure := errors.AsType[*UnsureError](err)
			if !errors.Is(err, tt.err) || unsure == tt.sure {
				t.Errorf("%s lost: got %v, want %v, sure %v", tt.name, err, tt.err, tt.sure)
			}

			if rec, err := l.Record(ctx, run); err != nil || rec.State != tt.state {
				t.Errorf("%s lost: run is %+v, %v; want it %s", tt.name, rec, err, tt.state)
			}
			if tt.err != nil && tt.sure {
				e.l = l
				if err := e.Ready(ctx, campaign.Skipped{}); !errors.Is(err, errNotReady) {
					t.Errorf("%s lost: afterwards it can be made ready: %v", tt.name, err)
				}
			}
		}
	})
}
