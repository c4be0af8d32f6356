//go:build linux

package input_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"broadside/internal/input"
)

// soon is far more than ending a wait takes.
const soon = 10 * time.Second

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// within fails when do takes longer than soon.
func within[T any](t *testing.T, do func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- do() }()
	select {
	case v := <-done:
		return v
	case <-time.After(soon):
		t.Fatal("it waits although nothing should wait here")
		panic("not reached")
	}
}

func TestWrongKindsAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of the test
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		dir:               "a directory",
		socket:            "a socket",
		"/dev/zero":       "a device",
		"/dev/null":       "a device",
		link:              "a device",
		"/proc/self/mem":  "made by the kernel (proc)",
		"/proc/self/maps": "made by the kernel (proc)",
		"/sys/kernel/mm/transparent_hugepage/enabled": "made by the kernel (sysfs)",
	} {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, "/sys/") {
			continue // a kernel without it
		}
		for opener, open := range openers {
			err := within(t, func() error { return open(t.Context(), name) })
			wrong, ok := errors.AsType[*input.WrongKind](err)
			if !ok || wrong.Found != want {
				t.Errorf("%s(%s): %v, want %q", opener, name, err, want)
			}
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s(%s): the error does not have the name: %v", opener, name, err)
			}
		}
	}
}

var openers = map[string]func(ctx context.Context, name string) error{
	"Open": func(ctx context.Context, name string) error {
		in, err := input.Open(ctx, name)
		if err == nil {
			err = in.Close()
		}
		return err
	},
	"OpenFile": func(_ context.Context, name string) error {
		f, err := input.OpenFile(name)
		if err == nil {
			err = f.Close()
		}
		return err
	},
	"ReadFile": func(_ context.Context, name string) error {
		_, err := input.ReadFile(name, 100)
		return err
	},
	"ReadAll": func(ctx context.Context, name string) error {
		_, err := input.ReadAll(ctx, name, 100)
		return err
	},
}

func TestFiles(t *testing.T) {
	t.Parallel()
	name := file(t, "hello")
	for limit, want := range map[int64]string{100: "hello", 5: "hello", 4: "hello", 2: "hel"} {
		b, err := input.ReadAll(t.Context(), name, limit)
		if err != nil || string(b) != want {
			t.Errorf("limit %d: %q, %v, want %q", limit, b, err, want)
		}
	}
	for opener, open := range openers {
		err := open(t.Context(), name+"x")
		if want := name + "x: there is no such file"; !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
			t.Errorf("%s of a missing file: got %v, want %s", opener, err, want)
		}
	}
	f, err := input.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if b, err := io.ReadAll(f); err != nil || string(b) != "hello" {
		t.Errorf("OpenFile: %q, %v", b, err)
	}
}

func TestFileIsNotReadAfterTheContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	in, err := input.Open(ctx, file(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // only read
	cancel(cause)
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, cause) {
		t.Errorf("read: %v, want %v", err, cause)
	}
}

// A pipe without a writer is not at its end: it waits for the first one, and then
// reads what all of them write.
func TestPipeIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	name := fifo(t)
	in, err := input.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // only read
	if !in.IsPipe() {
		t.Error("it is no pipe")
	}
	text := strings.Repeat("a line of a list\n", 50_000) // more than a pipe holds
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(name, []byte(text), 0o600) }()
	got := within(t, func() string {
		b, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	})
	if err := <-wrote; err != nil || got != text {
		t.Errorf("%d bytes, want %d; written: %v", len(got), len(text), err)
	}
}

func TestPipeWhoseWriterSaysNothingIsEmpty(t *testing.T) {
	t.Parallel()
	name := fifo(t)
	in, err := input.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // only read
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := within(t, func() int {
		b, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		return len(b)
	})
	if n != 0 {
		t.Errorf("%d bytes, want none", n)
	}
}

// A process substitution of a shell is such a name.
func TestPipeOfAnOpenDescriptor(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	if _, err := w.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var name string
	if err := raw.Control(func(fd uintptr) { name = filepath.Join("/dev/fd", strconv.Itoa(int(fd))) }); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := within(t, func() string {
		b, err := input.ReadAll(t.Context(), name, 100)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	})
	if got != "hello" {
		t.Errorf("%q, want hello", got)
	}
}

// Neither a pipe that no one opened for writing holds a reader, nor one whose writer
// is silent.
func TestWaitForAPipeEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, writer := range []string{"none", "silent", "silent after a word"} {
		t.Run(writer, func(t *testing.T) {
			t.Parallel()
			name := fifo(t)
			cause := errors.New("stopped")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			in, err := input.Open(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close() //nolint:errcheck // only read
			if writer != "none" {
				w, err := os.OpenFile(name, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close() //nolint:errcheck // of the test
				if writer != "silent" {
					if _, err := w.WriteString("word"); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			err = within(t, func() error {
				_, err := io.ReadAll(in)
				return err
			})
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), name) {
				t.Errorf("%v, want %v and the name", err, cause)
			}
		})
	}
}

func TestOpenFileTakesNoPipe(t *testing.T) {
	t.Parallel()
	_, err := input.OpenFile(fifo(t))
	wrong, ok := errors.AsType[*input.WrongKind](err)
	if !ok || wrong.Found != "a pipe" {
		t.Errorf("%v, want a pipe refused", err)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 30_000)
	b, err := io.ReadAll(input.Stream(t.Context(), strings.NewReader(text), "standard input"))
	if err != nil || string(b) != text {
		t.Errorf("%d bytes, %v, want %d", len(b), err, len(text))
	}
	broken := errors.New("broken")
	r := input.Stream(t.Context(), io.MultiReader(strings.NewReader("abc"), failing{broken}), "standard input")
	b, err = io.ReadAll(r)
	if string(b) != "abc" || !errors.Is(err, broken) {
		t.Errorf("%q, %v, want abc and %v", b, err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestWaitForAStreamEndsWithTheContext(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close() //nolint:errcheck // of the test
	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	in := input.Stream(ctx, r, "standard input")
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	err := within(t, func() error {
		_, err := io.ReadAll(in)
		return err
	})
	if !errors.Is(err, cause) {
		t.Errorf("%v, want %v", err, cause)
	}
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, cause) {
		t.Errorf("read again: %v, want %v", err, cause)
	}
}
