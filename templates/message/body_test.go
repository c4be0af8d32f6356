package message

import (
	"errors"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces is a Body of texts that are fixed and values in turn.
type pieces struct {
	texts []string
	fixed []*Fixed // of every other text, from the first
	tidy  bool
}

func newPieces(texts []string, tidy bool) *pieces {
	p := &pieces{texts: texts, tidy: tidy}
	for i := 0; i < len(texts); i += 2 {
		p.fixed = append(p.fixed, NewFixed(texts[i], tidy))
	}
	return p
}

func (p *pieces) AppendTo(e *Encoder) error {
	if p.tidy {
		e.Tidy()
	}

	for i, s := range p.texts {
		var err error
		if i%2 == 0 {
			err = e.Fixed(p.fixed[i/2])
		} else {
			err = e.Value(s, nil)
		}
		if err != nil {
			return err
		}
	}

	return nil
}

// tidied is what Tidy promises, the plain way.
func tidied(s string) string {
	var out []string
	for line := range strings.SplitSeq(strings.ReplaceAll(crlf(s), "\r\n", "\n"), "\n") {
		line = strings.TrimRight(line, " \t")
		if line != "" || len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, line)
		}
	}

	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}

	if len(out) == 0 {
		return ""
	}

	return strings.Join(out, "\n") + "\n"
}

func encoded(t *testing.T, b Body, f form) string {
	t.Helper()
	var e Encoder
	got, err := e.encode([]byte("x\r\n"), b, f)
	if err != nil {
		t.Fatal(err)
	}
	return string(got[3:])
}

// checkPieces compares a text in pieces with the same text in one.
func checkPieces(t *testing.T, texts []string, tidy bool) {
	t.Helper()
	b := newPieces(texts, tidy)
	whole := strings.Join(texts, "")
	want := whole
	if tidy {
		want = tidied(whole)
	}
	if got := encoded(t, b, asItIs); got != want {
		t.Fatalf("%q, tidy %v: the text is %q, want %q", texts, tidy, got, want)
	}
	if got := encoded(t, b, canonical); got != crlf(want) {
		t.Fatalf("%q, tidy %v: with CRLF it is %q, want %q", texts, tidy, got, crlf(want))
	}

	got := encoded(t, b, quoted)
	checkLines(t, []byte(got))
	decoded, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(got)))
	if err != nil || string(decoded) != crlf(want) {
		t.Fatalf("%q, tidy %v: %q decodes to %q (%v), want %q", texts, tidy, got, decoded, err, crlf(want))
	}

	if strings.HasSuffix(got, "=") || strings.HasSuffix(got, softBreak) {
		t.Fatalf("%q: the text ends with a soft break: %q", texts, got)
	}

	// Without soft breaks of their own the pieces leave no trace.
	for _, f := range b.fixed {
		if f.inLine || f.open {
			return
		}
	}

	if diff := cmp.Diff(encoded(t, Text(want), quoted), got); diff != "" {
		t.Fatalf("%q, tidy %v: pieces differ from the whole (-want +got):\n%s", texts, tidy, diff)
	}

	var e, one Encoder
	if _, err := e.encode(nil, b, quoted); err != nil {
		t.Fatal(err)
	}
	if _, err := one.encode(nil, Text(want), quoted); err != nil {
		t.Fatal(err)
	}
	if e.octets != one.octets || e.high != one.high {
		t.Fatalf("%q, tidy %v: counted %d bytes and %d that are not ASCII, want %d and %d", texts, tidy, e.octets, e.high, one.octets, one.high)
	}
}

// texts are such that every end of a Fixed meets every beginning.
var texts = func() []string {
	long := strings.Repeat("long = ", 60)
	return []string{
		"", "a", " ", "\n", "a\n", "\na", "\n\n\n", " \n \n", "\n \na \n\t\n", "a\n\n\nb\n\n", ".", "\n.", "From a\n.b\n..", "a \nb\t\n c ", "Fro", "m x",
		"ü\nü\nü", "a\r", "\r\nb\r\n", "\n\r", long, "  " + long + "  ", "\n" + long + "\n", long + "\n\n" + long, strings.Repeat(" ", 200), "a\n" + strings.Repeat(" ", 200) + "\n" + strings.Repeat("ü", 100),
		strings.Repeat("a", 75), strings.Repeat("line\n", 5) + ".",
	}
}()

func TestPieces(t *testing.T) {
	t.Parallel()
	for _, a := range texts {
		for _, value := range []string{"", "x", " ", "\n", "\n\n", "v \n.w", "\nFrom ", strings.Repeat("v", 80)} {
			for _, b := range texts {
				checkPieces(t, []string{a, value, b}, false)
				checkPieces(t, []string{a, value, b}, true)
			}
		}
	}
}

// FuzzPieces: a text that comes in pieces, some of which were prepared, is the
// text that comes in one.
func FuzzPieces(f *testing.F) {
	for i, a := range texts {
		f.Add(a, "x", texts[(i+7)%len(texts)], "", texts[(i+13)%len(texts)], i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, a, v, b, w, c string, tidy bool) {
		checkPieces(t, []string{a, v, b, w, c}, tidy)
	})
}

// TestLongLinesAreEncodedOnce: a page in a single line is encoded beforehand
// but for what stands next to values.
func TestLongLinesAreEncodedOnce(t *testing.T) {
	t.Parallel()
	for _, tidy := range []bool{false, true} {
		f := NewFixed(strings.Repeat("<td>text</td>", 1000), tidy)
		if len(f.head)+len(f.tail) > 2*longLine || len(f.encoded) < 13_000 {
			t.Errorf("tidy %v: %d and %d bytes are left at the ends, %d encoded", tidy, len(f.head), len(f.tail), len(f.encoded))
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("a line\n", MaxBody/7/2)
	for _, f := range []form{asItIs, canonical, quoted} {
		for _, tidy := range []bool{false, true} {
			var e Encoder
			fits := newPieces([]string{half, strings.Repeat("x", MaxBody-2*len(half)), half}, tidy)
			if _, err := e.encode(nil, fits, f); err != nil {
				t.Errorf("form %d, tidy %v: the greatest text: %v", f, tidy, err)
			}
			fits.texts[1] += "x"
			if got, err := e.encode([]byte("before"), fits, f); !errors.Is(err, ErrTooLarge) || string(got) != "before" {
				t.Errorf("form %d, tidy %v: one byte more: %v and %d bytes, want ErrTooLarge and none", f, tidy, err, len(got))
			}
			if _, err := e.encode(nil, Text(half+half+half), f); !errors.Is(err, ErrTooLarge) {
				t.Errorf("form %d: one text: %v, want ErrTooLarge", f, err)
			}
		}
	}
}
