package message_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/templates/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var spec = message.Spec{
	From:       "Acme News <news@acme.example>",
	ReplyTo:    "hello@acme.example",
	ListName:   "Acme News",
	ListID:     "newsletter.acme.example",
	FeedbackID: "october-news:newsletter:broadside:acmeexample",
	Headers:    []message.Header{{Name: "X-Campaign", Value: "october-news"}},
}

func part() message.Part {
	return message.Part{
		To:          "anna@example.com",
		Subject:     "Anna, our October news",
		HTML:        message.Text("<p>Hello Anna,</p>\n<p>three things = worth your time.</p>\n"),
		Text:        message.Text("Hello Anna,\n\nthree things = worth your time.\n"),
		MessageID:   "0k3a9vq2m8.17@acme.example",
		Unsubscribe: "https://news.acme.example/u/AAECAwQFBgcICQoLDA0ODw",
		Date:        time.Date(2026, 10, 1, 9, 0, 0, 0, time.FixedZone("CEST", 7200)),
	}
}

// cases are messages that every parser must read as they were meant.
func cases() map[string]struct {
	spec message.Spec
	part message.Part
} {
	plain := part()

	german := part()
	german.Subject = "Ärger über große Grüße: jetzt schöner, länger und überhaupt ganz außergewöhnlich grün"
	german.HTML = message.Text("<p>Schöne Grüße, Jörg &amp; Zoë</p>\n.\n..dots\nFrom here  \n" + strings.Repeat("ü", 200))
	german.Text = message.Text("Schöne Grüße\n.\n..dots\nFrom here  \n\ttabs\t\n" + strings.Repeat("lang ", 60))

	japanese := part()
	japanese.Subject = "十月のお知らせ：皆さまに知っていただきたい三つのこと、そしてこれからの予定について 🎉🎉🎉"
	japanese.HTML = message.Text("<p>こんにちは、花子さん。</p>\n<p>十月のお知らせです。🎉</p>\n")
	japanese.Text = message.Text("こんにちは、花子さん。\n\n十月のお知らせです。🎉\n")
	japaneseSpec := spec
	japaneseSpec.From = "アクメ ニュース編集部 東京都千代田区丸の内 <news@acme.example>"
	japaneseSpec.ListName = "アクメ ニュース"

	odd := part()
	odd.Subject = "=?utf-8?q?not_encoded?= by  us, " + strings.Repeat("x", 200)
	odd.To = `"a b>,c"@example.com`
	odd.HTML = message.Text("<p>\r\nCRLF\rCR\nLF\r\n</p>")
	odd.Text = message.Text(nil)
	oddSpec := spec
	oddSpec.From = `"Acme, \"News\" (UK)" <news@acme.example>`
	oddSpec.ListName = `Acme "News", UK`
	oddSpec.ReplyTo = ""

	long := part()
	long.Subject = strings.Repeat("eighty ", 40) + "words"
	long.Unsubscribe = "https://news.acme.example/u/" + strings.Repeat("t0ken-", 120)

	mail := part()
	mail.UnsubscribeMail = "b-" + strings.Repeat("a2", 20) + "@bounce.acme.example"

	return map[string]struct {
		spec message.Spec
		part message.Part
	}{
		"plain": {spec, plain}, "german": {spec, german}, "japanese": {japaneseSpec, japanese},
		"odd": {oddSpec, odd}, "long": {spec, long}, "mail": {spec, mail},
	}
}

func build(t testing.TB, s message.Spec, p message.Part) []byte {
	t.Helper()
	sk, err := message.Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	b, err := sk.Append(nil, &p)
	if err != nil {
		t.Fatal(err)
	}

	return b
}

// text is what was put into a part.
func text(b message.Body) string { return string(b.(message.Text)) }

// canonical is what a body is after transport: every line end is CRLF.
func canonical(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r", "\n"), "\n", "\r\n")
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, c := range cases() {
		got := build(t, c.spec, c.part)
		file := filepath.Join("testdata", name+".eml")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}

		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", file, diff)
		}
	}
}

