package sink

import (
	"bufio"
	"bytes"
)

const (
	maxMessage = 50 << 20 // bytes, as SIZE says
	maxHeader  = 64 << 10 // how far a Message-ID is looked for
	keepBuffer = 1 << 20  // a larger buffer is not kept for the next message
)

// A message is one message as it comes in, without dot-stuffing. It is reused
// within a session.
type message struct {
	whole bool   // keep all of it, not only the header
	limit int    // bytes; beyond it nothing is kept
	data  []byte // the header, or all
	size  int    // bytes so far, kept or not
	ended bool   // the header's blank line is in data
}

// reset makes m ready for the next message.
func (m *message) reset(whole bool) {
	if cap(m.data) > keepBuffer {
		m.data = nil
	}
	*m = message{whole: whole, limit: maxMessage, data: m.data[:0]}
}

// tooLarge reports whether the message is over the limit.
func (m *message) tooLarge() bool { return m.size > m.limit }

// add takes the next bytes.
func (m *message) add(b []byte) {
	m.size += len(b)
	if m.tooLarge() || (m.ended && !m.whole) {
		return
	}
	from := max(0, len(m.data)-3) // the blank line may lie across two calls
	m.data = append(m.data, b...)
	if !m.ended {
		m.ended = len(m.data) > maxHeader || bytes.Contains(m.data[from:], []byte("\r\n\r\n"))
	}
}

// id returns the value of the Message-ID header field, "" when there is none.
func (m *message) id() string {
	const name = "message-id:"
	for rest := m.data; len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\r\n")); {
		line := rest
		if i := bytes.Index(rest, []byte("\r\n")); i >= 0 {
			line, rest = rest[:i], rest[i+2:]
		} else {
			rest = nil
		}
		if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		id := bytes.TrimSpace(line[len(name):])
		if len(id) == 0 && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') { // folded
			folded, _, _ := bytes.Cut(rest, []byte("\r\n"))
			id = bytes.TrimSpace(folded)
		}
		return string(id)
	}
	return ""
}

// readMessage reads a message up to and with its final dot and takes the
// dot-stuffing out (RFC 5321, 4.5.2). A line ends with CRLF and nothing else:
// a bare CR or LF is content. It returns early only when r fails.
//
// It looks for lines that begin with a dot rather than at every line, which
// is most of what makes it fast.
func readMessage(r *bufio.Reader, m *message) error {
	for lineStart := true; ; {
		if lineStart {
			end, err := leadingDot(r)
			if end || err != nil {
				return err
			}
		}
		if _, err := r.Peek(1); err != nil {
			return err
		}
		b, _ := r.Peek(r.Buffered())
		n := len(b)
		switch i := bytes.Index(b, []byte("\r\n.")); {
		case i >= 0:
			n, lineStart = i+2, true
		case bytes.HasSuffix(b, []byte("\r\n")):
			lineStart = true
		case bytes.HasSuffix(b, []byte("\r")): // its LF may follow
			if lineStart = false; n == 1 {
				next, err := r.Peek(2)
				if err != nil {
					return err
				}
				b = next // Peek may have moved the buffer
				if lineStart = next[1] == '\n'; lineStart {
					n = 2
				}
			} else {
				n--
			}
		default:
			lineStart = false
		}
		m.add(b[:n])
		_, _ = r.Discard(n) // n bytes are buffered
	}
}

// leadingDot takes the dot off a line that begins with one; end reports that
// the dot was the line, and the message is over.
func leadingDot(r *bufio.Reader) (end bool, err error) {
	b, err := r.Peek(1)
	if err != nil || b[0] != '.' {
		return false, err
	}
	b, err = r.Peek(3) // there is more to come: at least the final dot
	if err != nil {
		return false, err
	}
	n := 1
	if end = b[1] == '\r' && b[2] == '\n'; end {
		n = 3
	}
	_, _ = r.Discard(n)
	return end, nil
}
