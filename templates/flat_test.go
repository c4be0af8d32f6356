package templates

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/templates/message"
)

// flatSnapshot has body as its HTML and in its subject and preheader.
func flatSnapshot(body string) campaign.Snapshot {
	return campaign.Snapshot{
		Topic: "t", Postal: "p", Subject: "{{.code}} {{trim .plan}}", Preheader: "{{.plan}}", HTML: body, BodyFile: "b", TextFile: "t", Layout: "plain",
		Columns: []string{"code", "plan"},
	}
}

// Bodies that become programs, and those that html/template executes. Their
// text parts always become programs.
var (
	flatBodies = []string{
		"", "{{.code}}", "a{{.code}}b{{.plan}}{{.unsubscribe_url}}c", "{{$.code}}", `{{"<b>"}} {{"{{"}}`, "<!--[if mso]><b>{{.code}}</b><![endif]-->", "<![if !mso]>x<![endif]>",
		`<a href="{{.code}}">x</a>`, `<a href="https://a.example/{{.code}}/x?q={{.plan}}&amp;r={{.code}}#{{.plan}}">x</a>`, `<a href="mailto:{{.code}}?subject={{.plan}}">x</a>`,
		`<img alt='{{.code}}' title="a {{.plan}}" src="{{.code}}">`, "<textarea>{{.code}}</textarea>", `<td class="{{if .code}}a{{else}}{{.plan}}{{end}}">`, "<p data-x={{.code}}>",
		`{{default "friend & co" .code}}`, `{{.code | trim | default "x" | upper}}`, `{{title (lower .code)}}`, `{{default .plan (trim .code) | title}}`, `{{(.code)}}`,
		"{{if .code}}a{{else if .plan}}b{{.plan}}{{else}}c{{end}}", "{{if not .code}}a{{end}}", "{{if and .code (not .plan)}}a{{else}}b{{end}}", "{{if or .code (and .plan .plan)}}a{{end}}", "{{if trim .code}}a{{end}}",
		`{{if eq .code .plan "" "x"}}a{{else}}b{{end}}`, `{{if ne (upper .code) "X"}}a{{end}}`, `{{if "" }}a{{end}}`, `{{if .code | trim}}a{{end}}`, "{{if $.code}}{{end}}",
		"<p>" + strings.Repeat("one line ", 60) + "{{.code}}" + strings.Repeat(" <b>and</b> more of it", 60) + "{{.plan}}</p>", strings.Repeat("<p>花子さん、こんにちは {{.plan}}。</p>\n", 40),
		"{{with .code}}{{.}} {{$.plan}} {{if eq . $.plan}}=={{end}}{{with $.plan}}{{.}}{{else}}{{.}}{{end}}{{.}}{{else}}{{.plan}}{{end}}{{.code}}", "{{with trim .code | upper}}{{. | lower}}{{if .}}y{{end}}{{end}}",
	}
	treeBodies = []string{
		`<p style="color:{{.code}}">x`, `<p onclick="f({{.code}})">x`, `<script>var x = "{{.code}}", y = {{.plan}}</script>`, `<img srcset="{{.code}} 2x">`, `<style>p{color:{{.code}}}</style>`,
		"<!--[if mso]><td class={{.code}}><![endif]-->", "{{len .code}}", `{{print .code "-" .plan}}`, "{{or .code .plan}}", "{{if len .code}}a{{end}}", "{{if eq (len .code) 1}}a{{end}}", "{{if true}}a{{end}}",
	}
)

func TestFlatten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bodies []string
		want   bool
	}{{flatBodies, true}, {treeBodies, false}} {
		for _, body := range c.bodies {
			tmpl, err := Compile(flatSnapshot(body + "<p>x</p>"))
			if err != nil {
				t.Errorf("%s: %v", body, err)
				continue
			}

			if got := tmpl.html.flat != nil; got != c.want {
				t.Errorf("%s: a program: %v, want %v", body, got, c.want)
			}
			if tmpl.subject.flat == nil {
				t.Errorf("%s: the subject is no program", body)
			}
			for _, code := range hostile() {
				agree(t, tmpl, []string{code, "x", "u"})
				agree(t, tmpl, []string{"x", code, code})
			}
		}
	}
}

// TestFlattenNames: of two columns of one name both ways take the same, and a
// column cannot take the place of the link.
func TestFlattenNames(t *testing.T) {
	t.Parallel()
	s := flatSnapshot("{{.code}} {{.unsubscribe_url}}")
	s.Columns = []string{"code", "plan", "code", unsubscribeField}
	tmpl, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	agree(t, tmpl, []string{"a", "b", "c", "d", "e"})
	var l Letter
	if err := tmpl.Render(&l, Data{Values: []string{"a", "b", "c", "d"}, Unsubscribe: "e"}); err != nil {
		t.Fatal(err)
	}
	if got := string(l.Text); !strings.HasPrefix(got, "c e\n") {
		t.Errorf("%q, want c e", got)
	}
}

