package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/testkit"
	"broadside/throttle"
)

// A watcher is a reader of what a command prints who presses Ctrl-C after the second
// block.
type watcher struct {
	text   bytes.Buffer
	begins string // of a block
	stop   context.CancelFunc
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if strings.Count(w.text.String(), w.begins) == 2 {
		w.stop()
	}
	return n, err
}

func TestWatchedLanesAreShownUntilCtrlC(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broadside.yaml"), []byte(projectTexts["broadside.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: []string{"REDIS_URL=" + testkit.Redis(t), "SMTP_URL=smtp://127.0.0.1:9?tls=none"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	_, _, err = a.Lanes.Change(t.Context(), "default", "gmail", func(l throttle.Lane) throttle.Lane {
		return l.Slow(time.Now(), throttle.Signal{Rate: 20, Block: true})
	})
	if err != nil {
		t.Fatal(err)
	}

	for name, tt := range map[string]struct {
		c      cli
		begins string
		want   string
	}{
		"a terminal":   {cli{stdoutTTY: true, quiet: true}, clearScreen + "LANE", "default/gmail  paused"},
		"a file":       {cli{}, "LANE", "\n\nLANE"},
		"for programs": {cli{asJSON: true}, "[\n", `"state": "paused"`},
	} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out := &watcher{begins: tt.begins, stop: stop}
		c := tt.c
		c.stdout = out
		c.stderr = io.Discard
		if err := c.watchLanes(ctx, a); !errors.Is(err, errInterrupted) {
			t.Errorf("%s: got %v, want that it was interrupted", name, err)
		}
		if got := out.text.String(); !strings.Contains(got, tt.want) || strings.Count(got, tt.begins) != 2 {
			t.Errorf("%s: printed was %q, want two blocks with %q", name, got, tt.want)
		}
	}
}
