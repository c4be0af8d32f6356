package backup_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/backup"
	"broadside/internal/subscribe"
	"broadside/internal/testkit"
)

func openOn(t *testing.T, url string) *app.App {
	t.Helper()
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{"REDIS_URL=" + url}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// backupOf writes a backup with one suppression and what fill adds.
func backupOf(t *testing.T, fill func(w *backup.Writer) error) *bytes.Reader {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Header{Namespace: "acme", Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(w.Suppression(suppression.Entry{Address: "ada@example.org", Scope: suppression.All, At: time.Now()}), fill(w))
	if _, end := w.Close(); err != nil || end != nil {
		t.Fatal(errors.Join(err, end))
	}
	return bytes.NewReader(out.Bytes())
}

// What a later part of the file has wrong keeps the first part from being
// written.
func TestRestoreChecksTheWholeFileFirst(t *testing.T) {
	t.Parallel()
	a := openOn(t, testkit.Redis(t))
	for _, tt := range []struct {
		name, want string
		fill       func(w *backup.Writer) error
	}{
		{"a list's name", "not a name for a list", func(w *backup.Writer) error { return w.List("No Name", []string{"email"}) }},
		{"a list's name in a proof", "not a name for a list", func(w *backup.Writer) error { k := proof("a@example.org"); k.List = "No Name"; return w.Proof(k) }},
		{"no schedule", "not a schedule", func(w *backup.Writer) error { return w.Schedule([]int{1}) }},
		{"no id", "without an id", func(w *backup.Writer) error { return w.Schedule(map[string]string{}) }},
		{"no such cron", "schedule x", func(w *backup.Writer) error {
			return w.Schedule(map[string]any{"id": "x", "timing": map[string]any{"cron": "when it rains", "zone": "UTC"}})
		}},
		{"no such zone", "Mars", func(w *backup.Writer) error {
			return w.Schedule(map[string]any{"id": "x", "timing": map[string]any{"cron": "@daily", "zone": "Mars"}})
		}},
	} {
		_, err := a.Backup.Restore(t.Context(), backupOf(t, tt.fill), "b", false)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}

	st, err := a.Suppression.Stats(t.Context())
	if err != nil || st.Total != 0 {
		t.Errorf("%d suppressions were written, %v", st.Total, err)
	}
}

// Proofs of subscriptions, with the row of somebody who is not on the list yet, come to
// where there are none. Those that are there stay.
func TestRestoreKeepsProofs(t *testing.T) {
	t.Parallel()
	from, to := openOn(t, testkit.Redis(t)), openOn(t, testkit.Redis(t))
	ctx := t.Context()
	var zoe, eve subscribe.Kept
	for who, text := range map[*subscribe.Kept]string{
		&zoe: `{"sha256":"` + sum("zoe@example.com") + `","list":"subscribers","form":"club","topic":"news","asked":"2026-10-01T06:59:00Z","confirmed":"2026-10-01T07:00:00.123Z","source":"page","network":"192.0.2.0/24","language":"en","text":"0123456789ab","row":{"address":"Zoe@example.com","fields":{"first_name":"Zoë"}}}`,
		&eve: `{"sha256":"` + sum("eve@example.com") + `","list":"subscribers","form":"club","topic":"news","asked":"2026-10-01T06:59:00Z","confirmed":"2026-10-01T07:00:00Z","source":"api","language":"de","text":"0123456789ab"}`,
	} {
		if err := json.Unmarshal([]byte(text), who); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		from.Subscribers.KeepTexts(ctx, map[string]string{"0123456789ab": "Yes, send me news"}),
		from.Subscribers.Keep(ctx, []subscribe.Kept{zoe, eve})); err != nil {
		t.Fatal(err)
	}
	here := eve
	here.Source = "fair in Ulm"
	if err := to.Subscribers.Keep(ctx, []subscribe.Kept{here}); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	counts, err := from.Backup.Write(ctx, &out)
	if err != nil || counts.Proofs != 2 {
		t.Fatalf("Write: %+v, %v", counts, err)
	}
	for i, want := range []backup.Merged{{Added: 1, Kept: 1}, {Added: 1, Kept: 1}, {Kept: 2}} {
		got, err := to.Backup.Restore(ctx, bytes.NewReader(out.Bytes()), "b", i == 0)
		if err != nil || got.Proofs != want {
			t.Errorf("restore %d: got %+v, %v; want %+v", i, got.Proofs, err, want)
		}
		a, err := address.Parse("zoe@example.com")
		if err != nil {
			t.Fatal(err)
		}
		proofs, err := to.Subscribers.Of(ctx, a)
		if i == 0 && (err != nil || len(proofs) != 0) {
			t.Errorf("the dry run has stored %+v, %v", proofs, err)
		}
		zoe.Words = "Yes, send me news"
		if i > 0 && (err != nil || len(proofs) != 1 || proofs[0] != zoe.Proof) {
			t.Errorf("restore %d: got %+v, %v", i, proofs, err)
		}
	}

	found := map[string]subscribe.Kept{}
	err = to.Subscribers.Each(ctx, func(k subscribe.Kept) error { found[k.Hash] = k; return nil })
	if z := found[zoe.Hash]; err != nil || len(found) != 2 || z.Waits == nil || z.Waits.Fields["first_name"] != "Zoë" {
		t.Errorf("found %+v, %v; want zoe with her row", found, err)
	}
	if e := found[eve.Hash]; e.Source != "fair in Ulm" || e.Waits != nil {
		t.Errorf("what was there is now %+v", e)
	}
}

// A schedule whose time has passed is left out: no one knows whether it was
// sent. What is in the file behind it is restored all the same.
func TestRestoreLeavesThePast(t *testing.T) {
	t.Parallel()
	a := openOn(t, testkit.Redis(t))
	file := backupOf(t, func(w *backup.Writer) error {
		schedule := func(id string, timing map[string]any) error {
			sum := "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7" // printf data | sha256sum
			return errors.Join(
				w.Schedule(map[string]any{"id": id, "timing": timing, "files": []map[string]any{{"key": "content.markdown", "name": "x.md"}}}),
				w.File(backup.File{Key: "content.markdown", Size: 4, Sum: sum}, strings.NewReader("data")))
		}
		return errors.Join(
			schedule("past", map[string]any{"at": "2001-01-01T00:00:00Z", "zone": "UTC"}),
			schedule("daily", map[string]any{"cron": "@daily", "zone": "UTC"}))
	})
	dry, err := a.Backup.Restore(t.Context(), file, "b", true)
	if err != nil || len(dry.Schedules) != 2 || dry.Schedules[0].State != backup.SchedulePast || dry.Schedules[1].State != backup.ScheduleAdded {
		t.Errorf("dry run: got %+v, %v", dry, err)
	}

	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}

	got, err := a.Backup.Restore(t.Context(), file, "b", false)
	if err != nil {
		t.Fatal(err)
	}

	if len(got.Schedules) != 2 || got.Schedules[0].State != backup.SchedulePast || got.Schedules[1].State != backup.ScheduleAdded || got.Suppressions.Added != 1 {
		t.Errorf("got %+v", got)
	}

	e, err := a.Backup.Schedules.Get(t.Context(), "daily")
	if err != nil || len(e.Files) != 1 || e.Files[0].Name != "x.md" || e.Next.Before(time.Now()) {
		t.Errorf("stored: %+v, %v", e, err)
	}

	if all, err := a.Backup.Schedules.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d schedules, %v, want the daily one alone", len(all), err)
	}
}
