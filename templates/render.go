package templates

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"broadside/configs/strictyaml"
	"broadside/templates/message"
)

// maxSubject is the length of a rendered subject in characters. A longer one is
// cut: no mail program shows as much.
const maxSubject = 250

// ErrTooLarge is in the chain of Render's error when a part would be larger
// than 2 MiB.
var ErrTooLarge = message.ErrTooLarge

// ErrTooMuch is in the chain of Render's error when the values are so long
// that the template's functions would need too much time for them.
var ErrTooMuch = errors.New("the values are too long for this template: its functions would handle more than 256 MiB of text")

// A Template is a compiled snapshot. It is safe for concurrent use.
type Template struct {
	columns []string
	fields  []string  // all that have a value: columns, the unsubscribe link, those of follow
	follow  *follower // nil: links stay as they are
	single  bool      // there is nothing to unsubscribe from
	subject part
	html    part
	text    part
	work    bound

	pageSize int // bytes of the HTML, with fields of a letter or none
}

// A part is one template, and the program that does the same faster, or nil if
// there is none.
type part struct {
	template interface {
		Execute(w io.Writer, data any) error
	}
	flat program
	name string // for errors
	tidy bool   // the text part was made here, and its gaps are closed
}

// Data is what is different for each recipient.
type Data struct {
	Values      []string // in the order of Snapshot.Columns
	Unsubscribe string   // the recipient's unsubscribe URL
	Reader      string   // the recipient's token, where the campaign follows opens or clicks
}

// A Letter is what one recipient reads. HTML and Text are reused by the next
// Render into the same Letter.
type Letter struct {
	Subject    string // one line, without control characters
	HTML, Text []byte
}

// A Rendering is the letter to one recipient, about to be written into their
// message. It can be used again for the next one, of any Template, but not
// copied.
type Rendering struct {
	Subject string // as in Letter

	encoder message.Encoder
	line    []byte            // of the subject
	values  map[string]string // empty if all parts are flat
	flat    flatData

	subject, html, text, link body
}

// A body writes one part of a Rendering.
type body struct {
	of   *Rendering
	part *part
}

// AppendTo implements message.Body.
func (b *body) AppendTo(e *message.Encoder) error {
	if b.part.tidy {
		e.Tidy()
	}

	var err error
	if b.part.flat != nil {
		err = b.part.flat.run(e, &b.of.flat)
	} else {
		err = b.part.template.Execute(e, b.of.values)
	}

	if err != nil {
		return fmt.Errorf("render the %s: %w", b.part.name, err)
	}

	return nil
}

// HTML returns the HTML part, until the next Begin.
func (r *Rendering) HTML() message.Body { return &r.html }

// Text returns the text part, until the next Begin.
func (r *Rendering) Text() message.Body { return &r.text }

// Letter fills l with what the recipient reads. Its error is ErrTooLarge.
func (r *Rendering) Letter(l *Letter) (err error) {
	l.Subject = r.Subject
	if l.HTML, err = r.encoder.AppendText(l.HTML[:0], &r.html); err != nil {
		return err
	}
	l.Text, err = r.encoder.AppendText(l.Text[:0], &r.text)
	return err
}

// Render fills l for one recipient. After Compile an error means that d does
// not fit the snapshot, or that the result or the work would be too large
// (ErrTooLarge, ErrTooMuch).
func (t *Template) Render(l *Letter, d Data) error {
	var r Rendering
	if err := t.Begin(&r, d); err != nil {
		return err
	}
	return r.Letter(l)
}

// Begin makes r the letter to one recipient. Its errors are those of Render;
// HTML and text may still be too large when they are written.
func (t *Template) Begin(r *Rendering, d Data) error {
	if len(d.Values) != len(t.columns) {
		return fmt.Errorf("render: %d values for %d columns", len(d.Values), len(t.columns))
	}
	if d.Unsubscribe == "" && !t.single {
		return errors.New("render: there is no unsubscribe link")
	}

	values := r.flat.values[:0]
	longest := len(d.Unsubscribe)
	for _, v := range d.Values {
		v = cleanValue(v)
		longest = max(longest, len(v))
		values = append(values, v)
	}

	if t.work.of(longest) > maxWork {
		return fmt.Errorf("render: %w", ErrTooMuch)
	}

	values, err := t.follow.appendValues(append(values, d.Unsubscribe), r, d.Reader)
	if err != nil {
		return err
	}
	return t.begin(r, values)
}

// begin is Begin with the values of all fields as they are.
func (t *Template) begin(r *Rendering, values []string) (err error) {
	r.flat = flatData{values: values}
	r.subject = body{r, &t.subject}
	r.html = body{r, &t.html}
	r.text = body{r, &t.text}
	if t.subject.flat == nil || t.html.flat == nil || t.text.flat == nil {
		if r.values == nil {
			r.values = make(map[string]string, len(values))
		}
		clear(r.values)
		for i, field := range t.fields {
			r.values[field] = values[i]
		}
	}

	if r.line, err = r.encoder.AppendText(r.line[:0], &r.subject); err != nil {
		return err
	}

	r.Subject = cleanSubject(string(r.line))
	return nil
}

// cleanValue makes a merge value plain text: what is not UTF-8 is replaced, and
// control characters other than tabs and line breaks become blanks.
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

// cleanSubject makes a rendered subject one line. No value can end the line, and
// with it the header, or reverse the direction in which it is read.
func cleanSubject(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if strictyaml.ChangesDirection(r) {
			return -1
		}
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
