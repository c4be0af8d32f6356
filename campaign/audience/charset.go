package audience

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// A charset is a declared encoding other than UTF-8.
type charset struct {
	name  string
	watch *utf8Watch // nil when UTF-8 cannot be mistaken for the encoding
}

var (
	bomUTF8    = []byte{0xef, 0xbb, 0xbf}
	bomUTF16LE = []byte{0xff, 0xfe}
	bomUTF16BE = []byte{0xfe, 0xff}
)

// decode turns the stream into UTF-8 without a byte order mark.
func (s *stream) decode(name string) error {
	enc, utf16, err := s.encodingOf(name)
	if err != nil {
		return err
	}

	head, mark, err := s.peek(3)
	if err != nil {
		return err
	}

	if len(mark) == 0 {
		return s.empty()
	}

	switch {
	case bytes.HasPrefix(mark, bomUTF8) && enc != nil:
		return s.errorf("leave encoding out", "it begins with the mark of UTF-8, encoding says %s", name)
	case bytes.HasPrefix(mark, bomUTF8):
		_, err := head.Discard(len(bomUTF8))
		return err
	case (bytes.HasPrefix(mark, bomUTF16LE) || bytes.HasPrefix(mark, bomUTF16BE)) && !utf16:
		return s.errorf("save it as UTF-8, or say encoding: utf-16", "it begins with the mark of UTF-16")
	case enc == nil:
		return nil
	}

	s.charset = &charset{name: name}
	if latin(name) {
		s.charset.watch = &utf8Watch{r: head}
		s.text = s.charset.watch
	}

	s.text = enc.NewDecoder().Reader(s.text)
	return nil
}

// encodingOf returns the named encoding, nil for UTF-8, and whether it is one
// of the UTF-16 family.
func (s *stream) encodingOf(name string) (enc encoding.Encoding, utf16 bool, err error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil, false, nil
	case "utf-16", "utf16", "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), true, nil
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), true, nil
	}

	// The WHATWG names first: they read "latin1" as browsers do, with the
	// quotes and the euro sign of windows-1252.
	if enc, err = htmlindex.Get(name); err != nil {
		enc, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || enc == nil || enc == encoding.Replacement {
		return nil, false, s.errorf("use an IANA name such as windows-1252, iso-8859-15 or shift_jis", "unknown encoding %q", name)
	}

	return enc, false, nil
}

// latin reports whether name is an encoding in which UTF-8 reads as text like
// "MÃ¼ller", which people do not write.
func latin(name string) bool {
	enc, err := htmlindex.Get(name)
	if err != nil {
		return false
	}
	canonical, err := htmlindex.Name(enc)
	return err == nil && (canonical == "windows-1252" || canonical == "iso-8859-15")
}

// A utf8Watch counts the letters that are UTF-8, and those that are not, in a file
// that is said to be Latin. One or two may be there by chance ("MENÜ®").
type utf8Watch struct {
	r           io.Reader
	tail        []byte // an unfinished sequence
	line        int    // line ends read so far
	first       int    // line of the first sequence
	multi, lone int    // UTF-8 sequences, other bytes beyond ASCII
}

func (w *utf8Watch) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.look(p[:n], err != nil)
	return n, err
}

func (w *utf8Watch) look(b []byte, last bool) {
	if len(w.tail) > 0 {
		b = append(w.tail, b...)
	}

	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			if b[0] == '\n' {
				w.line++
			}
			b = b[1:]
			continue
		}

		if !last && !utf8.FullRune(b) {
			break
		}
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			w.lone++
		} else {
			w.multi++
			if w.multi == 1 {
				w.first = w.line + 1
			}
		}

		b = b[size:]
	}

	w.tail = append([]byte(nil), b...)
}

// verdict is asked at the end of the file.
func (w *utf8Watch) verdict(name, declared string) error {
	const chance = 3
	switch {
	case w.multi < chance || w.multi*20 < w.lone:
		return nil
	case w.lone == 0:
		return &FileError{File: name, Line: w.first, What: "the file is UTF-8, encoding says " + declared, Fix: "leave encoding out"}
	}

	return &FileError{
		File: name, Line: w.first,
		What: fmt.Sprintf("mixed encodings: %d letters are UTF-8, %d are %s", w.multi, w.lone, declared),
		Fix:  "convert the whole file to one encoding, preferably UTF-8",
	}
}
