package templates_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/templates"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const link = "https://news.acme.example/u/AAECAwQFBgcICQ"

func snapshot() campaign.Snapshot {
	return campaign.Snapshot{
		Campaign: "october-news", Topic: "newsletter", TopicName: "Acme News", From: "Acme News <news@acme.example>",
		Subject: "October news", Markdown: "Hello", BodyFile: "october.md", TextFile: "october.txt", Layout: "plain",
		Postal: "Acme Ltd, 1 High Street, London", Columns: []string{"email", "first_name", "last_name", "company", "plan", "code"},
	}
}

// values are a recipient's, in the order of snapshot's columns.
var values = []string{"anna@example.com", "Anna", "o'neill-smith", "Acme", "gold", "a b+c"}

func render(t testing.TB, s campaign.Snapshot, values []string) templates.Letter {
	t.Helper()
	tmpl, err := templates.Compile(s)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}

	var l templates.Letter
	if err := tmpl.Render(&l, templates.Data{Values: values, Unsubscribe: link}); err != nil {
		t.Fatalf("render: %v", err)
	}

	return l
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	blank := []string{"x@example.com", "", "", "", "", ""}
	hostile := []string{"x@example.com", `<script>alert(1)</script> "&'`, "*a* _b_ [c](d)", "# {{.email}}", "gold", "javascript:alert(1)"}
	scripts := []string{"x@example.com", "花子 🎉", "Müller-Straße", "شركة", "gold", "äöü"}

	october := snapshot()
	october.Markdown = read(t, "october.md")
	october.Subject = `{{default "Hello" .first_name}}, our October news`
	october.Preheader = "Three things for {{.first_name}} & <you>"
	october.TopicName = "Acme <News>"
	october.Postal = "Acme Ltd,\n1 {{High}} Street, London"

	page := snapshot()
	page.Markdown = ""
	page.HTML = read(t, "page.html")
	page.BodyFile = "page.html"
	page.Layout = "none"
	page.Preheader = "For {{.first_name}}"

	own := snapshot()
	own.Text = read(t, "own.txt")

	for _, c := range []struct {
		name   string
		s      campaign.Snapshot
		values []string
	}{
		{"october", october, values},
		{"october-blank", october, blank},
		{"october-hostile", october, hostile},
		{"october-scripts", october, scripts},
		{"page", page, values},
		{"page-blank", page, blank},
		{"own-text", own, values},
	} {
		l := render(t, c.s, c.values)
		for ext, got := range map[string]string{".html": string(l.HTML), ".txt": l.Subject + "\n\n" + string(l.Text)} {
			file := filepath.Join("golden", c.name+ext)
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", file), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, file), got); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", file, diff)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*campaign.Snapshot)
		want string // the beginning of one line of the error
	}{
		{"misspelt field", func(s *campaign.Snapshot) { s.Markdown = "Hello\n\nDear {{.frist_name}}," }, "october.md:3:8: unknown merge field .frist_name, did you mean .first_name"},
		{"unknown field", func(s *campaign.Snapshot) { s.Markdown = "ä {{.shoe_size}}" }, "october.md:1:5: unknown merge field .shoe_size: the audience has email, first_name"},
		{"field in the subject", func(s *campaign.Snapshot) { s.Subject = "Hi {{.name}}" }, "subject:1:6: unknown merge field .name"},
		{"field in the preheader", func(s *campaign.Snapshot) { s.Preheader = "{{.frstname}}" }, "preheader:1:3: unknown merge field .frstname, did you mean .first_name"},
		{"field in the text", func(s *campaign.Snapshot) { s.Text = "\n{{.lastname}} {{.unsubscribe_url}}" }, "october.txt:2:3: unknown merge field .lastname, did you mean .last_name"},
		{"field in an argument", func(s *campaign.Snapshot) { s.Markdown = `{{if eq (lower .plann) "x"}}{{end}}` }, "october.md:1:16: unknown merge field .plann, did you mean .plan"},
		{"two problems", func(s *campaign.Snapshot) { s.Markdown = "{{.nam}}\n{{range .code}}{{end}}" }, "october.md:2:1: range is refused"},
		{"no end", func(s *campaign.Snapshot) { s.Markdown = "a\n{{if .plan}}\n{{if .code}}x{{end}}\n" }, "october.md:2:1: this action has no {{end}}"},
		{"not closed", func(s *campaign.Snapshot) { s.Markdown = "a\n\n  {{.plan\n" }, "october.md:3:3: "},
		{"second on its line", func(s *campaign.Snapshot) { s.Markdown = "{{.plan}} and {{.code )}}" }, "october.md:1:15: template syntax: "},
		{"stray end", func(s *campaign.Snapshot) { s.Markdown = "a {{end}}" }, "october.md:1:3: this {{end}} closes nothing"},
		{"range", func(s *campaign.Snapshot) { s.Markdown = "x {{range .code}}{{end}}" }, "october.md:1:3: range is refused"},
		{"define", func(s *campaign.Snapshot) { s.Markdown = `x {{define "a"}}{{template "a"}}{{end}}` }, "october.md:1:3: template \"a\" is defined"},
		{"template", func(s *campaign.Snapshot) { s.Markdown = `x {{template "t"}}` }, "october.md:1:3: template is refused"},
		{"block", func(s *campaign.Snapshot) { s.Markdown = `{{block "a" .}}{{end}}` }, "october.md:1:1: template \"a\" is defined"},
		{"variable", func(s *campaign.Snapshot) { s.Markdown = `{{$x := .code}}{{$x}}` }, "october.md:1:3: variables are refused"},
		{"function", func(s *campaign.Snapshot) { s.Markdown = `{{printf "%1000000000d" 1}}` }, "october.md:1:3: unknown function printf, did you mean print"},
		{"foreign function", func(s *campaign.Snapshot) { s.Markdown = `{{js .code}}` }, "october.md:1:3: unknown function js: there are and, default"},
		{"own function", func(s *campaign.Snapshot) { s.Markdown = "{{_raw .code}}" }, "october.md:1:3: unknown function _raw"},
		{"all fields", func(s *campaign.Snapshot) { s.Markdown = `{{.}}` }, "october.md:1:3: this prints all fields"},
		{"all fields to a function", func(s *campaign.Snapshot) { s.Markdown = `{{print $}}` }, "october.md:1:3: print of all fields"},
		{"field of a field", func(s *campaign.Snapshot) { s.Markdown = `{{.code.length}}` }, "october.md:1:"},
		{"field of a value", func(s *campaign.Snapshot) { s.Markdown = `{{with .code}}{{.plan}}{{end}}` }, "october.md:1:17: .plan inside with"},
		{"number for text", func(s *campaign.Snapshot) { s.Markdown = `{{if eq .code 5}}x{{end}}` }, "october.md:1:6: eq compares text with a number"},
		{"number to a text function", func(s *campaign.Snapshot) { s.Markdown = `{{upper 5}}` }, "october.md:1:3: upper of a number"},
		{"too few arguments", func(s *campaign.Snapshot) { s.Markdown = `{{default .code}}` }, "october.md:1:3: default has 1 arguments: expected 2"},
		{"argument to a field", func(s *campaign.Snapshot) { s.Markdown = `{{.code .plan}}` }, "october.md:1:3: .code is not a function"},
		{"fraction", func(s *campaign.Snapshot) { s.Markdown = `{{if eq (len .code) 1.5}}x{{end}}` }, "october.md:1:21: number 1.5"},
		{"nesting", func(s *campaign.Snapshot) { s.Markdown = strings.Repeat("{{if .code}}", 50000) }, "october.md:1:1201: more than 100 nested if and with"},
		{"NUL", func(s *campaign.Snapshot) { s.Markdown = "a\nb\x00" }, "october.md:2:2: a NUL byte"},
		{"not UTF-8", func(s *campaign.Snapshot) { s.Markdown = "a\nb\xfc" }, "october.md:2:2: bytes that are not UTF-8"},
		{"too large", func(s *campaign.Snapshot) { s.Markdown = strings.Repeat("a", 1<<20+1) }, "october.md: 1048577 bytes"},
		{"renders too large", func(s *campaign.Snapshot) { s.Markdown = strings.Repeat("\"", 1<<19) }, "october.md: "},
		{"no subject", func(s *campaign.Snapshot) { s.Subject = " " }, "subject: there is no subject"},
		{"no body", func(s *campaign.Snapshot) { s.Markdown = "\n" }, "october.md: the file is empty"},
		{"two bodies", func(s *campaign.Snapshot) { s.HTML = "<p>x</p>" }, "october.md: there is a Markdown and an HTML body"},
		{"layout", func(s *campaign.Snapshot) { s.Layout = "plane" }, `october.md: unknown layout "plane", did you mean plain`},
		{"layout none for Markdown", func(s *campaign.Snapshot) { s.Layout = "none" }, "october.md: layout none is only for HTML"},
		{"page in a layout", func(s *campaign.Snapshot) { s.Markdown, s.HTML = "", "<!doctype html><html><body>x" }, "october.md: this is a whole page"},
		{"no link", func(s *campaign.Snapshot) { s.Markdown, s.HTML, s.Layout = "", "<p>x</p>", "none" }, "october.md: no unsubscribe link for every reader"},
		{"link for some", func(s *campaign.Snapshot) {
			s.Markdown = ""
			s.HTML = `<p>{{if .code}}<a href="{{.unsubscribe_url}}">x</a>{{end}}</p>`
			s.Layout = "none"
		}, "october.md: no unsubscribe link for every reader"},
		{"hidden link", func(s *campaign.Snapshot) {
			s.Markdown = ""
			s.HTML = `<p style="display:none"><a href="{{.unsubscribe_url}}">x</a></p>`
			s.Layout = "none"
		}, "october.md: no unsubscribe link for every reader"},
		{"own text without a link", func(s *campaign.Snapshot) {
			s.Markdown = ""
			s.HTML = `<a href="{{.unsubscribe_url}}">x</a>`
			s.Layout = "none"
			s.Text = "x"
		}, "october.txt: no unsubscribe link in the text part"},
		{"between attributes", func(s *campaign.Snapshot) { s.Markdown = "Hi\n\n<p {{if .code}}class=\"a\"{{end}}>x</p>" }, "october.md:3:4: an action between the attributes of <p>"},
		{"as a tag", func(s *campaign.Snapshot) { s.Markdown, s.HTML = "", "<{{.code}}>x" }, "october.md:1:2: an action between the attributes of <...>"},
		{"unsafe place", func(s *campaign.Snapshot) {
			s.Markdown = ""
			s.HTML = "<p>x</p>\n<a href=\"{{if .code}}https://a.example/?{{else}}/{{end}}{{.plan}}\">x</a>"
		}, "october.md:2:"},
	} {
		s := snapshot()
		c.edit(&s)
		_, err := templates.Compile(s)
		var problems templates.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v, want Problems", c.name, err)
			continue
		}

		found := false
		for _, p := range problems {
			found = found || strings.HasPrefix(p.String(), c.want)
		}
		if !found {
			t.Errorf("%s:\n%v\nwant a line that begins with\n%s", c.name, err, c.want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Columns = nil
	s.Subject = "{{.a}}"
	s.Preheader = "{{upper .b}}"
	s.Text = "{{with .c}}{{$.d}}{{.}}{{end}} {{.unsubscribe_url}}"
	s.Markdown = "{{if eq (lower .e) \"x\"}}{{.f}}{{else if .g}}{{end}} {{.a | default \"z\"}}"
	got, err := templates.Fields(s)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "f", "g"}, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}

	s.Subject = "{{.a"
	if _, err := templates.Fields(s); err == nil {
		t.Error("a syntax error: no error")
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{{default "friend" .first_name}}`:                         "Anna",
		`{{default "friend" (trim " ")}}`:                          "friend",
		`{{.first_name | upper | default "x"}}`:                    "ANNA",
		`{{lower .first_name}}`:                                    "anna",
		`{{title .last_name}}`:                                     "O'neill-Smith",
		`{{title "ärger über ÖL"}}`:                                "Ärger Über ÖL",
		`[{{trim "  a "}}]`:                                        "[a]",
		`{{len .first_name}}`:                                      "4",
		`{{print .first_name "-" .plan}}`:                          "Anna-gold",
		`{{if and .plan (not .code)}}a{{else}}b{{end}}`:            "b",
		`{{if or (eq .plan "x" "gold") (ne .plan "y")}}a{{end}}`:   "a",
		`{{if eq (len .plan) 4}}four{{else}}no{{end}}`:             "four",
		`{{with .company}}{{.}} {{$.plan}}{{else}}nobody{{end}}`:   "Acme gold",
		`{{"{{"}} {{"}}"}} {{.company -}}   x`:                     "{{ }} Acmex",
		"{{/* a note }} with braces */}}{{`raw \"}}\"`}}":          `raw "}}"`,
		"two\nlines\tand\x07bell":                                  "two lines and bell",
		`{{if .plan}}{{if .code}}a{{end}}{{else if .code}}{{end}}`: "a",
	} {
		s := snapshot()
		s.Subject = source
		if got := render(t, s, values).Subject; got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestSubjectIsOneLine(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Subject = "Hi {{.first_name}}"
	for value, want := range map[string]string{
		"a\r\nBcc: x@example.com":   "Hi a Bcc: x@example.com",
		"a\x00b\x7fc\u0085d\u2028e": "Hi a b c d e",
		"<b> & \"q\"":               "Hi <b> & \"q\"",
		"\xff":                      "Hi \uFFFD",
		strings.Repeat("ä", 300):    "Hi " + strings.Repeat("ä", 246) + "…",
		"  ":                        "Hi",
		"{{.email}}":                "Hi {{.email}}",
	} {
		v := []string{"a@example.com", value, "", "", "", ""}
		if got := render(t, s, v).Subject; got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestRenderRefusals(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Markdown = "{{.first_name}}{{.first_name}}{{.first_name}}"
	tmpl, err := templates.Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	var l templates.Letter
	if err := tmpl.Render(&l, templates.Data{Values: values[:2], Unsubscribe: link}); err == nil {
		t.Error("too few values: no error")
	}
	if err := tmpl.Render(&l, templates.Data{Values: values}); err == nil {
		t.Error("no link: no error")
	}

	large := append([]string{"a@example.com", strings.Repeat("a", 1<<20)}, values[2:]...)
	if err := tmpl.Render(&l, templates.Data{Values: large, Unsubscribe: link}); !errors.Is(err, templates.ErrTooLarge) {
		t.Errorf("3 MiB: %v, want ErrTooLarge", err)
	}
	if err := tmpl.Render(&l, templates.Data{Values: values, Unsubscribe: link}); err != nil {
		t.Errorf("after an error: %v", err)
	}
}

func TestConcurrentRender(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Markdown = "Hello {{.first_name}}"
	s.Subject = "{{.first_name}}"
	tmpl, err := templates.Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan error)
	for i := range 4 {
		go func() {
			var l templates.Letter
			name := strings.Repeat("abcd"[i:i+1], 20)
			v := append([]string{"a@example.com", name}, values[2:]...)
			for range 200 {
				err := tmpl.Render(&l, templates.Data{Values: v, Unsubscribe: link})
				if err != nil || l.Subject != name || !strings.Contains(string(l.HTML), "Hello "+name+"<") || !strings.HasPrefix(string(l.Text), "Hello "+name+"\n") {
					done <- errors.Join(errors.New("another recipient's values: "+l.Subject), err)
					return
				}
			}

			done <- nil
		}()
	}

	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
