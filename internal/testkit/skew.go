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
	"time"
)

var buildSkewed = sync.OnceValues(skewed)

// BuildSkewed builds the broadside command so that its clock is fast by what
// ClockAhead says, all of it, libraries included, and returns its path. Go
// programs ask the kernel for the time where nothing can come between (vDSO), so
// the one line that does it in the standard library is replaced for this build. It
// compiles everything once, which takes minutes on a slow machine.
func BuildSkewed(t testing.TB) string {
	t.Helper()
	return built(t, buildSkewed)
}

// ClockAhead is the variable that makes the clock of such a build fast, or slow
// where d is negative, by whole seconds.
func ClockAhead(d time.Duration) string {
	return fmt.Sprintf("CLOCK_AHEAD=%d", int64(d/time.Second))
}

// ahead reads that variable, within package time.
const ahead = `

var ahead = func() (n int64) {
	text, _ := syscall.Getenv("CLOCK_AHEAD")
	for _, c := range []byte(text) {
		if c != '-' {
			n = 10*n + int64(c-'0')
		}
	}
	if text != "" && text[0] == '-' {
		n = -n
	}
	return n
}()
`

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
	const begins = "\npackage time\n"
	if strings.Count(string(text), asks) == 0 || strings.Count(string(text), begins) != 1 {
		return "", fmt.Errorf("%s: expected %q, and in func Now %q", file, begins, asks)
	}
	dir, err := os.MkdirTemp("", "skewed")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, "time.go")
	fast := strings.ReplaceAll(string(text), asks, asks+"\tsec += ahead\n")
	fast = strings.Replace(fast, begins, begins+"\nimport \"syscall\"\n", 1) + ahead
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
