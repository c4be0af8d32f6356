package testkit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
)

// The programs are built once for each test binary. They outlive the test
// that asked first, so they lie in the user's cache, where go build replaces
// only what has changed.
var (
	buildBroadside = sync.OnceValues(func() (string, error) { return build("cmd/broadside", "broadside") })
	buildFaulty    = sync.OnceValues(func() (string, error) { return build("cmd/broadside", "broadside-faulty", "-tags", "faults") })
	buildRecsink   = sync.OnceValues(func() (string, error) { return build("internal/testkit/recsink", "recsink") })
)

// Build builds the broadside command and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	return built(t, buildBroadside)
}

// BuildFaulty builds the broadside command with the fail points of
// internal/failpoint and returns its path.
func BuildFaulty(t testing.TB) string {
	t.Helper()
	return built(t, buildFaulty)
}

func built(t testing.TB, f func() (string, error)) string {
	t.Helper()
	path, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds the package in dir of this module under a name, with further
// flags. Test binaries that run at the same time take turns.
func build(dir, name string, flags ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for %s: %w", dir, err)
	}
	sum := sha256.Sum256([]byte(root)) // each checkout has its own
	out := filepath.Join(cache, "broadside-testkit", hex.EncodeToString(sum[:6]), name)
	if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
		return "", fmt.Errorf("make a place for %s: %w", dir, err)
	}
	lock, err := os.OpenFile(out+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the build of %s: %w", dir, err)
	}
	defer lock.Close() // unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the build of %s: %w", dir, err)
	}
	args := append([]string{"build", "-C", root, "-buildvcs=false", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, "./"+dir)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", dir, err, text)
	}
	return out, nil
}

var moduleLine = regexp.MustCompile(`(?m)^module broadside$`)

// Root returns the directory of the module, seen from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && moduleLine.Match(b) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("find the module: no go.mod of broadside above the working directory")
		}
		dir = up
	}
}
