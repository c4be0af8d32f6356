package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/launch"
	"broadside/internal/presence"
	"broadside/internal/testkit"
)

// When a key of Redis holds another type of value, what needs it fails and names the
// key. Everything else goes on.
func TestADamagedKeyIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openProject(t, dir)
	ctx := t.Context()
	def, err := campaign.Load(ctx, filepath.Join(dir, "campaign.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := a.Launcher.Launch(ctx, def, launch.Options{}); err != nil {
		t.Fatal(err)
	}

	backup := func(ctx context.Context) error { _, err := a.Backup.Write(ctx, io.Discard); return err }
	export := func(ctx context.Context) error { _, err := a.Suppression.Stats(ctx); return err }
	for key, read := range map[string]func(context.Context) error{
		"bs:lists":        backup,
		"bs:supp:0":       export,
		"bs:supp:topics":  func(ctx context.Context) error { _, err := a.Suppression.Check(ctx, "ada@example.org"); return err },
		"bs:topics:used":  backup,
		"bs:{sched}:ids":  func(ctx context.Context) error { _, err := a.Schedules.List(ctx); return err },
		"bs:runs":         func(ctx context.Context) error { _, err := a.Ledger.List(ctx, ""); return err },
		"bs:runs:active":  func(ctx context.Context) error { _, err := a.Ledger.Active(ctx); return err },
		"bs:runs:of:news": func(ctx context.Context) error { _, err := a.Ledger.List(ctx, "news"); return err },
		"bs:{workers}":    func(ctx context.Context) error { _, err := a.Processes.List(ctx); return err },
		"bs:processes":    func(ctx context.Context) error { _, err := a.Processes.List(ctx); return err },
	} {
		overwrite(t, a.store.Client(), key, func() {
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

// openProject writes a project with a campaign into dir, and opens it on a Redis of its
// own.
func openProject(t *testing.T, dir string) *App {
	t.Helper()
	for name, text := range map[string]string{
		"people.csv": "email\nada@example.org\n",
		"letter.md":  "# Hello\n",
		"campaign.yaml": "id: news\ntopic: newsletter\nfrom: Acme News <news@acme.example>\nsubject: Hello\n" +
			"audience: {source: people.csv}\ncontent: {markdown: letter.md}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: []string{
		"REDIS_URL=" + testkit.Redis(t), "SMTP_URL=smtp://127.0.0.1:9?tls=none",
		"BROADSIDE_PUBLIC_URL=http://127.0.0.1:8080", "BROADSIDE_SECRETS=a-secret-of-the-tests-that-signs-nothing-real", "BROADSIDE_POSTAL_ADDRESS=Acme",
	}})
	if err != nil {
		t.Fatal(err)
	}

	a, err := Open(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { a.Close() })
	return a
}

// overwrite runs do while a key holds another type of value.
func overwrite(t *testing.T, rdb redis.UniversalClient, key string, do func()) {
	t.Helper()
	ctx := t.Context()
	whole, _ := rdb.Dump(ctx, key).Result() // empty when the key is not there
	put := func(p redis.Pipeliner) error {
		p.Del(ctx, key)
		p.Set(ctx, key, "odd", 0)
		return nil
	}
	if _, err := rdb.Pipelined(ctx, put); err != nil {
		t.Fatal(err)
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
		t.Fatal(err)
	}
}

// A process whose entry in the list of processes cannot be read is still a worker
// when the ledger knows it as one.
func TestAWorkerWithADamagedEntryIsAWorker(t *testing.T) {
	t.Parallel()
	a := openProject(t, t.TempDir())
	ctx := t.Context()
	nothing := func(context.Context, string) error { return nil }
	worker, err := a.Ledger.Join(ctx, ledger.MemberConfig{Server: a.store.Server, OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	rdb := a.store.Client()
	if err := errors.Join(rdb.SAdd(ctx, "bs:processes", worker.ID()).Err(), rdb.Set(ctx, "bs:process:"+worker.ID(), "odd", 0).Err()); err != nil {
		t.Fatal(err)
	}

	all, err := a.Processes.List(ctx)
	if err != nil || len(all) != 1 || all[0].Role != presence.Worker || presence.Count(all, presence.Worker) != 1 {
		t.Errorf("processes %+v, %v, want one worker", all, err)
	}
}
