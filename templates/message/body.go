package message

import (
	"bytes"
	"errors"
)

// MaxBody is how many bytes of text a part may have.
const MaxBody = 2 << 20

// ErrTooLarge is in the chain of the error about a part with more text.
var ErrTooLarge = errors.New("the rendered part is larger than 2 MiB")

// A Body is the text of one part. AppendTo adds it to e, and adds the same text each
// time. An error ends the message.
type Body interface {
	AppendTo(e *Encoder) error
}

// A form is how an Encoder writes text.
type form int

const (
	asItIs    form = iota
	canonical      // with CRLF line ends
	quoted         // as quoted-printable
)

// An Encoder takes the text of a part in pieces and appends it, encoded, to a
// message. A line with values in it is gathered, and encoded when it ends; what
// stands between such lines was encoded once, in a Fixed.
//
// After an error the message is undefined.
type Encoder struct {
	dst    []byte
	line   []byte // the current line, as far as it is not in dst
	form   form
	tidy   bool
	broken bool // dst has the beginning of the line: a soft break goes before the rest
	cr     bool // the text ended with CR: an LF would belong to it
	begun  bool // tidy: dst has a line
	gap    bool // tidy: blank lines were left out since then

	size         int // bytes of text that came in
	octets, high int // bytes of text that went out, and how many of them are not ASCII
}

// start begins a part behind dst.
func (e *Encoder) start(dst []byte, f form) {
	*e = Encoder{dst: dst, line: e.line[:0], form: f}
}

// AppendText appends the text of a body to dst unchanged, except by Tidy.
func (e *Encoder) AppendText(dst []byte, b Body) ([]byte, error) {
	return e.encode(dst, b, asItIs)
}

// encode appends a body to dst.
func (e *Encoder) encode(dst []byte, b Body, f form) ([]byte, error) {
	e.start(dst, f)
	if err := b.AppendTo(e); err != nil {
		return dst, err
	}
	e.finish()
	return e.dst, nil
}

// Tidy must be called before there is text. It leaves out blanks at line ends, blank
// lines at the beginning and at the end, and all but one of several blank lines in a
// row. Every line then has a line end.
func (e *Encoder) Tidy() { e.tidy = true }

// Write adds text. Its error is ErrTooLarge.
func (e *Encoder) Write(p []byte) (int, error) {
	if err := e.count(len(p)); err != nil {
		return 0, err
	}

	if e.verbatim() {
		e.dst = append(e.dst, p...)
		return len(p), nil
	}

	e.line = append(e.line, p...)
	e.endLines(len(p))

	return len(p), nil
}

// Value adds a text as escape appends it, or unchanged if escape is nil. Its error is
// ErrTooLarge.
func (e *Encoder) Value(s string, escape func(dst []byte, s string) []byte) error {
	to := &e.line
	if e.verbatim() {
		to = &e.dst
	}

	from := len(*to)
	if escape == nil {
		*to = append(*to, s...)
	} else {
		*to = escape(*to, s)
	}

	n := len(*to) - from
	if err := e.count(n); err != nil || e.verbatim() {
		return err
	}

	e.endLines(n)
	return nil
}

// Fixed adds a prepared text. It must have been prepared for an Encoder that is tidy
// if this one is. Its error is ErrTooLarge.
func (e *Encoder) Fixed(f *Fixed) error {
	if e.form != quoted || !f.ready || e.cr {
		return e.Value(f.text, nil)
	}
	if err := e.count(len(f.text)); err != nil {
		return err
	}

	e.line = append(e.line, f.head...)
	if f.inLine {
		e.breakLine()
	} else {
		e.endLine(e.line)
	}

	e.line = append(e.line[:0], f.tail...)
	e.block(f)

	return nil
}

// block appends the part of f that is already encoded.
func (e *Encoder) block(f *Fixed) {
	e.gap = e.gap || f.before
	if len(f.encoded) == 0 {
		return
	}

	e.fill()
	if e.broken {
		e.dst = append(e.dst, softBreak...)
	}

	e.dst = append(e.dst, f.encoded...)
	e.broken = f.open
	e.gap = f.after
	e.octets += f.octets
	e.high += f.high
}

// verbatim reports whether text goes out as it comes in.
func (e *Encoder) verbatim() bool { return e.form == asItIs && !e.tidy }

func (e *Encoder) count(n int) error {
	e.size += n
	if e.size > MaxBody {
		return ErrTooLarge
	}
	return nil
}

// endLines writes the lines that ended within the last n bytes of e.line.
func (e *Encoder) endLines(n int) {
	start := 0
	at := len(e.line) - n
	if e.cr && n > 0 {
		e.cr = false
		if e.line[at] == '\n' {
			at++ // the second half of CRLF
			start = at
		}
	}

	for returns := bytes.IndexByte(e.line[at:], '\r') >= 0; ; start = at {
		var i int
		if returns {
			i = bytes.IndexAny(e.line[at:], "\r\n")
		} else {
			i = bytes.IndexByte(e.line[at:], '\n')
		}

		if i < 0 {
			break
		}
		end := at + i
		e.endLine(e.line[start:end])
		at = end + 1
		if e.line[end] == '\r' {
			e.cr = at == len(e.line)
			if !e.cr && e.line[at] == '\n' {
				at++
			}
		}
	}

	if start > 0 {
		e.line = append(e.line[:0], e.line[start:]...)
	}
}

// endLine writes the rest of a line, and its end.
func (e *Encoder) endLine(rest []byte) {
	if e.tidy {
		rest = bytes.TrimRight(rest, " \t")
		if len(rest) == 0 && !e.broken {
			e.gap = true
			return
		}
		e.fill()
	}

	e.writePiece(rest)
	e.newline()
	e.broken = false
}

// breakLine writes what there is of the current line, which is not blank.
func (e *Encoder) breakLine() {
	e.fill()
	e.writePiece(e.line)
	e.broken = e.broken || len(e.line) > 0
}

// fill writes the blank line for a gap: a line that is not blank follows.
func (e *Encoder) fill() {
	if e.gap && e.begun {
		e.newline()
	}
	e.gap = false
	e.begun = true
}

// writePiece writes a piece of a line.
func (e *Encoder) writePiece(piece []byte) {
	if len(piece) == 0 {
		return
	}

	e.octets += len(piece)
	e.high += highBytes(piece)
	if e.form != quoted {
		e.dst = append(e.dst, piece...)
		return
	}

	if e.broken {
		e.dst = append(e.dst, softBreak...)
	}

	e.dst = appendQPLine(e.dst, piece)
}

func (e *Encoder) newline() {
	e.octets++
	if e.form != asItIs {
		e.dst = append(e.dst, '\r')
	}
	e.dst = append(e.dst, '\n')
}

// finish writes what is left of the last line.
func (e *Encoder) finish() {
	switch {
	case e.verbatim():
	case !e.tidy:
		e.writePiece(e.line)
	case len(e.line) > 0 || e.broken:
		e.endLine(e.line)
	}
}

// preferBase64 reports whether base64 makes the shorter text: each byte that
// is not ASCII takes three in quoted-printable, against four for three.
func (e *Encoder) preferBase64() bool { return e.high*6 > e.octets }