func TestGoMessageReadsWhatWasMeant(t *testing.T) {
	t.Parallel()
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, c.spec, c.part)
			checkWire(t, b)
			r, err := mail.CreateReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}

			subject, err := r.Header.Subject()
			if err != nil || subject != c.part.Subject {
				t.Errorf("subject %q (%v), want %q", subject, err, c.part.Subject)
			}

			if date, err := r.Header.Date(); err != nil || !date.Equal(c.part.Date) {
				t.Errorf("date %v (%v), want %v", date, err, c.part.Date)
			}
			if id, err := r.Header.MessageID(); err != nil || id != c.part.MessageID {
				t.Errorf("message id %q (%v)", id, err)
			}

			to, err := r.Header.AddressList("To")
			// net/mail gives a quoted local part without its quotes.
			if err != nil || len(to) != 1 || to[0].Address != strings.ReplaceAll(c.part.To, `"`, "") {
				t.Errorf("to %v (%v), want %s", to, err, c.part.To)
			}

			if got := r.Header.Get("List-Unsubscribe"); got != listUnsubscribe(c.part) {
				t.Errorf("List-Unsubscribe %q", got)
			}

			var got []string
			for {
				p, err := r.NextPart()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(p.Body)
				if err != nil {
					t.Fatal(err)
				}

				kind, params, _ := p.Header.(*mail.InlineHeader).ContentType()
				got = append(got, kind+" "+params["charset"], string(body))
			}

			want := []string{"text/plain UTF-8", canonical(text(c.part.Text)), "text/html UTF-8", canonical(text(c.part.HTML))}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("parts differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPythonReadsWhatWasMeant(t *testing.T) {
	t.Parallel()
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "parse.py"))
			cmd.Stdin = bytes.NewReader(build(t, c.spec, c.part))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("python3 is needed for this test: %v\n%s", err, stderr.String())
			}

			var got struct {
				Headers [][2]string
				Parts   []struct{ Type, Charset, Text string }
				Defects []string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Defects) > 0 {
				t.Errorf("defects: %q", got.Defects)
			}

			h := map[string]string{}
			for _, kv := range got.Headers {
				if _, twice := h[kv[0]]; twice {
					t.Errorf("header %s occurs twice", kv[0])
				}
				h[kv[0]] = kv[1]
			}

			for key, want := range map[string]string{
				"Subject": c.part.Subject, "Date": "Thu, 01 Oct 2026 07:00:00 +0000",
				"Message-ID": "<" + c.part.MessageID + ">", "List-Unsubscribe": listUnsubscribe(c.part),
				"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Precedence": "bulk", "MIME-Version": "1.0",
				"Feedback-ID": c.spec.FeedbackID, "X-Campaign": "october-news",
			} {
				if h[key] != want {
					t.Errorf("%s: %q, want %q", key, h[key], want)
				}
			}

			if !strings.HasSuffix(h["From"], "<news@acme.example>") || !strings.HasSuffix(h["List-Id"], " <newsletter.acme.example>") {
				t.Errorf("From %q, List-Id %q", h["From"], h["List-Id"])
			}
			if len(got.Parts) != 2 || got.Parts[0].Type != "text/plain" || got.Parts[1].Type != "text/html" {
				t.Fatalf("parts %+v, want text/plain and text/html", got.Parts)
			}

			for i, want := range []string{text(c.part.Text), text(c.part.HTML)} {
				if text := canonical(got.Parts[i].Text); text != canonical(want) {
					t.Errorf("part %d differs (-want +got):\n%s", i, cmp.Diff(canonical(want), text))
				}
			}
		})
	}
}

// listUnsubscribe returns what a parser must find in List-Unsubscribe.
func listUnsubscribe(p message.Part) string {
	if p.UnsubscribeMail == "" {
		return "<" + p.Unsubscribe + ">"
	}
	return "<" + p.Unsubscribe + ">, <mailto:" + p.UnsubscribeMail + "?subject=unsubscribe>"
}