// TestFlattenTooLarge: both ways end at the same byte.
func TestFlattenTooLarge(t *testing.T) {
	t.Parallel()
	s := flatSnapshot("{{.code}}")
	s.Subject = "s"
	tmpl, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	var l Letter
	if err := tmpl.Render(&l, Data{Values: []string{"", "x"}, Unsubscribe: "u"}); err != nil {
		t.Fatal(err)
	}

	fits := maxOutput - len(l.HTML)
	for n, want := range map[int]error{fits: nil, fits + 1: ErrTooLarge, maxOutput + 1: ErrTooLarge} {
		values := []string{strings.Repeat("a", n), "x"}
		if err := tmpl.Render(&l, Data{Values: values, Unsubscribe: "u"}); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
		agree(t, tmpl, append(values, "u"))
	}
}

// hostile are values that escapers must not let through as they are.
func hostile() []string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return []string{
		"", "plain", " two  words\t", string(all), "<script>alert(1)</script> \"&'+`=", "javascript:alert(1)", "JavaScript:x", "HTTPS://a.example/%7e%zz%4?a=b&c#d", "httpſ:x", "mailto:a@b", "a/b:c", ":", "//x",
		"\xff\xc3(\xed\xa0\x80", "\ufdd0\ufffe\uffff\ufffd\u2028", "花子 🎉 ärger o'neill", "&amp; &#34; %", "{{.plan}}", "a\r\nBcc: b", "%", "%4", "%41", "]]>--><!--",
	}
}

// agree compares a template with itself without programs: what it renders, and
// what a message says that it is written into. The values, those of the
// columns and the link, are not made clean as Begin does, so that the escapers
// alone are held to html/template's.
func agree(t *testing.T, fast *Template, values []string) {
	t.Helper()
	slow := *fast
	slow.subject.flat = nil
	slow.html.flat = nil
	slow.text.flat = nil
	got, gotErr := rendered(t, fast, values)
	want, wantErr := rendered(t, &slow, values)
	if (gotErr == nil) != (wantErr == nil) || errors.Is(gotErr, ErrTooLarge) != errors.Is(wantErr, ErrTooLarge) {
		t.Fatalf("%v, want %v", gotErr, wantErr)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the program differs from its template for %.200q (-want +got):\n%s", values, diff)
	}
}

// rendered returns subject, text and HTML of a letter, once its message says the
// same.
func rendered(t *testing.T, tmpl *Template, values []string) ([]string, error) {
	t.Helper()
	var r Rendering
	var l Letter
	if err := tmpl.begin(&r, values); err != nil {
		return nil, err
	}
	if err := r.Letter(&l); err != nil {
		return nil, err
	}

	sk, err := skeleton()
	if err != nil {
		t.Fatal(err)
	}

	b, err := sk.Append(nil, &message.Part{
		To: "a@b.example", Subject: "s", MessageID: "a@b", Unsubscribe: "https://a.example/u", Date: time.Unix(0, 0), HTML: r.HTML(), Text: r.Text(),
	})
	if err != nil {
		return nil, err
	}

	out := []string{l.Subject, string(l.Text), string(l.HTML)}
	for i, part := range bodies(t, b) {
		if want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(out[i+1]); part != want {
			t.Fatalf("the letter is\n%q, its message says\n%q", want, part)
		}
	}

	return out, nil
}

var skeleton = sync.OnceValues(func() (*message.Skeleton, error) {
	return message.Compile(message.Spec{From: "a@b.example", ListID: "l.b.example"})
})

// bodies returns the two texts of a message.
func bodies(t *testing.T, b []byte) (out []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}

	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}

	parts := multipart.NewReader(m.Body, params["boundary"])
	for range 2 {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}

		var r io.Reader = quotedprintable.NewReader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			r = base64.NewDecoder(base64.StdEncoding, p)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}

		out = append(out, string(text))
	}

	return out
}

// FuzzFlatAgrees: whatever the body and the values are, a program writes the
// bytes that its template does.
func FuzzFlatAgrees(f *testing.F) {
	for i, body := range append(flatBodies, treeBodies...) {
		f.Add(body, hostile()[i%len(hostile())], "x", "https://a.example/u", false)
	}

	for _, name := range []string{"october.md", "page.html"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), "a<b", "gold", "u", name == "october.md")
	}

	f.Fuzz(func(t *testing.T, body, code, plan, link string, md bool) {
		s := flatSnapshot(body)
		s.Columns = []string{"code", "plan", "email", "first_name", "last_name", "company"}
		if md {
			s.Markdown = body
			s.HTML = ""
		} else if wholePage.MatchString(body) {
			s.Layout = LayoutNone
		}

		tmpl, err := Compile(s)
		if err != nil {
			return // FuzzCompile looks at the error
		}

		agree(t, tmpl, []string{code, plan, "a@b.example", code, plan, "", link})
	})
}
