package audience

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// lines cuts a stream into lines, and finds what does not belong into a text file.
type lines struct {
	*stream
	ctx context.Context // of the reading, as Open has it

	buf     []byte
	r, w    int  // buf[r:w] is read but not returned
	scanned int  // buf[r:scanned] has no line end
	eof     bool // no more to read
	n       int  // number of the line last returned

	total int64 // bytes of text read
	free  int64 // how many of them may be read before the ratio counts

	// suspect is set by the first byte that is NUL or not ASCII. From then on
	// every line is looked at.
	suspect  bool
	utf8Line int // first line with valid letters beyond ASCII

	back []byte // a line that next returns once more

	keep bool   // next adds the lines that it returns to kept
	kept []byte // with an LF before each
}

func newLines(ctx context.Context, s *stream) *lines {
	return &lines{stream: s, ctx: ctx, buf: make([]byte, 64<<10), free: freeText}
}

// next returns the next line without its end (LF or CRLF). It is valid until
// the next call. Errors: io.EOF, *FileError, of the context, of reading.
func (l *lines) next() ([]byte, error) {
	line, err := l.cut()
	if l.keep {
		l.kept = append(append(l.kept, '\n'), line...)
	}
	return line, err
}

// nextFull is next for the next line that is not blank.
func (l *lines) nextFull() ([]byte, error) {
	for {
		line, err := l.next()
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, err
		}
	}
}

// putBack has next return once more the line that it returned last.
func (l *lines) putBack(line []byte) {
	l.back = line
	l.n--
}

// cut is next without keeping.
func (l *lines) cut() ([]byte, error) {
	if line := l.back; line != nil {
		l.back = nil
		l.n++
		return line, nil
	}

	for {
		if i := bytes.IndexByte(l.buf[l.scanned:l.w], '\n'); i >= 0 {
			line := l.buf[l.r : l.scanned+i]
			l.r = l.scanned + i + 1
			l.scanned = l.r
			return l.check(line)
		}

		l.scanned = l.w
		if l.eof {
			if l.r == l.w {
				return nil, l.end()
			}
			line := l.buf[l.r:l.w]
			l.r = l.w
			return l.check(line)
		}

		if l.w-l.r > maxLine {
			return nil, l.tooLong(l.n + 1)
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// firstLine returns the first line that is not blank; the caller may keep it.
func (l *lines) firstLine() ([]byte, error) {
	line, err := l.nextFull()
	if err == io.EOF {
		return nil, l.empty()
	}
	return bytes.Clone(line), err
}

// end returns the error that follows the last line.
func (l *lines) end() error {
	if l.charset != nil && l.charset.watch != nil {
		if err := l.charset.watch.verdict(l.name, l.charset.name); err != nil {
			return err
		}
	}
	return io.EOF
}

// fill reads more into buf.
func (l *lines) fill() error {
	if err := context.Cause(l.ctx); err != nil {
		return fmt.Errorf("read %s: %w", l.name, err)
	}

	if l.r > 0 {
		copy(l.buf, l.buf[l.r:l.w])
		l.w -= l.r
		l.scanned -= l.r
		l.r = 0
	}

	if l.w == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}

	n, err := l.text.Read(l.buf[l.w:])
	if !l.suspect {
		l.suspect = !plain(l.buf[l.w : l.w+n])
	}

	l.w += n
	l.total += int64(n)
	if l.packed != "" && l.total > l.free && l.total/maxRatio > l.raw.n {
		return l.at(l.n+1, fmt.Sprintf("%d bytes of %s data have become more than %d MiB of text: that is not a list of people", l.raw.n, l.packed, l.total>>20),
			"look into the file; if it is what you want, unpack it first")
	}

	if err == io.EOF {
		l.eof = true
		return nil
	}

	if err != nil {
		return l.fail(l.n+1, err)
	}

	return nil
}

// plain reports whether b is ASCII without NUL.
func plain(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return false
	}

	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}

	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}

	return true
}

// check removes the CR, and refuses what puts the file in doubt.
func (l *lines) check(line []byte) ([]byte, error) {
	l.n++
	if len(line) > maxLine {
		return nil, l.tooLong(l.n)
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if !l.suspect || plain(line) {
		return line, nil
	}
	if i := bytes.IndexByte(line, 0); i >= 0 {
		return nil, l.damaged(l.nul(line, i))
	}

	if l.charset != nil {
		if i := bytes.Index(line, []byte("\ufffd")); i >= 0 {
			return nil, l.damaged(l.at(l.n, fmt.Sprintf("byte %d of the line is not a character of %s", i+1, l.charset.name),
				"the file is broken or in another encoding: correct encoding, or save the file as UTF-8"))
		}
		return line, nil
	}

	if !utf8.Valid(line) {
		return nil, l.damaged(l.notUTF8(line))
	}
	if l.utf8Line == 0 {
		l.utf8Line = l.n
	}

	return line, nil
}

// damaged finds out whether a compressed file with a broken character is broken as a
// whole, which its checksum shows at the end: then that is the error to report.
func (l *lines) damaged(found *FileError) error {
	if l.packed == "" {
		return found
	}
	const most = 256 << 20 // bytes of text to look through
	if _, err := io.Copy(io.Discard, io.LimitReader(l.text, most)); err != nil {
		return l.fail(l.n, err)
	}
	return found
}

func (l *lines) nul(line []byte, i int) *FileError {
	if bytes.Count(line, []byte{0})*3 >= len(line) && len(line) > 1 {
		return l.at(l.n, "every other byte is NUL, as in UTF-16", "save the file as UTF-8, or say encoding: utf-16le")
	}
	return l.at(l.n, fmt.Sprintf("NUL byte at byte %d of the line: this is not a text file, or it is damaged", i+1), "export it again")
}

func (l *lines) notUTF8(line []byte) *FileError {
	i := 0
	for i < len(line) {
		r, size := utf8.DecodeRune(line[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}

	if l.utf8Line > 0 {
		return l.at(l.n, fmt.Sprintf("mixed encodings: byte %d (%#02x) is not UTF-8, while line %d is", i+1, line[i], l.utf8Line),
			"convert the whole file to one encoding, preferably UTF-8")
	}

	return l.at(l.n, fmt.Sprintf("byte %d of the line (%#02x) is not UTF-8", i+1, line[i]),
		"save the file as UTF-8, or say in which encoding it is: encoding: windows-1252 is usual for files from Windows")
}

func (l *lines) tooLong(line int) error {
	return l.at(line, "a line of more than 1 MiB", "check for a missing line end or an open quote")
}

// at makes a FileError of a line.
func (l *lines) at(line int, what, fix string) *FileError {
	return &FileError{File: l.name, Line: line, What: what, Fix: fix}
}
