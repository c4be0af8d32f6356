package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// breakages are the ways in which the record of a run may be no record.
var breakages = []struct {
	name   string
	record func(pipe redis.Pipeliner, key string)
	says   string
}{
	{"another type", func(p redis.Pipeliner, key string) {
		p.Del(context.Background(), key)
		p.Set(context.Background(), key, "text", 0)
	}, "another type of Redis value"},
	{"no time", func(p redis.Pipeliner, key string) { p.HDel(context.Background(), key, "created") }, "created"},
	{"a time that is none", func(p redis.Pipeliner, key string) { p.HSet(context.Background(), key, "created", "yesterday") }, `created: found "yesterday"`},
	{"no state", func(p redis.Pipeliner, key string) { p.HDel(context.Background(), key, "state") }, "state"},
	{"a state of another version", func(p redis.Pipeliner, key string) { p.HSet(context.Background(), key, "state", "resting") }, `state: found "resting"`},
	{"a provider of another version", func(p redis.Pipeliner, key string) { p.HSet(context.Background(), key, "parts", "0=4,99=1") }, "found number 99"},
	{"parts that are none", func(p redis.Pipeliner, key string) { p.HSet(context.Background(), key, "parts", "0") }, `parts: found "0"`},
	{"a negative part", func(p redis.Pipeliner, key string) { p.HSet(context.Background(), key, "parts", "0=-4") }, `parts: found "0=-4"`},
}

func TestBrokenRecordsAreNamed(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		for _, b := range breakages {
			id := "news-" + strings.ReplaceAll(b.name, " ", "-")
			newRun(t, l, id, 4)
			key := l.runKey(id, "record")
			if _, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { b.record(p, key); return nil }); err != nil {
				t.Fatal(err)
			}
			_, err := l.Record(ctx, id)
			if !campaign.IsBroken(err) || errors.Is(err, ErrNoRun) {
				t.Errorf("%s: got %v, want that it is broken", b.name, err)
				continue
			}

			for _, part := range []string{"BS-BROKEN-STATE: run " + id, b.says, key} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not contain %q", b.name, err, part)
				}
			}
		}

		ids, err := l.List(ctx, "")
		if err != nil || len(ids) != len(breakages) {
			t.Errorf("list: %d runs, %v, want %d", len(ids), err, len(breakages))
		}

		if err := l.Prune(ctx, time.Now().Add(time.Hour)); err != nil {
			t.Errorf("prune: %v", err)
		}
		if left, err := l.List(ctx, ""); err != nil || !slices.Equal(left, ids) {
			t.Errorf("after prune %d runs are listed, %v, want all of them: they are to be seen", len(left), err)
		}
	})
}

// A heartbeat that ends at a broken run would keep the worker from claiming,
// and from taking the dead off the list, for every run.
func TestWorkersLookAfterTheRunsBesideABrokenOne(t *testing.T) {
	for _, what := range []string{"record", "claims", "cells"} {
		t.Run(what, func(t *testing.T) {
			everywhere(t, func(t *testing.T, l *Ledger) {
				ctx := t.Context()
				bad := newRun(t, l, "a", 4)
				run := newRun(t, l, "b", 4)
				n := line(t, l)
				id := "one"
				m := member(t, l, &id)
				for _, r := range []*Run{bad, run} {
					e := m.Ask(Ref{r, 0, 0})
					if _, err := n.Claim(ctx, Ref{r, 0, 0}, e.Token, SuppressionKey{}); err != nil {
						t.Fatal(err)
					}
					m.journal.Open(e, 1)
					m.journal.Close(e, Outcome{State: campaign.Accepted}) // the settle was missed
				}

				key := l.runKey("a", what)
				if what == "cells" {
					key = l.cellsKey(bad, 0)
				}
				if err := l.rdb.Del(ctx, key).Err(); err != nil {
					t.Fatal(err)
				}
				if err := l.rdb.SAdd(ctx, key, "a set").Err(); err != nil {
					t.Fatal(err)
				}

				m.beaten = time.Time{}
				if err := m.tick(ctx); err != nil {
					t.Fatalf("heartbeat: %v", err)
				}

				cells, err := l.Page(ctx, run, 0, 0)
				if err != nil || cells[0].State != campaign.Accepted {
					t.Errorf("the claim of the other run: %v, %v, want that it is accepted", cells, err)
				}

				id = "two"
				if err := m.replay(ctx, id); err != nil {
					t.Errorf("replay to a new Redis: %v", err)
				}
			})
		})
	}
}
