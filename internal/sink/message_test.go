package sink

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// unstuff is readMessage said slowly: one byte at a time. ok is false when
// the final dot is missing; rest is what follows it.
func unstuff(in []byte) (msg, rest []byte, ok bool) {
	for lineStart := true; len(in) > 0; {
		if lineStart && in[0] == '.' {
			if bytes.HasPrefix(in, []byte(".\r\n")) {
				return msg, in[3:], true
			}
			in = in[1:]
			if len(in) == 0 {
				return msg, nil, false
			}
		}
		msg = append(msg, in[0])
		lineStart = in[0] == '\n' && bytes.HasSuffix(msg, []byte("\r\n"))
		in = in[1:]
	}
	return msg, nil, false
}

// chunked reads in pieces of n bytes, as a network may deliver them.
type chunked struct {
	r io.Reader
	n int
}

func (c chunked) Read(b []byte) (int, error) { return c.r.Read(b[:min(len(b), c.n)]) }

func TestReadMessage(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want, rest string }{
		{"empty", ".\r\n", "", ""},
		{"one line", "a\r\n.\r\n", "a\r\n", ""},
		{"next command follows", "a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"},
		{"stuffed dot", "..\r\n.\r\n", ".\r\n", ""},
		{"stuffed line", "a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", ""},
		{"a dot that nobody stuffed", ".b\r\n.\r\n", "b\r\n", ""},
		{"two stuffed lines", "..\r\n..\r\n.\r\n", ".\r\n.\r\n", ""},
		{"dot in the middle", "a.\r\nb.c\r\n.\r\n", "a.\r\nb.c\r\n", ""},
		{"bare LF ends nothing", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", ""},
		{"LF dot CRLF ends nothing", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", ""},
		{"CRLF dot LF ends nothing", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", ""},
		{"CRLF dot CR ends nothing", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
		{"CR CR LF", "a\r\r\n.\r\n", "a\r\r\n", ""},
		{"only line ends", "\r\n\r\n.\r\n", "\r\n\r\n", ""},
		{"long", strings.Repeat("x", 99) + "\r\n.\r\n", strings.Repeat("x", 99) + "\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// 16 bytes is the smallest buffer that bufio has: each case meets
			// the buffer's end at each of its bytes.
			for pad := range 32 {
				for chunk := 1; chunk <= 20; chunk++ {
					in := strings.Repeat("p", pad)
					if pad > 0 {
						in += "\r\n"
					}
					want := in + tt.want
					r := bufio.NewReaderSize(chunked{strings.NewReader(in + tt.in), chunk}, 16)
					m := message{keep: true, limit: maxMessage}
					if err := readMessage(r, &m); err != nil {
						t.Fatalf("pad %d, chunk %d: %v", pad, chunk, err)
					}
					rest, _ := io.ReadAll(r)
					if string(m.data) != want || string(rest) != tt.rest || m.size != len(want) {
						t.Fatalf("pad %d, chunk %d: got %q (size %d), rest %q; want %q, rest %q",
							pad, chunk, m.data, m.size, rest, want, tt.rest)
					}
				}
			}
		})
	}
}

func TestReadMessageWithoutFinalDot(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "a", "a\r\n", "a\r", "a\r\n.", "a\r\n.\r", "a\n.\n", "a\r\n.\n", ".", ".\r"} {
		m := message{keep: true, limit: maxMessage}
		if err := readMessage(bufio.NewReader(strings.NewReader(in)), &m); !errors.Is(err, io.EOF) {
			t.Errorf("%q: got error %v, want EOF", in, err)
		}
	}
}

func TestReadMessageOverTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 3 * keepBuffer / 2
	line := strings.Repeat("x", 998) + "\r\n"
	r := bufio.NewReader(strings.NewReader(strings.Repeat(line, limit/len(line)+1) + ".\r\nQUIT\r\n"))
	m := message{keep: true, limit: limit}
	if err := readMessage(r, &m); err != nil {
		t.Fatal(err)
	}
	if !m.tooLarge() || len(m.data) > limit {
		t.Errorf("got tooLarge %v with %d bytes kept, want true and no more than %d", m.tooLarge(), len(m.data), limit)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "QUIT\r\n" {
		t.Errorf("got rest %q, want QUIT", rest)
	}
	if m.reset(false); m.limit != maxMessage {
		t.Errorf("got limit %d for the next message, want %d", m.limit, maxMessage)
	}
	if cap(m.data) > keepBuffer {
		t.Errorf("%d bytes are kept for the next message", cap(m.data))
	}
}

// FuzzReadMessage holds the fast reader to the slow one, for every way of
// cutting the input.
func FuzzReadMessage(f *testing.F) {
	for _, s := range []string{"a\r\n..b\r\n.\r\nQUIT\r\n", ".\r\n", "\r\r\n.\r\n", "a\n.\r\n.\r\n", "..\r\n.\r", "x\r\n.\rx\r\n.\n\r\n.\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		want, wantRest, ok := unstuff(in)
		r := bufio.NewReaderSize(chunked{bytes.NewReader(in), int(chunk) + 1}, 16)
		m := message{keep: true, limit: maxMessage}
		err := readMessage(r, &m)
		if (err == nil) != ok {
			t.Fatalf("got error %v, want a message: %v", err, ok)
		}
		if !ok {
			return
		}
		rest, _ := io.ReadAll(r)
		if !bytes.Equal(m.data, want) || !bytes.Equal(rest, wantRest) || m.size != len(want) {
			t.Fatalf("got %q and rest %q, want %q and rest %q", m.data, rest, want, wantRest)
		}
	})
}
