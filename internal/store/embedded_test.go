package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"broadside/internal/store"

	"github.com/redis/go-redis/v9"
)

const flagged = `#!lua flags=allow-oom
-- A script as Redis 7 has them.
return redis.call('INCRBY', KEYS[1], ARGV[1])`

func embedded(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatalf("OpenEmbedded: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	if !s.Embedded() {
		t.Error("an embedded store says that it is not")
	}
	if id, err := s.RunID(t.Context()); err != nil || id != store.EmbeddedRunID {
		t.Errorf("RunID: got %q, %v, want %q", id, err, store.EmbeddedRunID)
	}
	if f := s.Findings(); len(f) != 1 || !strings.Contains(f[0].Text, "embedded store") {
		t.Errorf("findings: got %+v, want that it forgets", f)
	}
	var got string
	claims := s.Claims(func(_ context.Context, id string) error { got = id; return nil })
	if err := claims.Ping(t.Context()).Err(); err != nil || got != store.EmbeddedRunID {
		t.Errorf("claims: onConnect got %q, %v", got, err)
	}
}

func TestLuaFlags(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s := embedded(t)
		if n, err := s.Lua(flagged).Run(t.Context(), s.Client(), []string{"n"}, 2).Int(); err != nil || n != 2 {
			t.Errorf("script: got %d, %v, want 2", n, err)
		}
		// Line numbers in errors stay those of the file.
		err := s.Lua("#!lua flags=allow-oom\n\nreturn nosuch()").Run(t.Context(), s.Client(), []string{"n"}).Err()
		if err == nil || !strings.Contains(err.Error(), ":3:") {
			t.Errorf("script with a mistake in line 3: got %v", err)
		}
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		addr := fake(t, nil, func(int64) string { return "" })
		s := open(t, store.Options{URL: "redis://" + addr})
		if got, want := s.Lua(flagged).Hash(), redis.NewScript(flagged).Hash(); got != want {
			t.Error("a script for Redis is not its source")
		}
	})
}

func TestEmbeddedKeysExpire(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	if err := s.Client().Set(t.Context(), "k", "v", 20*time.Millisecond).Err(); err != nil {
		t.Fatalf("SET: %v", err)
	}
	eventually(t, func() error {
		if err := s.Client().Get(t.Context(), "k").Err(); err != redis.Nil {
			return context.DeadlineExceeded
		}
		return nil
	})
}

// Replies that come before the pipeline is wholly written must not stop it.
func TestEmbeddedTakesLongPipelines(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	value := strings.Repeat("x", 4096)
	if err := s.Client().Set(t.Context(), "k", value, 0).Err(); err != nil {
		t.Fatalf("SET: %v", err)
	}
	cmds, err := s.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for range 2000 {
			p.Get(t.Context(), "k")
			p.Set(t.Context(), "other", value, 0)
		}
		return nil
	})
	if err != nil || len(cmds) != 4000 {
		t.Errorf("pipeline: got %d replies, %v, want 4000", len(cmds), err)
	}
}

func BenchmarkEmbedded(b *testing.B) {
	s, err := store.OpenEmbedded(b.Context(), nil)
	if err != nil {
		b.Fatalf("OpenEmbedded: %v", err)
	}
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Client().Incr(b.Context(), "n").Err(); err != nil {
			b.Fatalf("INCR: %v", err)
		}
	}
}
