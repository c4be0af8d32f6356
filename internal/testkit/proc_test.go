package testkit_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

func TestProc(t *testing.T) {
	t.Parallel()
	p := testkit.Start(t, []string{"WORD=ready"}, "/bin/sh", "-c", `trap 'echo got TERM >&2; exit 7' TERM; echo "$WORD"; echo again; echo again 2; while :; do sleep 0.05; done`)
	if got := p.WaitLine("read", time.Minute); got != "ready" {
		t.Errorf("got line %q, want ready", got)
	}
	if got := p.WaitLines("again", 2, time.Minute); got != "again 2" {
		t.Errorf("got line %q, want again 2", got)
	}
	p.Signal(syscall.SIGTERM)
	if got := p.Wait(time.Minute); got != 7 {
		t.Errorf("got exit code %d, want 7", got)
	}
	b, err := os.ReadFile(p.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != p.Output() || !strings.HasSuffix(p.Output(), "got TERM\n") {
		t.Errorf("got file %q and output %q, want both to end in got TERM", b, p.Output())
	}
	if _, ok := p.Find(t.Context(), "never", 1); ok {
		t.Error("found a line that was not printed")
	}
}

func TestProcIsKilled(t *testing.T) {
	t.Parallel()
	var p *testkit.Proc
	t.Run("inner", func(t *testing.T) {
		p = testkit.Start(t, nil, "/bin/sleep", "1000")
	})
	if err := syscall.Kill(p.Pid(), 0); err != syscall.ESRCH {
		t.Errorf("sleep outlived its test: %v", err)
	}
	if got := p.Wait(time.Minute); got != -1 {
		t.Errorf("got exit code %d, want -1", got)
	}
}
