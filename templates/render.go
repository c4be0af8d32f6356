package templates

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"sync"
	texttemplate "text/template"
	"unicode"
	"unicode/utf8"
)

// maxSubject is the length of a rendered subject in characters; what is
// longer is cut. No reader shows as much.
const maxSubject = 250

// ErrTooLarge is in the chain of Render's error when a part would be larger
// than 2 MiB.
var ErrTooLarge = errors.New("the rendered part is larger than 2 MiB")

// A Template is a compiled snapshot. It is safe for concurrent use.
type Template struct {
	columns []string
	subject *texttemplate.Template
	html    *htmltemplate.Template
	text    *texttemplate.Template
	tidy    bool // the text part was made here: gaps are closed
	scratch sync.Pool
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
	values map[string]string
	out    limited
}

// Render fills l for one recipient. After Compile an error means that d does
// not fit the snapshot, or that the result is too large (ErrTooLarge).
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
	for i, c := range t.columns {
		sc.values[c] = cleanValue(d.Values[i])
	}
	sc.values[unsubscribeField] = d.Unsubscribe
	return t.render(l, sc)
}

func (t *Template) render(l *Letter, sc *scratch) error {
	sc.out.b = sc.out.b[:0]
	if err := t.subject.Execute(&sc.out, sc.values); err != nil {
		return fmt.Errorf("render the subject: %w", err)
	}
	l.Subject = cleanSubject(string(sc.out.b))

	kept := sc.out.b
	defer func() { sc.out.b = kept }() // the letter owns its own buffers

	sc.out.b = l.HTML[:0]
	err := t.html.Execute(&sc.out, sc.values)
	l.HTML = sc.out.b
	if err != nil {
		return fmt.Errorf("render the HTML: %w", err)
	}
	sc.out.b = l.Text[:0]
	err = t.text.Execute(&sc.out, sc.values)
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
