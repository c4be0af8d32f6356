package sink

import (
	"bufio"
	"bytes"
)

const (
	maxMessage = 50 << 20 // bytes, as SIZE says
	keepBuffer = 1 << 20  // a larger buffer is not kept for the next message
)

// A message is one message as it comes in, without dot-stuffing. It is reused
// within a session.
type message struct {
	keep  bool // its bytes, not only their number
	limit int  // bytes; beyond it nothing is kept
	data  []byte
	size  int // bytes so far, kept or not
}

// reset makes m ready for the next message.
func (m *message) reset(keep bool) {
	if cap(m.data) > keepBuffer {
		m.data = nil
	}
	*m = message{keep: keep, limit: maxMessage, data: m.data[:0]}
}

// tooLarge reports whether the message is over the limit.
func (m *message) tooLarge() bool { return m.size > m.limit }

// add takes the next bytes.
func (m *message) add(b []byte) {
	m.size += len(b)
	if m.keep && !m.tooLarge() {
		m.data = append(m.data, b...)
	}
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
