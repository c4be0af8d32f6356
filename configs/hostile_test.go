package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/configs"
	"broadside/configs/strictyaml"
)

func TestHostileFilesAreQuick(t *testing.T) {
	t.Parallel()
	lines := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < strictyaml.MaxFile-20; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"many keys":     lines("k%d:\n"),
		"many accounts": "accounts:\n" + lines(" k%d: {}\n"),
		"just allowed":  "accounts:\n" + strings.Join(strings.SplitAfter(lines(" k%d: {}\n"), "\n")[:9900], ""),
		"many items":    "only_to:\n" + lines("- %d\n"),
		"many brackets": "a: " + strings.Repeat("[", 9000),
		"one long line": "a: " + strings.Repeat("x", strictyaml.MaxFile-10),
		"variables":     "postal_address: " + strings.Repeat("${A}", 250_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, configs.DefaultFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := configs.Load(t.Context(), configs.Options{Dir: dir}); err == nil {
				t.Error("got no error")
			}
			if d := time.Since(start); d > time.Minute { // half a second on an idle machine; minutes when it is quadratic
				t.Errorf("took %v", d)
			}
		})
	}
}
