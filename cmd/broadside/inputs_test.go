//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// An inputCase is one way to name an input: a command line, and files of the project
// that name it. INPUT in both is the name.
type inputCase struct {
	args []string
	file string // of the project, changed
	from string // a text in it
	to   string // what takes its place
	pipe bool   // a pipe is read
}

var inputCases = map[string]inputCase{
	"configuration":    {args: []string{"config", "show", "--config", "INPUT"}, pipe: true},
	"campaign":         {args: []string{"campaign", "validate", "INPUT"}, pipe: true},
	"launched":         {args: []string{"campaign", "launch", "INPUT", "--dry-run"}, pipe: true},
	"scheduled":        {args: []string{"campaign", "schedule", "INPUT", "--at", "2100-01-01T09:00"}, pipe: true},
	"audience":         {args: []string{"campaign", "validate", "campaign.yaml"}, file: "campaign.yaml", from: "subscribers.csv", to: "INPUT", pipe: true},
	"--audience":       {args: []string{"campaign", "launch", "campaign.yaml", "--audience", "INPUT", "--dry-run"}, pipe: true},
	"staged audience":  {args: []string{"campaign", "schedule", "campaign.yaml", "--at", "2100-01-01T09:00"}, file: "campaign.yaml", from: "subscribers.csv", to: "INPUT", pipe: true},
	"exclude":          {args: []string{"campaign", "validate", "campaign.yaml"}, file: "campaign.yaml", from: "content:", to: "exclude: [INPUT]\ncontent:", pipe: true},
	"--exclude":        {args: []string{"campaign", "launch", "campaign.yaml", "--exclude", "INPUT", "--dry-run"}, pipe: true},
	"list":             {args: []string{"list", "import", "people", "INPUT"}, pipe: true},
	"suppressions":     {args: []string{"suppression", "import", "INPUT"}, pipe: true},
	"backup":           {args: []string{"restore", "INPUT"}, pipe: true},
	"letter":           {args: []string{"campaign", "validate", "campaign.yaml"}, file: "campaign.yaml", from: "letter.md", to: "INPUT"},
	"page":             {args: []string{"campaign", "validate", "campaign.yaml"}, file: "campaign.yaml", from: "markdown: letter.md", to: "html: INPUT"},
	"text":             {args: []string{"campaign", "validate", "campaign.yaml"}, file: "campaign.yaml", from: "markdown: letter.md", to: "markdown: letter.md\n  text: INPUT"},
	"previewed letter": {args: []string{"campaign", "preview", "campaign.yaml"}, file: "campaign.yaml", from: "letter.md", to: "INPUT"},
	"staged letter":    {args: []string{"campaign", "schedule", "campaign.yaml", "--at", "2100-01-01T09:00"}, file: "campaign.yaml", from: "letter.md", to: "INPUT"},
	"certificates":     {args: []string{"account", "check", "local"}, file: "broadside.yaml", from: "tls: none", to: "tls: starttls\n    ca_file: INPUT"},
}

// oddFiles are what is no file and can be named like one.
func oddFiles(t *testing.T) map[string]string {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // of the test

	return map[string]string{
		"a directory":               dir,
		"a socket":                  socket,
		"a device":                  "/dev/zero",
		"made by the kernel (proc)": "/proc/self/mem",
	}
}

// command is the command line of a case in a project of its own.
func (c inputCase) command(ctx context.Context, t *testing.T, redis, name string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	for file, text := range projectTexts {
		if file == "broadside.yaml" {
			text += "accounts:\n  local:\n    host: 127.0.0.1\n    port: 9\n    tls: none\n"
		}
		if file == c.file {
			if !strings.Contains(text, c.from) {
				t.Fatalf("%s has no %q", file, c.from)
			}
			text = strings.Replace(text, c.from, strings.ReplaceAll(c.to, "INPUT", name), 1)
		}

		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	args := make([]string, len(c.args))
	for i, arg := range c.args {
		args[i] = strings.ReplaceAll(arg, "INPUT", name)
	}

	cmd := exec.CommandContext(ctx, "broadside", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REDIS_URL="+redis)

	return cmd
}

// end runs or awaits a command and returns its exit code and what it said.
func end(t *testing.T, cmd *exec.Cmd, wait func() error) (int, string) {
	t.Helper()
	said, ok := cmd.Stderr.(*bytes.Buffer)
	if !ok {
		t.Fatal("stderr is not kept")
	}

	err := wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, said)
	}

	return cmd.ProcessState.ExitCode(), said.String()
}

