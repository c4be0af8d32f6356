package message_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"

	"broadside/templates/message"
)

// FuzzAppend: whatever the values are, there is an error, or a message with
// exactly the headers and the two parts that were meant.
func FuzzAppend(f *testing.F) {
	sk, err := message.Compile(spec)
	if err != nil {
		f.Fatal(err)
	}

	p := part()
	want := names(header(build(f, spec, p)))
	f.Add(p.To, p.Subject, p.MessageID, p.Unsubscribe, text(p.HTML), text(p.Text))
	f.Add(`"a>b"@example.com`, "日本語", "a@b", "https://a.example/", "\r\r\n.\x00", "🎉")
	f.Add("a@b\r\nBcc: c@d", "x\r\nBcc: c@d", "a@b>\r\nBcc: <c@d", "https://a\r\nBcc: c@d", "\r\n--=_\r\n", "\n.\nFrom \n")
	f.Fuzz(func(t *testing.T, to, subject, id, link, html, text string) {
		p := part()
		p.To = to
		p.Subject = subject
		p.MessageID = id
		p.Unsubscribe = link
		p.HTML = message.Text(html)
		p.Text = message.Text(text)
		b, err := sk.Append(nil, &p)
		if err != nil {
			return
		}

		if isASCII(to) {
			checkWire(t, bytes.Replace(b, []byte("To: <"+to+">"), nil, 1))
		}
		// Each header line of the fixed skeleton once, and no other.
		if diff := cmp.Diff(want, names(header(b))); diff != "" {
			t.Fatalf("headers differ (-want +got):\n%s", diff)
		}

		r, err := mail.CreateReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}

		if got, err := r.Header.Subject(); err != nil || got != subject || !utf8.ValidString(got) {
			t.Fatalf("subject %q (%v), want %q", got, err, subject)
		}

		for _, want := range []string{text, html} {
			part, err := r.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(part.Body)
			if err != nil || string(got) != canonical(want) {
				t.Fatalf("body %q (%v), want %q", got, err, canonical(want))
			}
		}

		if _, err := r.NextPart(); err != io.EOF {
			t.Fatalf("a third part: %v", err)
		}
	})
}

// FuzzCompile: whatever a campaign and its configuration say, there is an error,
// or a header whose fields are those that were meant, in lines that every server
// takes.
func FuzzCompile(f *testing.F) {
	want := names(header(build(f, spec, part())))
	f.Add(spec.From, spec.ReplyTo, spec.ListName, spec.ListID)
	f.Add("A\r\nBcc: x@y.example <a@b.example>", "a@b.example\r\nBcc: x@y.example", "x\r\n\r\nbody", "a.b\r\nX: y")
	f.Add(strings.Repeat("x", 5000)+" <a@b.example>", "a@b.example", strings.Repeat("y", 5000), "a.b")
	f.Add("a@b.example", strings.Repeat("\u00fc", 200)+" <a@b.example>", strings.Repeat("\u65e5", 200), "a.b")
	f.Add("=?utf-8?q?A=0D=0AB?= <a@b.example>", "=?utf-8?b?DQpC?= <a@b.example>", "=?utf-8?q?A=0D=0AB?=", "a.b")
	f.Fuzz(func(t *testing.T, from, replyTo, listName, listID string) {
		s := spec
		s.From = from
		s.ReplyTo = replyTo
		s.ListName = listName
		s.ListID = listID
		sk, err := message.Compile(s)
		if err != nil {
			return
		}

		p := part()
		b, err := sk.Append(nil, &p)
		if err != nil {
			t.Fatal(err)
		}

		for line := range bytes.SplitSeq(b, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("line of %d bytes: %.100q", len(line), line)
			}
		}

		got := names(header(b))
		if replyTo == "" {
			got = append(got, "Reply-To")
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Fatalf("headers differ (-want +got):\n%s", diff)
		}
	})
}

func header(b []byte) []byte {
	h, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	return h
}

// names returns the names of the header fields.
func names(header []byte) []string {
	var out []string
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && line[0] != ' ' && line[0] != '\t' {
			out = append(out, string(name))
		}
	}
	return out
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
