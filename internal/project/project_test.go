package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"broadside/configs"
	"broadside/internal/failure"
)

// A project has all the files that New names, and its configuration can be used.
func TestNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	names, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) {
		t.Errorf("%d files for the names %q, %v", len(entries), names, err)
	}

	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}

	acct, ok := cfg.Accounts["sink"]
	if len(cfg.Secrets) != 1 || len(cfg.Secrets[0].Reveal()) != 52 || !ok || !acct.Loopback() || cfg.RedisURL != "" {
		t.Errorf("configuration is %+v", cfg)
	}

	if _, err := New(dir); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), ".gitignore") {
		t.Errorf("a second project over the first: %v", err)
	}

	file := filepath.Join(dir, "letter.md")
	if _, err := New(file); err == nil {
		t.Error("no error where the directory is a file")
	}
}
