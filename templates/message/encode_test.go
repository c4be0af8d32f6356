package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"unicode/utf8"
)

func crlf(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r", "\n"), "\n", "\r\n")
}

var bodies = []string{
	"", "a", "\n", "\r", "\r\n", "a\r\r\nb", ".", "..\n.\n", "From me\nFrom", "a \nb\t\n ", "a=b", "ü", "日本語\n🎉", "\x00\x01\x7f\xff",
	strings.Repeat("a", 75), strings.Repeat("a", 76), strings.Repeat("a", 77), strings.Repeat("a", 74) + "=", strings.Repeat("a", 73) + "= ",
	strings.Repeat("a", 75) + " ", strings.Repeat("a", 74) + " ", strings.Repeat(" ", 80), strings.Repeat("a", 75) + ".b", strings.Repeat("a", 75) + "From b",
	strings.Repeat("word ", 40) + "\n" + strings.Repeat("ü", 60),
}

// FuzzQP compares the encoder with the standard library's, and checks what
// the standard library does not promise.
func FuzzQP(f *testing.F) {
	for _, s := range bodies {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, body []byte) {
		var e Encoder
		got, err := e.encode([]byte("x\r\n"), Text(body), quoted)
		if err != nil {
			t.Fatal(err)
		}

		got = got[3:]
		checkLines(t, got)
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(got)))
		if err != nil {
			t.Fatalf("decode %q: %v", got, err)
		}

		if string(decoded) != crlf(string(body)) {
			t.Fatalf("%q decodes to %q, want %q", got, decoded, crlf(string(body)))
		}

		var std bytes.Buffer
		w := quotedprintable.NewWriter(&std)
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// Where no line begins with "." or "F", the two agree to the byte. The
		// standard library loses an LF after a lone CR and an encoded byte.
		if !bytes.ContainsAny(body, ".F\r") && std.String() != string(got) {
			t.Fatalf("%q, the standard library writes %q", got, std.String())
		}
	})
}

func FuzzBase64(f *testing.F) {
	for _, s := range bodies {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, body []byte) {
		var e Encoder
		text, err := e.encode(nil, Text(body), canonical)
		if err != nil {
			t.Fatal(err)
		}

		got := appendBase64(nil, text)
		checkLines(t, got)
		decoded, err := base64.StdEncoding.DecodeString(string(got))
		if err != nil || string(decoded) != crlf(string(body)) {
			t.Fatalf("%q decodes to %q (%v), want %q", got, decoded, err, crlf(string(body)))
		}
	})
}

func checkLines(t *testing.T, encoded []byte) {
	t.Helper()
	for line := range strings.SplitSeq(string(encoded), "\r\n") {
		if len(line) > lineMax || strings.ContainsAny(line, "\r\n\x00") || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "From ") ||
			strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") || strings.Contains(line, "=_") || !ascii(line) {
			t.Fatalf("bad line %q in %q", line, encoded)
		}
	}
}

// FuzzSubject: what passes the check comes back from a decoder as it was, in
// short lines; what does not pass has a reason.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{
		"", "October news", " a", "a ", "a  b", "=?utf-8?q?x?=", "ü", "日本語🎉", "a\r\nBcc: b@example.com", "a\x00b", "\xff",
		strings.Repeat("a", 66) + " b", strings.Repeat("a", 67), strings.Repeat("a", 68), strings.Repeat("word ", 30) + "end", strings.Repeat("ä", 100), strings.Repeat("🎉 ", 50),
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		if err := checkValue("Subject", s); err != nil {
			if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}

		line := string(appendUnstructured([]byte("Subject: "), len("Subject: "), s))
		for i, l := range strings.Split(line, "\r\n") {
			if len(l) > lineMax || !ascii(l) || strings.ContainsAny(l, "\r\n") || i > 0 && (!strings.HasPrefix(l, " ") || strings.TrimSpace(l) == "") {
				t.Fatalf("bad line %q in %q", l, line)
			}
			for word := range strings.SplitSeq(l, " ") {
				if strings.HasPrefix(word, "=?") && len(word) > wordMax {
					t.Fatalf("encoded word of %d: %q", len(word), word)
				}
				if strings.HasPrefix(word, "=?") {
					// A character is never split over two words.
					if one, err := new(mime.WordDecoder).Decode(word); err != nil || !utf8.ValidString(one) {
						t.Fatalf("word %q decodes to %q (%v)", word, one, err)
					}
				}
			}
		}

		unfolded := strings.TrimPrefix(strings.ReplaceAll(line, "\r\n", ""), "Subject: ")
		got, err := new(mime.WordDecoder).DecodeHeader(unfolded)
		if err != nil || got != s {
			t.Fatalf("%q decodes to %q (%v), want %q", unfolded, got, err, s)
		}
	})
}
