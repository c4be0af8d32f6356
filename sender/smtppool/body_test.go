package smtppool

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"
)

func TestStuff(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, msg, want string }{
		{"empty", "", "\r\n.\r\n"},
		{"plain", "a\r\nb\r\n", "a\r\nb\r\n.\r\n"},
		{"no line end", "a", "a\r\n.\r\n"},
		{"dot first", ".a\r\n", "..a\r\n.\r\n"},
		{"lone dot", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
		{"dots", "..\r\n...\r\n", "...\r\n....\r\n.\r\n"},
		{"dot inside", "a.b\r\n", "a.b\r\n.\r\n"},
		{"dot at the end", "a\r\n.", "a\r\n..\r\n.\r\n"},
	}
	for _, tt := range tests {
		got, ok := stuff(nil, []byte(tt.msg))
		if !ok || string(got) != tt.want {
			t.Errorf("%s: got %q %t, want %q", tt.name, got, ok, tt.want)
		}
	}
}

// What goes over the wire ends exactly once, and comes out as it went in.
func FuzzStuff(f *testing.F) {
	for _, s := range []string{"", "a", ".", "\r\n.\r\n", "a\r\n..b\r\n", "a\nb", "\r", "\r\n\r\n.\r\n."} {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, msg []byte) {
		wire, ok := stuff(nil, msg)
		bare := strings.ReplaceAll(string(msg), "\r\n", "")
		if want := !strings.ContainsAny(bare, "\r\n"); ok != want {
			t.Fatalf("%q: got %t, want %t", msg, ok, want)
		}
		if !ok {
			return
		}
		if i := bytes.Index(append([]byte("\r\n"), wire...), []byte("\r\n.\r\n")); i != len(wire)-3 {
			t.Fatalf("%q ends at %d of %d: %q", msg, i, len(wire), wire)
		}

		r := textproto.NewReader(bufio.NewReader(bytes.NewReader(wire)))
		got, err := io.ReadAll(r.DotReader())
		want := string(msg)
		if !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}

		if err != nil || string(got) != strings.ReplaceAll(want, "\r\n", "\n") {
			t.Fatalf("%q came out as %q, %v", msg, got, err)
		}
	})
}

// A reply is read to its end or refused; nothing makes it large.
func FuzzReadReply(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "250-a\r\n250 b\r\n", "250\r\n", "250\n", "25", "2500 x\r\n", "\x00\r\n", "250-a\r\n550 b\r\n", "", "250-\r\n250-\r\n",
		"354 " + strings.Repeat("x", 5000) + "\r\n", strings.Repeat("250-x\r\n", 1000) + "250 y\r\n",
	} {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		for {
			code, text, err := readReply(r, nil, ' ')
			if err != nil {
				if len(err.Error()) > 500 {
					t.Fatalf("error of %d bytes", len(err.Error()))
				}
				return
			}
			if code < 200 || code > 599 || len(text) > maxReplyText+1 || bytes.ContainsRune(text, '\n') {
				t.Fatalf("%q: got %d %q", in, code, text)
			}
		}
	})
}
