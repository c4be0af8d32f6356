// Package demo is the first thing a newcomer runs: a whole campaign from a
// generated list to a report, on the embedded store and the built-in sink. It
// needs nothing and leaves nothing behind.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/runs"
	"broadside/internal/sink"
)

//go:embed files
var files embed.FS

// Options of a demo.
type Options struct {
	Recipients int    // rows of the generated list
	Out        string // directory for every accepted message; empty: none
	// Started is called with the run once its audience is in, and Seen with each
	// status of it, to show progress. Both may be nil.
	Started func(run string)
	Seen    func(runs.Status)
	Log     *slog.Logger
}

// Run sends the campaign and returns the app, which the caller closes, and the
// id of the run, which is finished.
func Run(ctx context.Context, o Options) (*app.App, string, error) {
	if o.Recipients < 1 || o.Recipients > 100_000 {
		return nil, "", fmt.Errorf("%w: the demo has 1 to 100000 recipients, not %d", failure.ErrInvalid, o.Recipients)
	}
	dir, err := os.MkdirTemp("", "broadside-demo-")
	if err != nil {
		return nil, "", fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := write(dir, o.Recipients); err != nil {
		return nil, "", err
	}
	s, err := sink.Listen("127.0.0.1:0", sink.Config{Out: o.Out, Logger: o.Log})
	if err != nil {
		return nil, "", fmt.Errorf("start the sink: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	defer serving.Wait()
	defer stop()
	return send(ctx, dir, s.Addr().String(), o)
}

// send launches the campaign and works until it is finished.
func send(ctx context.Context, dir, addr string, o Options) (*app.App, string, error) {
	cfg, err := configs.Load(ctx, configs.Options{Dir: dir, Env: []string{"SMTP_URL=smtp://" + addr + "?tls=none"}})
	if err != nil {
		return nil, "", err
	}
	a, err := app.Open(ctx, cfg, app.Options{Log: o.Log, Sends: true})
	if err != nil {
		return nil, "", err
	}
	run, err := startRun(ctx, a, dir, o)
	if err != nil {
		return nil, "", errors.Join(err, a.Close())
	}
	if _, err := a.Runs.Finish(ctx, run, runs.FinishOptions{Seen: o.Seen}); err != nil {
		return nil, "", errors.Join(err, a.Close())
	}
	return a, run, nil
}

// startRun suppresses some recipients of the demo and launches its campaign.
func startRun(ctx context.Context, a *app.App, dir string, o Options) (string, error) {
	var entries []suppression.Entry
	for n := range o.Recipients {
		if kindOf(n) == suppressed {
			entries = append(entries, suppression.Entry{
				Address: person(n).address, Reason: suppression.ReasonUnsubscribe, Source: "demo", At: time.Now(),
			})
		}
	}
	if _, err := a.Suppression.Add(ctx, entries...); err != nil {
		return "", err
	}
	def, err := campaign.Load(ctx, filepath.Join(dir, "campaign.yaml"))
	if err != nil {
		return "", err
	}
	def.Delivery.Retry = []time.Duration{time.Second, 2 * time.Second}
	launched, err := a.Launcher.Launch(ctx, def, launch.Options{})
	if err != nil {
		return "", err
	}
	if o.Started != nil {
		o.Started(launched.Run)
	}
	return launched.Run, nil
}

// write lays out the demo's project.
func write(dir string, recipients int) error {
	secret := rand.Text() + rand.Text()
	for _, name := range []string{"broadside.yaml", "campaign.yaml", "letter.md"} {
		b, err := files.ReadFile("files/" + name)
		if err != nil {
			return fmt.Errorf("read demo file: %w", err)
		}
		b = bytes.ReplaceAll(b, []byte("SECRET"), []byte(secret))
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return fmt.Errorf("write demo file: %w", err)
		}
	}
	return writeAudience(filepath.Join(dir, "subscribers.csv"), recipients)
}