// checkWire checks what must be true of every message on the wire.
func checkWire(t testing.TB, b []byte) {
	t.Helper()
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		t.Error("the message does not end with CRLF")
	}

	inBody := false
	for i, line := range strings.Split(string(b), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d has a bare CR, LF or NUL: %q", i+1, line)
		}
		limit := 76
		if strings.HasPrefix(line, "List-Unsubscribe: ") || strings.HasPrefix(line, " <mailto:") {
			limit = 998 - len("\r\n")
		}
		if len(line) > limit {
			t.Errorf("line %d has %d octets: %q", i+1, len(line), line)
		}
		if strings.HasPrefix(line, ".") || inBody && strings.HasPrefix(line, "From ") {
			t.Errorf("line %d begins badly: %q", i+1, line)
		}
		if line == "" {
			inBody = true
		}
		for _, c := range []byte(line) {
			if c >= 0x80 {
				t.Fatalf("line %d is not 7-bit: %q", i+1, line)
			}
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	t.Parallel()
	first := build(t, spec, part())
	for range 20 {
		if !bytes.Equal(first, build(t, spec, part())) {
			t.Fatal("two messages from the same input differ")
		}
	}

	other := part()
	other.MessageID = "another@acme.example"
	if boundary(first) == boundary(build(t, spec, other)) {
		t.Error("messages with different ids share a boundary")
	}
}

func boundary(b []byte) string {
	_, after, _ := bytes.Cut(b, []byte(`boundary="`))
	name, _, _ := bytes.Cut(after, []byte(`"`))
	return string(name)
}

func TestPartRefusals(t *testing.T) {
	t.Parallel()
	sk, err := message.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name    string
		edit    func(*message.Part)
		control bool
	}{
		{"subject with CRLF", func(p *message.Part) { p.Subject = "a\r\nBcc: x@example.com" }, true},
		{"subject with NUL", func(p *message.Part) { p.Subject = "a\x00" }, true},
		{"subject not UTF-8", func(p *message.Part) { p.Subject = "a\xff" }, false},
		{"subject too long", func(p *message.Part) { p.Subject = strings.Repeat("a", 2001) }, false},
		{"to with LF", func(p *message.Part) { p.To = "a\n@example.com" }, true},
		{"to with two addresses", func(p *message.Part) { p.To = "a@example.com,b@example.com" }, false},
		{"to that closes its bracket", func(p *message.Part) { p.To = "a>@example.com" }, false},
		{"to with a quote that ends early", func(p *message.Part) { p.To = `"a">,<"b"@example.com` }, false},
		{"to with an open quote", func(p *message.Part) { p.To = `"a@example.com` }, false},
		{"to without a domain", func(p *message.Part) { p.To = "a@" }, false},
		{"to with a U-label", func(p *message.Part) { p.To = "a@müller.example" }, false},
		{"to empty", func(p *message.Part) { p.To = "" }, false},
		{"id with CR", func(p *message.Part) { p.MessageID = "a\r@b" }, true},
		{"id with brackets", func(p *message.Part) { p.MessageID = "<a@b>" }, false},
		{"id empty", func(p *message.Part) { p.MessageID = "" }, false},
		{"no link", func(p *message.Part) { p.Unsubscribe = "" }, false},
		{"link with LF", func(p *message.Part) { p.Unsubscribe = "https://a.example/\nBcc:x" }, true},
		{"link with a bracket", func(p *message.Part) { p.Unsubscribe = "https://a.example/>" }, false},
		{"link by mail", func(p *message.Part) { p.Unsubscribe = "mailto:a@example.com" }, false},
		{"address to unsubscribe with LF", func(p *message.Part) { p.UnsubscribeMail = "a@b.example\nBcc:x" }, false},
		{"address to unsubscribe with a bracket", func(p *message.Part) { p.UnsubscribeMail = "a@b.example>" }, false},
		{"address to unsubscribe with a field", func(p *message.Part) { p.UnsubscribeMail = "a?cc=x@b.example" }, false},
		{"address to unsubscribe without a domain", func(p *message.Part) { p.UnsubscribeMail = "a@" }, false},
		{"link too long", func(p *message.Part) { p.Unsubscribe = "https://a.example/" + strings.Repeat("a", 900) }, false},
		{"no date", func(p *message.Part) { p.Date = time.Time{} }, false},
	} {
		p := part()
		c.edit(&p)
		got, err := sk.Append([]byte("before"), &p)
		if err == nil {
			t.Errorf("%s: no error", c.name)
		} else if errors.Is(err, message.ErrControl) != c.control {
			t.Errorf("%s: ErrControl %v, want %v: %v", c.name, !c.control, c.control, err)
		}

		if string(got) != "before" {
			t.Errorf("%s: dst was changed", c.name)
		}
	}
}

