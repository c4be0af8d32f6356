package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var buildSkewed = sync.OnceValues(skewed)

// BuildSkewed builds the broadside command so that its clock is five minutes
// fast, all of it, libraries included, and returns its path. Go programs ask
// the kernel for the time where nothing can come between (vDSO), so the one
// line that does it in the standard library is replaced for this build. It
// compiles everything once, which takes minutes on a slow machine.
func BuildSkewed(t testing.TB) string {
	t.Helper()
	return built(t, buildSkewed)
}

func skewed() (string, error) {
	const asks = "sec, nsec, mono := runtimeNow()\n"
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the standard library: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the standard library: %w", err)
	}
	if strings.Count(string(text), asks) == 0 {
		return "", fmt.Errorf("%s: expected %q in func Now", file, asks)
	}
	dir, err := os.MkdirTemp("", "skewed")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, "time.go")
	fast := strings.ReplaceAll(string(text), asks, asks+"\tsec += 300\n")
	if err := os.WriteFile(changed, []byte(fast), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	return build("cmd/broadside", "broadside-skewed", "-tags", "faults", "-overlay", list)
}
