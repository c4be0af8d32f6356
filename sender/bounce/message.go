package bounce

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of one message; docs/limits.md lists them.
const (
	maxRead   = 25 << 20  // bytes that are read; what follows is left to the sender
	maxKept   = 1 << 20   // bytes that are looked at: notices come before what they return
	maxHeader = 128 << 10 // bytes of one header
	maxFields = 500       // fields of one header
	maxField  = 8 << 10   // bytes of one field
	maxDepth  = 10        // nested entities
	maxParts  = 100       // entities of a message
	maxText   = 64 << 10  // decoded bytes of one text
)

// ErrNoMessage is the error for something that is no message at all.
var ErrNoMessage = errors.New("this is no mail message")

// An entity is a message, or a part of one (RFC 2045 2.4). Nothing in it is
// refused: what cannot be understood as a multipart is a text.
type entity struct {
	header header
	kind   string            // media type in lower case, such as "text/plain"
	params map[string]string // of the Content-Type, names in lower case
	raw    []byte            // the body, as encoded

	// parts are those of a multipart. A message/rfc822 has one: the message.
	parts []*entity
}

// readMessage reads one message. Line ends may be CRLF, LF or CR.
func readMessage(r io.Reader) (*entity, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxKept))
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}

	// A program that pipes a message to us would fail if no one read its end.
	if _, err := io.CopyN(io.Discard, r, maxRead-maxKept); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read the message: %w", err)
	}

	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	raw = bytes.TrimLeft(unixLines(raw), "\n")
	m := (&parser{}).entity(raw, 0, "text/plain")
	if !m.header.ofMessage() {
		return nil, fmt.Errorf("%w: expected header fields such as From, To, Subject or Received, and found none", ErrNoMessage)
	}
	return m, nil
}

// unixLines makes every line end a LF, in place.
func unixLines(raw []byte) []byte {
	if bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}

	out := raw[:0]
	for i, c := range raw {
		if c == '\r' {
			if i+1 < len(raw) && raw[i+1] == '\n' {
				continue
			}
			c = '\n'
		}
		out = append(out, c)
	}
	return out
}

// A parser counts the entities of a message.
type parser struct {
	entities int
}

// entity takes an entity apart. usual is its media type where it does not say one.
func (p *parser) entity(raw []byte, depth int, usual string) *entity {
	p.entities++
	e := &entity{}
	e.header, e.raw = splitHeader(raw)
	if depth > 0 && !e.header.ofPart() && !e.header.ofMessage() {
		e.header = nil // a text that only begins like a header
		e.raw = raw
	}

	e.kind, e.params = contentType(e.header.get("Content-Type"), usual)
	if depth >= maxDepth {
		return e
	}

	switch {
	case strings.HasPrefix(e.kind, "multipart/"):
		for _, piece := range pieces(e.raw, e.params["boundary"]) {
			if p.entities >= maxParts {
				break
			}
			e.parts = append(e.parts, p.entity(piece, depth+1, "text/plain"))
		}
	case e.kind == "message/rfc822" || e.kind == "message/global":
		if p.entities < maxParts {
			inner := bytes.TrimLeft(e.decoded(maxKept), "\n")
			e.parts = []*entity{p.entity(inner, depth+1, "text/plain")}
		}
	}
	return e
}

// pieces divides the body of a multipart at its boundary (RFC 2046 5.1.1).
func pieces(body []byte, boundary string) [][]byte {
	if boundary == "" {
		return nil
	}

	delimiter := []byte("--" + boundary)
	var all [][]byte
	start := -1 // of the piece; below 0 in the preamble
	for at := 0; at < len(body) && len(all) < maxParts; {
		line, next := lineAt(body, at)
		rest, found := bytes.CutPrefix(line, delimiter)
		rest = bytes.TrimSpace(rest)
		if !found || len(rest) > 0 && string(rest) != "--" {
			at = next
			continue
		}

		if start >= 0 {
			all = append(all, body[start:at])
		}
		start = next
		if len(rest) > 0 {
			return all
		}
		at = next
	}

	if start >= 0 && start < len(body) {
		all = append(all, body[start:]) // cut off, or its last delimiter was forgotten
	}
	return all
}

// lineAt returns the line that begins at a place, without its end, and the place of
// the next one.
func lineAt(text []byte, at int) (line []byte, next int) {
	end := bytes.IndexByte(text[at:], '\n')
	if end < 0 {
		return text[at:], len(text)
	}
	return text[at : at+end], at + end + 1
}
