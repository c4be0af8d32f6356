package mailfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// all returns the names and the texts of messages.
func all(t *testing.T, each func(func(Message) error) error) (names, texts []string) {
	t.Helper()
	err := each(func(m Message) error {
		text, err := io.ReadAll(m)
		names = append(names, m.Name)
		texts = append(texts, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, texts
}

func TestMessagesOfAStream(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxLine)
	from := "From ann@example.net Thu Jan  1 00:00:00 2026\n"
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"one message", "Subject: a\n\nFrom 10:00 on\n", []string{"Subject: a\n\nFrom 10:00 on\n"}},
		{"nothing", "", []string{""}},
		{"an mbox of one", from + "Subject: a\n\nb\n", []string{"Subject: a\n\nb\n"}},
		{"an mbox of two", from + "Subject: a\n\nb\n\n" + from + "Subject: c\n", []string{"Subject: a\n\nb\n\n", "Subject: c\n"}},
		{"with CRLF", strings.ReplaceAll(from+"a: b\n\nc\n\n"+from+"d: e\n", "\n", "\r\n"), []string{"a: b\r\n\r\nc\r\n\r\n", "d: e\r\n"}},
		{"a line of the text is no From line", from + "a: b\n\nc\n" + from + "\nFrom here on\n", []string{"a: b\n\nc\n" + from + "\nFrom here on\n"}},
		{"marked lines", from + "a: b\n\n>From c\n>>From d\n> From e\n", []string{"a: b\n\nFrom c\n>From d\n> From e\n"}},
		{"a long line", from + "a: b\n\n" + long + "\n\n" + from + long, []string{"a: b\n\n" + long + "\n\n", long}},
		{"a From line at the end", from + "a: b\n\n" + from, []string{"a: b\n\n", ""}},
		{"a From line that was cut off", from + "a: b\n\n" + strings.TrimSuffix(from, "\n"), []string{"a: b\n\n", ""}},
	} {
		_, got := all(t, func(do func(Message) error) error {
			return EachOf(iotest.HalfReader(strings.NewReader(test.in)), "x", do)
		})
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: found %.300q, expected %.300q", test.name, got, test.want)
		}
	}
}

func TestUnreadMessagesAreSkipped(t *testing.T) {
	t.Parallel()
	box := strings.Repeat("From ann@example.net 10:00\nSubject: a\n\nb\n\n", 3)
	var names []string
	err := EachOf(strings.NewReader(box), "box", func(m Message) error {
		names = append(names, m.Name)
		return nil
	})
	if want := []string{"box, message 1", "box, message 2", "box, message 3"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("found %v, %v", names, err)
	}
}

func TestErrorsEndTheReading(t *testing.T) {
	t.Parallel()
	box := strings.Repeat("From ann@example.net 10:00\nSubject: a\n\nb\n\n", 3)
	stop := errors.New("stop")
	count := 0
	err := EachOf(strings.NewReader(box), "box", func(Message) error { count++; return stop })
	if err != stop || count != 1 {
		t.Errorf("found %v after %d messages, expected the error of the first", err, count)
	}

	broken := io.MultiReader(strings.NewReader(box), iotest.ErrReader(stop))
	if err := EachOf(broken, "box", func(Message) error { return nil }); err != stop {
		t.Errorf("found %v, expected the error of the reader", err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesOfAMaildir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "new", "2"), "a: b\n")
	write(t, filepath.Join(dir, "new", ".hidden"), "no\n")
	write(t, filepath.Join(dir, "cur", "1:2,S"), "c: d\n")
	write(t, filepath.Join(dir, "tmp", "3"), "not yet\n")

	names, texts := all(t, func(do func(Message) error) error { return Each(t.Context(), dir, do) })
	if want := []string{"a: b\n", "c: d\n"}; !slices.Equal(texts, want) {
		t.Errorf("found %q, expected %q", texts, want)
	}
	if want := filepath.Join(dir, "cur", "1:2,S"); names[1] != want {
		t.Errorf("found the name %s, expected %s", names[1], want)
	}
}

func TestWhatIsNoMailFile(t *testing.T) {
	t.Parallel()
	none := func(Message) error { return nil }
	err := Each(t.Context(), t.TempDir(), none)
	if err == nil || !strings.Contains(err.Error(), "expected a file, or a maildir") {
		t.Errorf("a directory: found %v", err)
	}
	if err := Each(t.Context(), filepath.Join(t.TempDir(), "none"), none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: found %v", err)
	}
}

func FuzzEachOf(f *testing.F) {
	f.Add("From ann@example.net 10:00\nSubject: a\n\n>From b\n\nFrom c 11:11\nd")
	f.Add("Subject: a\n\nb")
	f.Fuzz(func(t *testing.T, in string) {
		size := 0
		err := EachOf(strings.NewReader(in), "x", func(m Message) error {
			n, err := io.Copy(io.Discard, m)
			size += int(n)
			return err
		})
		if err != nil || size > len(in) {
			t.Errorf("%d bytes of %d, %v", size, len(in), err)
		}
	})
}
