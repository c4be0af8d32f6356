package audience

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// bomb is n lines that compress to nearly nothing.
func bomb(t *testing.T, pack func(io.Writer) io.WriteCloser, n int) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := pack(&b)
	_, err := io.WriteString(w, "email\n"+strings.Repeat("a@example.org\n", n))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

// TestBombs: a small file that becomes a large one is no list, unless it is
// small enough to be read whatever it is.
func TestBombs(t *testing.T) {
	t.Parallel()
	for name, pack := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"Zstandard": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	} {
		for _, c := range []struct {
			free int64
			want string
		}{{1 << 20, " of " + name + " data have become more than "}, {freeText, ""}} {
			s, err := openStream(t.Context(), Source{Path: "-", Reader: bomb(t, pack, 300_000)}, Options{})
			if err != nil {
				t.Fatal(err)
			}

			l := newLines(t.Context(), s)
			l.free = c.free
			first, err := l.firstLine()
			if err != nil {
				t.Fatal(err)
			}

			d, err := newCSV(l, first, Options{})
			if err != nil {
				t.Fatal(err)
			}

			r := newReader(l, d.plan, d.next)
			for row := (Row{}); err == nil; {
				err = r.Next(&row)
			}
			var file *FileError
			switch {
			case c.want == "" && err != io.EOF:
				t.Errorf("%s: %v", name, err)
			case c.want != "" && (!errors.As(err, &file) || !strings.Contains(err.Error(), c.want) || file.Fix == ""):
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}

			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNamesOfColumnsAreBounded(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", maxHeader)
	for _, text := range []string{"email," + name + "\na@example.org,x\n", `{"email":"a@example.org","` + name + `":"x"}`} {
		for _, long := range []bool{false, true} {
			if long {
				text = strings.Replace(text, name, name+"n", 1)
			}
			r, err := Open(t.Context(), Source{Path: "-", Reader: strings.NewReader(text)}, Options{})
			if long && (err == nil || !strings.Contains(err.Error(), "standard input:1: the name of column 2 has 1025 bytes")) || !long && err != nil {
				t.Errorf("%.30s, too long: %v: %v", text, long, err)
			}
			if r != nil {
				r.Close()
			}
		}
	}
}