// Whatever is no file is refused by its name, and nothing waits for it.
func TestInputsThatAreNoFiles(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	for what, c := range inputCases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			odd := oddFiles(t)
			if !c.pipe {
				odd["a pipe"] = fifo(t)
			}

			for found, name := range odd {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := c.command(ctx, t, redis, name)
				cmd.Stderr = &bytes.Buffer{}
				code, said := end(t, cmd, cmd.Run)
				if code != exitInvalid || !strings.Contains(said, name) || !strings.Contains(said, found) {
					t.Errorf("%s: exit code %d, want %d, the name and %q:\n%s", name, code, exitInvalid, found, said)
				}
			}
		})
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A pipe whose writer has nothing to say holds no command any longer than until the
// first signal.
func TestWaitsForPipesEndWithASignal(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	for what, c := range inputCases {
		if !c.pipe {
			continue
		}
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(what+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				name := fifo(t)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := c.command(ctx, t, redis, name)
				cmd.Stderr = &bytes.Buffer{}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}

				w := openedByReader(ctx, t, name)
				defer w.Close() //nolint:errcheck // of the test
				expectInterrupted(t, cmd, sig)
			})
		}
	}
}

// openedByReader opens a pipe for writing, which waits until somebody reads it.
func openedByReader(ctx context.Context, t *testing.T, name string) *os.File {
	t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		w, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return w
		}
		if !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("nobody opens the pipe")
		}
	}
}

func expectInterrupted(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if code, said := end(t, cmd, cmd.Wait); code != exitInterrupted || !strings.Contains(said, "interrupted") {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, said)
	}
}

// The standard input too.
func TestWaitsForTheStandardInputEndWithASignal(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	rows := "email,first name\n" + strings.Repeat("somebody@example.com,Ann\n", 10_000) // more than a pipe holds
	for what, c := range map[string]inputCase{
		"audience":     {args: []string{"campaign", "launch", "campaign.yaml", "--dry-run"}, file: "campaign.yaml", from: "source: subscribers.csv", to: `source: "-"`},
		"--audience":   {args: []string{"campaign", "launch", "campaign.yaml", "--audience", "-", "--dry-run"}},
		"list":         {args: []string{"list", "import", "people", "-"}},
		"suppressions": {args: []string{"suppression", "import", "-"}},
		"backup":       {args: []string{"restore", "-"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := c.command(ctx, t, redis, "")
			cmd.Stderr = &bytes.Buffer{}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close() //nolint:errcheck // of the test
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}

			if _, err := in.Write([]byte(rows)); err != nil { // returns when it is read
				_, said := end(t, cmd, cmd.Wait)
				t.Fatalf("%v; it says:\n%s", err, said)
			}

			expectInterrupted(t, cmd, syscall.SIGTERM)
		})
	}
}

// A pipe is as good as a file where it is read once.
func TestPipesAreRead(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"configuration": "namespace: piped\n",
		"campaign":      projectTexts["campaign.yaml"],
		"--audience":    projectTexts["subscribers.csv"],
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			name := fifo(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := inputCases[what].command(ctx, t, "", name)
			cmd.Stderr = &bytes.Buffer{}
			if what == "campaign" { // what it names is next to it
				copyProject(t, cmd.Dir, filepath.Dir(name))
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}

			w := openedByReader(ctx, t, name)
			_, err := w.WriteString(text)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			if code, said := end(t, cmd, cmd.Wait); code != exitDone {
				t.Errorf("exit code %d, want %d:\n%s", code, exitDone, said)
			}
		})
	}
}

func copyProject(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
