package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/presence"
)

// Whatever key of Redis holds another type of value, who needs it is told which
// one it is, and the others go on.
func TestADamagedKeyIsNamed(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	if _, err := s.Launch(ctx, s.def(""), Launch{}); err != nil {
		t.Fatal(err)
	}
	backup := func(ctx context.Context) error { _, err := s.Backup.Write(ctx, io.Discard); return err }
	export := func(ctx context.Context) error { _, err := s.Suppression.Stats(ctx); return err }
	for key, read := range map[string]func(context.Context) error{
		"bs:lists":        backup,
		"bs:supp:0":       export,
		"bs:supp:topics":  func(ctx context.Context) error { _, err := s.Suppression.Check(ctx, "ada@example.org"); return err },
		"bs:topics:used":  backup,
		"bs:{sched}:ids":  func(ctx context.Context) error { _, err := s.Schedules(ctx); return err },
		"bs:runs":         func(ctx context.Context) error { _, err := s.Ledger.List(ctx, ""); return err },
		"bs:runs:active":  func(ctx context.Context) error { _, err := s.Ledger.Active(ctx); return err },
		"bs:runs:of:news": func(ctx context.Context) error { _, err := s.Ledger.List(ctx, "news"); return err },
		"bs:{workers}":    func(ctx context.Context) error { _, err := s.Processes.List(ctx); return err },
		"bs:processes":    func(ctx context.Context) error { _, err := s.Processes.List(ctx); return err },
	} {
		s.overwrite(key, func() {
			err := read(ctx)
			if !campaign.IsBroken(err) || !strings.Contains(err.Error(), "(key "+key+")") || strings.Contains(err.Error(), "WRONGTYPE") {
				t.Errorf("%s: got %v, want a broken state that names the key", key, err)
			}
		})
		if err := read(ctx); err != nil {
			t.Errorf("%s: %v when it is whole again", key, err)
		}
	}
}

// overwrite runs do while a key holds another type of value.
func (s *scheduling) overwrite(key string, do func()) {
	s.t.Helper()
	rdb := s.store.Client()
	ctx := s.t.Context()
	whole, _ := rdb.Dump(ctx, key).Result() // empty when the key is not there
	put := func(p redis.Pipeliner) error {
		p.Del(ctx, key)
		p.Set(ctx, key, "odd", 0)
		return nil
	}
	if _, err := rdb.Pipelined(ctx, put); err != nil {
		s.t.Fatal(err)
	}
	do()
	back := func(p redis.Pipeliner) error {
		p.Del(ctx, key)
		if whole != "" {
			p.Restore(ctx, key, 0, whole)
		}
		return nil
	}
	if _, err := rdb.Pipelined(ctx, back); err != nil {
		s.t.Fatal(err)
	}
}

// A process whose entry in the list of processes cannot be read is still a worker
// when the ledger knows it as one.
func TestAWorkerWithADamagedEntryIsAWorker(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	nothing := func(context.Context, string) error { return nil }
	worker, err := s.Ledger.Join(ctx, ledger.MemberConfig{Server: s.store.Server, OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rdb := s.store.Client()
	if err := errors.Join(rdb.SAdd(ctx, "bs:processes", worker.ID()).Err(), rdb.Set(ctx, "bs:process:"+worker.ID(), "odd", 0).Err()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Processes.List(ctx)
	if err != nil || len(all) != 1 || all[0].Role != presence.Worker || presence.Count(all, presence.Worker) != 1 {
		t.Errorf("processes %+v, %v, want one worker", all, err)
	}
}
