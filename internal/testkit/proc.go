package testkit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a step that takes milliseconds may take on a machine
// that is busy with other tests.
const patience = 30 * time.Second

// A Proc is a process that a test started. Its standard output and error go
// to one file. It is killed when the test ends.
type Proc struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and is reaped

	mu    sync.Mutex
	file  *os.File
	text  bytes.Buffer
	grown chan struct{} // closed and replaced at each write
}

// Start runs the program name with args. env is added to the environment of
// the test. A program that cannot be started fails the test.
func Start(t testing.TB, env []string, name string, args ...string) *Proc {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), filepath.Base(name)+"-*.log")
	if err != nil {
		t.Fatalf("create log of %s: %v", name, err)
	}
	p := &Proc{t: t, name: filepath.Base(name), done: make(chan struct{}), file: f, grown: make(chan struct{})}
	p.cmd = exec.Command(name, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = (*procLog)(p), (*procLog)(p)
	p.cmd.WaitDelay = 2 * time.Second // grandchildren may hold the pipe
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The kernel ties the child's life to the thread that made it: the
		// thread is kept until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // the code is in ProcessState
		}
	}()
	if err := <-started; err != nil {
		f.Close()
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", p.name, tail(p.Output(), 4000))
		}
		f.Close()
	})
	return p
}

// procLog keeps procLog.Write out of the method set of Proc.
type procLog Proc

func (l *procLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	close(l.grown)
	l.grown = make(chan struct{})
	return l.file.Write(b)
}

// Output returns everything that the process has printed so far.
func (p *Proc) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// LogFile returns the path of the file that holds the output.
func (p *Proc) LogFile() string { return p.file.Name() }

// Pid returns the process id.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Find waits until n lines of the output contain text and returns the nth; ok
// is false when ctx ends, or the process does, without them.
func (p *Proc) Find(ctx context.Context, text string, n int) (line string, ok bool) {
	read := 0 // bytes of the output that were searched: whole lines
	for over := false; ; {
		p.mu.Lock()
		grown, fresh := p.grown, p.text.Bytes()[read:]
		for whole := range bytes.Lines(fresh) {
			if whole[len(whole)-1] != '\n' {
				break
			}
			if read += len(whole); bytes.Contains(whole, []byte(text)) {
				if n--; n <= 0 {
					line = string(bytes.TrimRight(whole, "\r\n"))
					p.mu.Unlock()
					return line, true
				}
			}
		}
		p.mu.Unlock()
		if over {
			return "", false
		}
		select {
		case <-grown:
		case <-p.done:
			over = true // one more look: it may have ended with that line
		case <-ctx.Done():
			return "", false
		}
	}
}

// WaitLine waits until a line of the output contains text and returns it. It
// fails the test after timeout, or when the process ends without that line.
func (p *Proc) WaitLine(text string, timeout time.Duration) string {
	p.t.Helper()
	return p.WaitLines(text, 1, timeout)
}

// WaitLines is WaitLine for n lines; it returns the nth.
func (p *Proc) WaitLines(text string, n int, timeout time.Duration) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), timeout)
	defer cancel()
	line, ok := p.Find(ctx, text, n)
	if !ok {
		p.t.Fatalf("%s did not print %q %d times within %v", p.name, text, n, timeout)
	}
	return line
}

// Signal sends sig; a process that has ended already is no error.
func (p *Proc) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s: %v", p.name, err)
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Proc) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Wait waits until the process ends and returns its exit code, -1 when a
// signal ended it. It fails the test after timeout.
func (p *Proc) Wait(timeout time.Duration) int {
	p.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.t.Fatalf("%s was still running after %v", p.name, timeout)
	}
	return p.cmd.ProcessState.ExitCode()
}

// tail returns the last n bytes of s.
func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// program returns the path of an installed program, or fails the test and
// names the Debian package that has it.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	// Daemons live in /usr/sbin, which is not in every PATH.
	for _, p := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install %s", name, pkg)
	return ""
}
