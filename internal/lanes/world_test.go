package lanes_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/lanes"
	"broadside/internal/testkit"
	"broadside/throttle"
)

const settings = `
public_url: http://127.0.0.1:8080
secrets: [a-secret-of-the-tests-that-signs-nothing-real]
accounts:
  ses-main:
    host: 127.0.0.1
    tls: none
    lanes:
      gmail: {rate: 20/s, connections: 4}
      slow.example: {rate: 1/s}
  spare: {host: 127.0.0.1, tls: none}
`

// A world is an installation with two accounts, on a Redis of its own. No process of it
// runs.
type world struct {
	*app.App
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broadside.yaml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: []string{"REDIS_URL=" + testkit.Redis(t)}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return &world{a, t, time.Now().Truncate(time.Millisecond).UTC()}
}

// name returns the lane that text means.
func (w *world) name(text string) lanes.Name {
	w.t.Helper()
	name, err := lanes.Parse(w.Config, text)
	if err != nil {
		w.t.Fatal(err)
	}
	return name
}

// change changes a lane as a worker would.
func (w *world) change(lane string, f func(throttle.Lane) throttle.Lane) {
	w.t.Helper()
	name := w.name(lane)
	if _, _, err := w.Lanes.Change(w.t.Context(), name.Account, name.Lane, f); err != nil {
		w.t.Fatal(err)
	}
}

// slow slows a lane down to half of its 20 a second.
func (w *world) slow(lane string) {
	w.t.Helper()
	w.change(lane, func(l throttle.Lane) throttle.Lane {
		return l.Slow(w.now, throttle.Signal{Rate: 20, Ceiling: 20, Code: string(codes.LaneSlowed), Reason: "too fast"})
	})
}

// storm closes a lane as the storm guard does.
func (w *world) storm(lane string, from time.Time) {
	w.t.Helper()
	w.change(lane, func(l throttle.Lane) throttle.Lane {
		l = l.Close(w.now, string(codes.LaneStorm), "everybody is dead")
		l.From = from
		return l
	})
}

// list returns the lanes that are shown, by their names.
func (w *world) list() map[string]lanes.Lane {
	w.t.Helper()
	all, err := w.LaneControl.List(w.t.Context(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	byName := map[string]lanes.Lane{}
	for _, l := range all {
		byName[l.Name()] = l
	}
	return byName
}

// run makes a run of an account with that many recipients in each part.
func (w *world) run(id, account string, sizes map[int]int) *ledger.Run {
	w.t.Helper()
	ctx := w.t.Context()
	made, err := w.Ledger.Create(ctx, ledger.NewRun{
		ID: id, Campaign: "news", Accounts: []string{account}, Created: w.now, Retry: []time.Duration{time.Hour}, MaxAttempts: 3, ExpiresAfter: time.Hour,
	})
	if err != nil || !made {
		w.t.Fatalf("create: %v, %v", made, err)
	}
	e := w.Ledger.Expand(id)
	if err := e.Content(ctx, campaign.Snapshot{Campaign: "news"}); err != nil {
		w.t.Fatal(err)
	}
	for part, size := range sizes {
		if err := e.Add(ctx, ledger.Chunk{Part: part, Data: []byte("x"), Suppressed: make([]bool, size)}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := e.Ready(ctx, campaign.Skipped{}); err != nil {
		w.t.Fatal(err)
	}
	rec, err := w.Ledger.Record(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Handle()
}
