package templates

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"broadside/campaign"
)

// FuzzCompile: whatever the sources are, there are Problems, or a template
// that renders for hostile values without showing one of them as markup.
func FuzzCompile(f *testing.F) {
	for _, name := range []string{"october.md", "page.html", "own.txt"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), "{{.code}}", "{{.plan}}", name == "page.html", name == "page.html")
	}

	for _, s := range []string{
		"{{if .code}}\n- a\n{{end}}\n- b", "<table>{{if .code}}<tr><td>{{.code}}</td></tr>{{end}}</table>", "<a style='x:{{.code}}' href={{.code}}>", "<script>var x = \"{{.code}}\"</script>",
		"<style>@x y{{.code}}{}p{a:b}</style><p>", "<!--[if mso]>{{.code}}<![endif]--><![if x]>", "{{/* {{ */}}{{`}}`}}{{'}'}}", "zq0x0z <!--zq0x1z-->", "<textarea>{{.code}}<", "&#123;&#123;.code}}", "{{- \"}}\" -}} x", "<p>{{.unsubscribe_url}}<title>{{.code}}",
	} {
		f.Add(s, s, s, true, false)
		f.Add(s, "", "", false, false)
	}

	f.Fuzz(func(t *testing.T, body, subject, preheader string, html, whole bool) {
		s := campaign.Snapshot{
			Topic: "t{{", Postal: "p", Subject: subject, Preheader: preheader, BodyFile: "b", TextFile: "t", Layout: "plain",
			Columns: []string{"email", "first_name", "last_name", "company", "plan", "code"},
		}
		if whole {
			s.Layout = LayoutNone
		}

		if html {
			s.HTML = body
		} else {
			s.Markdown = body
		}

		tmpl, err := Compile(s)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}

		const mark = `'"><zzmark onload=x>{{.email}}`
		var l Letter
		values := []string{"a@example.com", mark + "\r\n\x00", mark, mark, mark, mark}
		if err := tmpl.Render(&l, Data{Values: values, Unsubscribe: "https://a.example/u"}); err != nil && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		if strings.Contains(string(l.HTML), "<zzmark") {
			t.Fatalf("a value became markup:\n%s", l.HTML)
		}
		if strings.ContainsFunc(l.Subject, unicode.IsControl) {
			t.Fatalf("subject %q", l.Subject)
		}
	})
}

// FuzzScan: the actions of a text that the parser accepts are a template of
// their own, and nothing between them looks like one.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"a {{.x}} b", "{{- \"}}\" -}}", "{{/* }} */}}{{`}}\\`}}", "{{'}'}}{{\"\\\"}}\"}}", "{{- /* a */ -}}{{if .x}}{{else}}{{end}}", "{{\n.x\n}}", "{{{.x}}}", "{{ }}", "{{\"{{\"}}",
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<12 {
			return
		}
		if _, err := parseText(s); err != nil {
			return
		}

		var joined strings.Builder
		at := 0
		for _, a := range scanActions(s) {
			if strings.Contains(s[at:a.start], "{{") {
				t.Fatalf("an action was missed in %q", s[at:a.start])
			}
			joined.WriteString(s[a.start:a.end])
			at = a.end
		}

		if strings.Contains(s[at:], "{{") {
			t.Fatalf("an action was missed in %q", s[at:])
		}
		if _, err := parseText(joined.String()); err != nil {
			t.Fatalf("the actions alone, %q: %v", joined.String(), err)
		}
	})
}

// FuzzInlineCSS: no if, else, with or end of a style sheet is lost, doubled or
// moved before another one, whatever the sheet is.
func FuzzInlineCSS(f *testing.F) {
	for _, s := range []string{
		"p { color: red } {{if .x}}.v { color: {{.x}} }{{end}}", "{{if .x}}p{color:red}{{else}}p{color:blue}{{end}}", "p { {{if .x}} } b { {{end}} color: red }",
		"/* {{if .x}} */ p { a: b } /* {{end}} */", "@media {{if .x}}print{{end}} { p { a: b } }", "p { a: url({{if .x}}b{{end}}); c: \"{{with .x}}d{{end}}\"; e: f{{if .x}};g: h{{end}} }",
		"@media print { p { color: red } } p { margin: 0 !important; } p:hover, b { margin: 1px }", "p{a:b;;c", "}}{{if .x}}{ <!-- -->{{end}}", "[a={{if .x}}]{b:c{{end}}",
	} {
		f.Add(s, `<p class="{{if .x}}v{{end}}" style="color:blue;{{if .x}}margin:1px{{end}}">x<b>y`)
	}

	f.Fuzz(func(t *testing.T, sheet, body string) {
		src, problems := readSource("b", sheet)
		if len(problems) > 0 || strings.Contains(strings.ToLower(sheet), "</style") {
			return
		}

		rest, problems := readSource("b", body)
		if len(problems) > 0 || strings.Contains(strings.ToLower(body), "style") && !strings.Contains(body, "style=") {
			return
		}

		ts := newTokens(sheet, body)
		css := ts.tokenise(src, func(s string) string { return s })
		protected, problems := protect("<head><style>"+css+"</style></head><body>"+ts.tokenise(rest, func(s string) string { return s }), ts)
		if len(problems) > 0 {
			return
		}

		page, _, err := inlineCSS(protected, ts)
		if err != nil {
			return
		}

		if want, got := controlsOf(ts, css, src), controlsOf(ts, page, src); want != got {
			t.Fatalf("the actions are %s, want %s, in\n%s", got, want, page)
		}
	})
}

// controlsOf lists the actions of a source that print nothing, as they come in
// a text.
func controlsOf(ts *tokens, text string, of *source) string {
	var list []string
	for _, word := range ts.match.FindAllString(text, -1) {
		if t := ts.get(word); t != nil && t.control && t.src == of {
			list = append(list, t.text)
		}
	}
	return strings.Join(list, " ")
}