func TestSpecRefusals(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*message.Spec){
		"from with CRLF":     func(s *message.Spec) { s.From = "A\r\nBcc: b@c.example <a@b.example>" },
		"from not a mailbox": func(s *message.Spec) { s.From = "Acme" },
		"from with U-label":  func(s *message.Spec) { s.From = "a@müller.example" },
		"reply-to":           func(s *message.Spec) { s.ReplyTo = "a@b.example, c@d.example" },
		"list name":          func(s *message.Spec) { s.ListName = "a\nb" },
		"list id":            func(s *message.Spec) { s.ListID = "a b.example" },
		"list id without":    func(s *message.Spec) { s.ListID = "" },
		"feedback id":        func(s *message.Spec) { s.FeedbackID = "a:b:c:d:e" },
		"header name":        func(s *message.Spec) { s.Headers = []message.Header{{Name: "X:Y", Value: "z"}} },
		"header value":       func(s *message.Spec) { s.Headers = []message.Header{{Name: "X-Y", Value: "z\rBcc: x"}} },
		"reserved":           func(s *message.Spec) { s.Headers = []message.Header{{Name: "bcc", Value: "z"}} },
		"twice":              func(s *message.Spec) { s.Headers = []message.Header{{Name: "X-Y"}, {Name: "x-y"}} },
	} {
		s := spec
		edit(&s)
		if _, err := message.Compile(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPlaceholdersInTheSpec(t *testing.T) {
	t.Parallel()
	s := spec
	s.ListName = "zqa zqb zqqc ZQ news"
	b := build(t, s, part())
	if !bytes.Contains(b, []byte("List-Id: zqa zqb zqqc ZQ news <newsletter.acme.example>\r\n")) {
		t.Errorf("the list's name was taken for a placeholder:\n%s", b)
	}
}

func TestNonASCIILocalPart(t *testing.T) {
	t.Parallel()
	p := part()
	p.To = "jörg@example.com"
	if b := build(t, spec, p); !bytes.Contains(b, []byte("\r\nTo: <jörg@example.com>\r\n")) {
		t.Errorf("To is not raw UTF-8:\n%s", b)
	}
}

func TestFromSnapshot(t *testing.T) {
	t.Parallel()
	got, err := message.FromSnapshot(campaign.Snapshot{
		Campaign: "october: news", Topic: "newsletter", TopicName: "Acme News", From: "Acme <news@Mail.Acme.example>", ReplyTo: "a@b.example",
	})
	if err != nil {
		t.Fatal(err)
	}

	want := message.Spec{
		From: "Acme <news@Mail.Acme.example>", ReplyTo: "a@b.example", ListName: "Acme News",
		ListID: "newsletter.mail.acme.example", FeedbackID: "october--news:newsletter:broadside:mailacmeexample",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	if _, err := message.Compile(got); err != nil {
		t.Error(err)
	}
	if _, err := message.FromSnapshot(campaign.Snapshot{From: "nobody"}); err == nil {
		t.Error("a From that is no address: no error")
	}
}

// A single message has nothing of a list, and needs no link to unsubscribe.
func TestSingle(t *testing.T) {
	t.Parallel()
	sk, err := message.Compile(message.Spec{From: "Acme News <news@acme.example>", Single: true})
	if err != nil {
		t.Fatal(err)
	}
	p := part()
	p.Unsubscribe = ""
	out, err := sk.Append(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(out), "\r\n\r\n")
	if !strings.Contains("\r\n"+head, "\r\nAuto-Submitted: auto-generated\r\n") {
		t.Errorf("header without Auto-Submitted:\n%s", head)
	}
	for _, name := range []string{"List-", "Precedence", "Feedback-ID"} {
		if strings.Contains(head, name) {
			t.Errorf("header with %s:\n%s", name, head)
		}
	}

	bulk, err := message.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bulk.Append(nil, &p); err == nil {
		t.Error("a message to a list went out without a link to unsubscribe")
	}
}
