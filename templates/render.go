package templates

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxSubject is the length of a rendered subject in characters; what is
// longer is cut. No reader shows as much.
const maxSubject = 250

// ErrTooLarge is in the chain of Render's error when a part would be larger
// than 2 MiB.
var ErrTooLarge = errors.New("the rendered part is larger than 2 MiB")

// ErrTooMuch is in the chain of Render's error when the values are so long
// that the template's functions would take too much time over them.
var ErrTooMuch = errors.New("the values are too long for this template: its functions would handle more than 256 MiB of text")

// A Template is a compiled snapshot. It is safe for concurrent use.
type Template struct {
	columns []string
	subject part
	html    part
	text    part
	tidy    bool // the text part was made here: gaps are closed
	work    bound
	scratch sync.Pool
}

// A part is one template, and the program that does the same faster; nil
// while there is none.
type part struct {
	template interface {
		Execute(w io.Writer, data any) error
	}
	flat program
}

func (p part) render(sc *scratch) error {
	if p.flat != nil {
		return p.flat.run(&sc.out, &sc.flat)
	}
	return p.template.Execute(&sc.out, sc.values)
}

// Data is what one recipient has of its own.
type Data struct {
	Values      []string // in the order of Snapshot.Columns
	Unsubscribe string   // the recipient's unsubscribe URL
}

// A Letter is what one recipient reads. HTML and Text are reused by the next
// Render into the same Letter.
type Letter struct {
	Subject    string // one line, without control characters
	HTML, Text []byte
}

// scratch is what one Render needs and the next can use again.
type scratch struct {
	values map[string]string // empty if all parts are flat
	flat   flatData
	out    limited
}

// Render fills l for one recipient. After Compile an error means that d does
// not fit the snapshot, or that the result or the work would be too large
// (ErrTooLarge, ErrTooMuch).
func (t *Template) Render(l *Letter, d Data) error {
	if len(d.Values) != len(t.columns) {
		return fmt.Errorf("render: %d values for %d columns", len(d.Values), len(t.columns))
	}
	if d.Unsubscribe == "" {
		return errors.New("render: there is no unsubscribe link")
	}
	sc, _ := t.scratch.Get().(*scratch)
	if sc == nil {
		sc = &scratch{values: make(map[string]string, len(t.columns)+1)}
	}
	defer t.scratch.Put(sc)
	sc.flat.values = sc.flat.values[:0]
	longest := len(d.Unsubscribe)
	for _, v := range d.Values {
		v = cleanValue(v)
		longest = max(longest, len(v))
		sc.flat.values = append(sc.flat.values, v)
	}
	if t.work.of(longest) > maxWork {
		return fmt.Errorf("render: %w", ErrTooMuch)
	}
	sc.flat.values = append(sc.flat.values, d.Unsubscribe)
	if t.subject.flat == nil || t.html.flat == nil || t.text.flat == nil {
		for i, c := range t.columns {
			sc.values[c] = sc.flat.values[i]
		}
		sc.values[unsubscribeField] = d.Unsubscribe
	}
	return t.render(l, sc)
}

func (t *Template) render(l *Letter, sc *scratch) error {
	sc.out.b = sc.out.b[:0]
	if err := t.subject.render(sc); err != nil {
		return fmt.Errorf("render the subject: %w", err)
	}
	l.Subject = cleanSubject(string(sc.out.b))

	kept := sc.out.b
	defer func() { sc.out.b = kept }() // the letter owns its own buffers

	sc.out.b = l.HTML[:0]
	err := t.html.render(sc)
	l.HTML = sc.out.b
	if err != nil {
		return fmt.Errorf("render the HTML: %w", err)
	}
	sc.out.b = l.Text[:0]
	err = t.text.render(sc)
	l.Text = sc.out.b
	if err != nil {
		return fmt.Errorf("render the text part: %w", err)
	}
	if t.tidy {
		l.Text = tidy(l.Text)
	}
	return nil
}

// A limited is a buffer that ends at maxOutput.
type limited struct{ b []byte }

func (w *limited) Write(p []byte) (int, error) {
	if len(w.b)+len(p) > maxOutput {
		return 0, ErrTooLarge
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// writeString is Write for a program; all or nothing is written.
func (w *limited) writeString(s string) error {
	if len(w.b)+len(s) > maxOutput {
		return ErrTooLarge
	}
	w.b = append(w.b, s...)
	return nil
}

// cleanValue makes a merge value text: what is not UTF-8 is replaced, control
// characters other than tab and line breaks become blanks.
func cleanValue(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f || s[i] == '\t' || s[i] == '\n'
	}
	if clean {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\t' || r == '\n':
			return r
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
}

// cleanSubject makes one line of a rendered subject: no value can end it, and
// with it the header.
func cleanSubject(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
	if len(s) <= maxSubject || utf8.RuneCountInString(s) <= maxSubject {
		return s
	}
	runes := []rune(s)
	return strings.TrimSpace(string(runes[:maxSubject-1])) + "…"
}
