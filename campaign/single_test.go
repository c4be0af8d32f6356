package campaign_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

func loadSingle(t *testing.T, text string) (*campaign.Definition, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "receipt.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return campaign.LoadSingle(t.Context(), file)
}

func TestLoadSingle(t *testing.T) {
	t.Parallel()
	const least = "id: receipt\nfrom: Acme <shop@acme.example>\nsubject: Hello\ncontent: {markdown: receipt.md}\n"
	d, err := loadSingle(t, least+"delivery: {retry: [30s], expires_after: 1h}\nguard: {max_bounce_rate: 5%}\ntracking: false\n")
	if err != nil || d.ID != "receipt" || d.Topic != "" || d.Content.Markdown != "receipt.md" || d.Delivery.ExpiresAfter != time.Hour || d.Delivery.Retry[0] != 30*time.Second {
		t.Errorf("got %+v, %v", d, err)
	}

	_, err = loadSingle(t, "id: receipt\naudience: {source: a.csv}\nexclude: [list:staff]\nschedule: {at: 2026-10-01T09:00}\ntracking: {opens: true}\naudiance: x\n")
	if _, ok := errors.AsType[strictyaml.Problems](err); !ok {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"receipt.yaml:2:1: audience: found audience, expected none", "exclude: found exclude", "schedule: found schedule", "tracking", "audiance: unknown",
		"from: missing", "subject: missing", "found neither markdown nor html",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got:\n%v\nwant %q in it", err, want)
		}
	}
	if _, err := campaign.LoadSingle(t.Context(), filepath.Join(t.TempDir(), "no.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
