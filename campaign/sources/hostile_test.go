package sources_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"broadside/campaign"
	"broadside/campaign/sources"
	"broadside/internal/input"
)

// hostileNames returns names that lead to no file which could be read to an end.
func hostileNames(t *testing.T, dir string) map[string]string {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}

	links := map[string]string{"zero.csv": "/dev/zero", "loop.csv": "loop.csv", "up.csv": ".."}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })

	return map[string]string{
		"a folder": "folder", "the campaign's own folder": ".", "the folder above": "..", "no name": "",
		"a device": "/dev/zero", "a link to a device": "zero.csv", "a link to a folder": "up.csv", "a link to itself": "loop.csv",
		"a socket": "socket", "what the kernel makes up": "/proc/self/environ", "a NUL in the name": "a\x00b.csv",
		"a name that is too long": strings.Repeat("x", 5000), "a line break in the name": "people.csv\nx", "not UTF-8": "\xff\xfe.csv",
	}
}

// No name can hold the program, or make it read what is not a file.
func TestHostileNamesAreRefused(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "src") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	var s sources.Sources
	for name, path := range hostileNames(t, dir) {
		def := &campaign.Definition{Dir: dir, Audience: campaign.Audience{Source: path}, Exclude: []campaign.Exclusion{{Source: path}}}
		if f, err := s.File(t.Context(), def, "content.markdown", path); err == nil {
			t.Errorf("%s: content was opened: %v", name, f)
		}
		if r, err := s.Audience(t.Context(), def, ""); err == nil {
			t.Errorf("%s: an audience was opened: %v", name, r)
		}
		if x, err := s.Exclusions(t.Context(), def, nil); err == nil {
			t.Errorf("%s: exclusions were read: %v", name, x.Found)
		}
	}
}

// Content is read again and again, so a pipe is refused without waiting for its writer.
// An audience may come from one, and the wait for it ends with the context.
func TestPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "pipe.csv")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}

	var s sources.Sources
	def := &campaign.Definition{Dir: dir, Audience: campaign.Audience{Source: "pipe.csv"}, Exclude: []campaign.Exclusion{{Source: "pipe.csv"}}}
	_, err := s.File(t.Context(), def, "content.html", "pipe.csv")
	if wrong, ok := errors.AsType[*input.WrongKind](err); !ok || wrong.Found != "a pipe" {
		t.Errorf("content: %v, want that it is a pipe", err)
	}

	ended, end := context.WithCancelCause(t.Context())
	errEnd := errors.New("the person went home")
	end(errEnd)
	if _, err := s.Audience(ended, def, ""); !errors.Is(err, errEnd) && (err == nil || !strings.Contains(err.Error(), errEnd.Error())) {
		t.Errorf("audience: %v, want the end of the context", err)
	}
	if _, err := s.Exclusions(ended, def, nil); err == nil || !strings.Contains(err.Error(), errEnd.Error()) {
		t.Errorf("exclude: %v, want the end of the context", err)
	}

	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = w.WriteString("email\nada@example.org\n")
		if err := errors.Join(err, w.Close()); err != nil {
			t.Error(err)
		}
	}()
	r, err := s.Audience(t.Context(), def, "")
	if err != nil {
		t.Fatal(err)
	}

	if got := addresses(t, r); got != "ada@example.org" {
		t.Errorf("audience: got %s", got)
	}
}
