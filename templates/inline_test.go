package templates

import (
	"strings"
	"testing"
)

// inlined returns what a body becomes under a style sheet: the style element,
// if one is left, and the body.
func inlined(t *testing.T, sheet, body string) (style, out string) {
	t.Helper()
	s := flatSnapshot("<!DOCTYPE html><html><head><style>" + sheet + "</style></head><body>" + body + `<i id="end"></i>` + "{{.unsubscribe_url}}</body></html>")
	s.Layout = LayoutNone
	s.Preheader = ""
	src, problems := load(s, s.Columns)
	if err := problems.err(); err != nil {
		t.Fatal(err)
	}

	page, err := assemble(s, src)
	if err != nil {
		t.Fatal(err)
	}

	_, head, _ := strings.Cut(page.html, "<head>")
	head, out, _ = strings.Cut(head, "</head><body>")
	out, _, _ = strings.Cut(out, `<i id="end"`)
	style = strings.TrimSuffix(strings.TrimPrefix(head, "<style>\n"), "\n</style>")

	return style, out
}

func TestInlining(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sheet, body string
		style, want       string
	}{
		{"a rule", "p { color: red }", "<p>x</p>", "", `<p style="color:red">x</p>`},
		{"specificity before order", "#i { color: red } p { color: blue }", `<p id="i">x</p>`, "", `<p id="i" style="color:red">x</p>`},
		{"the style attribute wins", "p { color: red }", `<p style="color: black; margin: 1px">x</p>`, "", `<p style="color:black;margin:1px">x</p>`},
		{"important beats the style attribute", "p { color: red !important }", `<p style="color: black">x</p>`, "", `<p style="color:black;color:red">x</p>`},
		{"an important style attribute wins", "p { color: red !important }", `<p style="color: black !important">x</p>`, "", `<p style="color:black !important">x</p>`},
		{
			"fallbacks in one rule", "p { background: #00f; background: linear-gradient(#00f, #000); width: 9px; width: 1rem }", "<p>x</p>", "",
			`<p style="background:#00f;background:linear-gradient(#00f, #000);width:9px;width:1rem">x</p>`,
		},
		{"fallbacks in two rules", "p { color: #00f } .a { color: rgba(0,0,0,.5) }", `<p class="a">x</p>`, "", `<p class="a" style="color:#00f;color:rgba(0,0,0,.5)">x</p>`},
		{"no fallback for what all understand", "p { color: rgba(0,0,0,.5); margin: 1px 2px } .a { color: #00F; margin: 0 }", `<p class="a">x</p>`, "", `<p class="a" style="color:#00F;margin:0">x</p>`},
		{"letters of a property", "p { margin: 0; Margin: 0 !important; COLOR: Red }", "<p>x</p>", "", `<p style="margin:0;COLOR:Red;Margin:0">x</p>`},
		{"two selectors of one rule", "p, .a { color: rgb(1,2,3) }", `<p class="a">x</p>`, "", `<p class="a" style="color:rgb(1,2,3)">x</p>`},
		{"braces and semicolons in strings", `p { background: url("a;b}c.png"); content: "};{" }`, "<p>x</p>", "", `<p style="background:url(&#34;a;b}c.png&#34;);content:&#34;};{&#34;">x</p>`},
		{"a comment", "/* p { } */ p { /* ; */ color: red }", "<p>x</p>", "", `<p style="color:red">x</p>`},
		{":link is every link", "a:link { color: red } .n a { color: blue }", `<p class="n"><a href="u">x</a></p>`, "", `<p class="n"><a href="u" style="color:blue">x</a></p>`},
		{":link is weaker than two classes", "a:link { color: red } .n .b { color: blue }", `<p class="n"><a class="b" href="u">x</a></p>`, "", `<p class="n"><a class="b" href="u" style="color:blue">x</a></p>`},
		{"structure", "p:first-child { margin: 0 } li:nth-child(2) { color: red }", "<p>x</p><ul><li>1</li><li>2</li></ul>", "", `<p style="margin:0">x</p><ul><li>1</li><li style="color:red">2</li></ul>`},

		{"a rule that matches nothing", ".ExternalClass p { line-height: 100% }", "<p>x</p>", ".ExternalClass p { line-height: 100% }", "<p>x</p>"},
		{
			"hooks of mail programs", "#outlook a{padding:0}\n[data-ogsc] p{color:#eee}\nu + .body p{color:#fff}\na[x-apple-data-detectors]{color:inherit!important}", "<p>x</p>",
			"#outlook a{padding:0}\n[data-ogsc] p{color:#eee}\nu + .body p{color:#fff}\na[x-apple-data-detectors]{color:inherit!important}", "<p>x</p>",
		},
		{"one selector of two", "p, .ExternalClass p { margin: 0 }", "<p>x</p>", ".ExternalClass p { margin: 0 }", `<p style="margin:0">x</p>`},
		{"pseudo-elements", `p::before { content: "x" }`, "<p>x</p>", `p::before { content: "x" }`, "<p>x</p>"},
		{"the root", ":root { color-scheme: light dark }", "<p>x</p>", ":root { color-scheme: light dark }", "<p>x</p>"},
		{"visited links", "a { color: red } a:visited { color: blue }", `<a href="u">x</a>`, "a:visited { color: blue }", `<a href="u" style="color:red">x</a>`},
		{"at-rules", "@font-face { src: url(a;b) }\n@layer base;\n@keyframes k { from { a: b } }", "<p>x</p>", "@font-face { src: url(a;b) }\n@layer base;\n@keyframes k { from { a: b } }", "<p>x</p>"},
		{"nested rules", "p { color: red; &:hover { color: blue } }", "<p>x</p>", "p { color: red; &:hover { color: blue } }", "<p>x</p>"},

		{"a state must win", "a { color: red } a:hover { color: blue; margin: 0 }", `<a href="u">x</a>`, "a:hover { color:blue !important;margin: 0 }", `<a href="u" style="color:red">x</a>`},
		{"a state without a rival", "a:focus { color: blue }", `<a href="u">x</a>`, "a:focus { color: blue }", `<a href="u">x</a>`},
		{
			"a state that loses", "a:hover { color: blue } a.b { color: red } .n a.b { color: #000 }", `<p class="n"><a class="b" href="u">x</a></p>`,
			"a:hover { color: blue }", `<p class="n"><a class="b" href="u" style="color:#000">x</a></p>`,
		},
		{"media must win", "p { margin-top: 9px } @media print { p { margin: 0 } .a { color: red } }", "<p>x</p>", "@media print {\np { margin:0 !important }\n.a { color: red }\n}", `<p style="margin-top:9px">x</p>`},
		{"media with its own important", "p { color: red } @media print { p { color: blue !important } }", "<p>x</p>", "@media print { p { color: blue !important } }", `<p style="color:red">x</p>`},
		{"media that is weaker", "@media print { p { color: blue } } p { color: red }", "<p>x</p>", "@media print { p { color: blue } }", `<p style="color:red">x</p>`},
		{
			"a style attribute stays stronger than media", "a { color: red } @media print { a { color: blue } }", `<a href="u">x</a><a href="v" style="color:#fff">y</a>`,
			"@media print {\na { color:blue !important }\n}", `<a href="u" style="color:red">x</a><a href="v" style="color:#fff !important">y</a>`,
		},
		{
			"a stronger rule of a forced one", "p { margin: 9px } @media print { p { margin: 0 } p.a { margin-top: 1px } }", `<p class="a">x</p>`,
			"@media print {\np { margin:0 !important }\np.a { margin-top:1px !important }\n}", `<p class="a" style="margin:9px">x</p>`,
		},
		{"an if around a rule", "p { color: red } {{if .code}}.v { color: {{.code}} }{{end}}", `<p class="v">x</p>`, "{{if .code}}\n.v { color:{{.code}} !important }\n{{end}}", `<p class="v" style="color:red">x</p>`},
		{"an if around a rule without a blank", "{{if .code}}p{color:red}{{else}}p{color:blue}{{end}}", "<p>x</p>", "{{if .code}}\np{color:red}\n{{else}}\np{color:blue}\n{{end}}", "<p>x</p>"},
		{"an if around declarations", "p { {{if .code}}color: red{{else}}color: blue;{{end}} margin: 0 } p { x: y }", "<p>x</p>", "p { {{if .code}}color: red{{else}}color: blue;{{end}} margin: 0 }", `<p style="x:y">x</p>`},
		{
			"an if around declarations that must win", "p { color: #000 } p { {{if .code}}color: red{{else}}color: blue{{end}} }", "<p>x</p>",
			"p { {{if .code}}color:red !important;{{else}}color:blue !important;{{end}} }", `<p style="color:#000">x</p>`,
		},
		{"an if in a value", "p { color: {{if .code}}red{{else}}blue{{end}}; margin: 0 }", "<p>x</p>", "p { color: {{if .code}}red{{else}}blue{{end}}; margin: 0 }", "<p>x</p>"},
		{"an if around half a rule", "p { {{if .code}} } b { {{end}} color: red }", "<p>x</p>", "p { {{if .code}} }\nb { {{end}} color: red }", "<p>x</p>"},
		{"an if in a comment", "/* {{if .code}} */ p { a: b } /* {{end}} */", "<p>x</p>", "/* {{if .code}} */\np { a: b }\n/* {{end}} */", "<p>x</p>"},
		{"an if in a selector", "p{{if .code}}.a{{end}} { a: b }", "<p>x</p>", "p{{if .code}}.a{{end}} { a: b }", "<p>x</p>"},
		{"an if in a group", "@media {{if .code}}print{{else}}screen{{end}} { p { a: b } }", "<p>x</p>", "@media {{if .code}}print{{else}}screen{{end}} { p { a: b } }", "<p>x</p>"},
		{"a field in a value", "p { color: {{.code}} }", "<p>x</p>", "", `<p style="color:{{.code}}">x</p>`},
		{"a field in a selector", ".a{{.code}} { a: b }", "<p>x</p>", ".a{{.code}} { a: b }", "<p>x</p>"},
		{
			"a class that an if gives", "p { color: red } .v { color: blue }", `<p class="{{if .code}}v{{end}}">x</p><p class="v">y</p>`,
			".v { color:blue !important }", `<p class="{{if .code}}v{{end}}" style="color:red">x</p><p class="v" style="color:blue">y</p>`,
		},
		{"a class that is a field", ".v { color: blue }", `<p class="{{.code}}">x</p><p class="v">y</p>`, ".v { color: blue }", `<p class="{{.code}}">x</p><p class="v" style="color:blue">y</p>`},
		{
			"an if in a style attribute", "p { color: red; margin: 0 !important }", `<p style="{{if .code}}color: blue{{else}}color: black{{end}}">x</p>`, "",
			`<p style="color:red;{{if .code}}color: blue{{else}}color: black{{end}};margin:0">x</p>`,
		},
		{"a rule that does not end", "p { color: red", "<p>x</p>", "", `<p style="color:red">x</p>`},
	} {
		style, got := inlined(t, c.sheet, c.body)
		if style != c.style {
			t.Errorf("%s: the style element has\n%s\nwant\n%s", c.name, style, c.style)
		}

		if got != c.want {
			t.Errorf("%s: the body is\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestStyleForSomeMediaIsKept: what is only for print does not go into style
// attributes.
func TestStyleForSomeMediaIsKept(t *testing.T) {
	t.Parallel()
	page, _, err := inlineCSS(`<style>p{display:block}</style><style media="print">p{display:none}</style><style media=" SCREEN ">b{a:b}</style><p><b>x</b></p>`, newTokens())
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{`<style media="print">` + "\np { display:none !important }\n</style>", `<p style="display:block"><b style="a:b">`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing in\n%s", want, page)
		}
	}
}

// TestHiddenFromReaders: the text part has what a reader of the page sees.
func TestHiddenFromReaders(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<style>.a{display:none}</style><p class=a>a</p><p>b</p>":                                                      "b\n",
		"<style>.a{display:none}</style><p class=a style='display:block'>a</p>":                                        "a\n",
		"<style>.a{display:none!important}</style><p class=a style='display:block'>a</p>b":                             "b\n",
		"<style>@media print{.a{display:none}}</style><p class=a>a</p>":                                                "a\n",
		"<p style='max-height:0;overflow:hidden'>a</p><p style='max-height:0px'>b</p>c":                                "c\n",
		"<p style='max-height:0;overflow:visible'>a</p><p style='max-height:10px'>b</p>":                               "a\n\nb\n",
		"<p style='height:0;overflow:hidden'>a</p><p style='height:0'>b</p>":                                           "b\n",
		"<p style='visibility:collapse'>a</p><p style='text-indent:-9999px'>b</p><p style='text-indent:-1em'>c</p>":    "c\n",
		"<p style='position:absolute;left:-9999px'>a</p><p style='position:absolute;top:-5000px'>b</p>c":               "c\n",
		"<p style='position:relative;left:-9px'>a</p><p style='left:-9999px'>b</p>":                                    "a\n\nb\n",
		"<p style='position:absolute;width:1px;height:1px;clip:rect(0, 0, 0, 0)'>a</p><p style='clip:rect(0 0 0 0)'>b": "b\n",
		"<p style='font:0/0 a'>a</p><p style='font:10px/1 a'>b</p>":                                                    "b\n",
		"<p style='opacity:0'>a</p><p style='opacity:0.5'>b</p><p style='visibility:hidden'>c</p>":                     "b\n",
		"<p style='mso-hide:all'>a</p><p><a href=https://a.example style='mso-hide:all'>b</a></p>":                     "b <https://a.example>\n",
		"<div style='font-size:0'>a<p style='font-size:16px'>b</p><b style='font-size:2em'>c</b></div>":                "b\n",
		"<div style='font-size:0px'><a href=https://a.example><img alt=b src=c></a></div>":                             "b <https://a.example>\n",
		"<p style='font-size:1.0em'>a</p><p style='font-size:0.0em'>b</p><p style='font-size:.0'>c</p>":                "a\n",
		"<p style='background:url(display:none)'>a</p><p style='display:none;display:inline'>b</p>":                    "a\n\nb\n",
		"<style>.a{font-size:0}.b{font-size:12px}</style><div class=a>x<span class=b>y</span></div><p>z</p>":           "y\n\nz\n",
	} {
		ts := newTokens()
		_, doc, err := inlineCSS(in, ts)
		if err != nil {
			t.Fatal(err)
		}

		if got := plainText(doc, ts); got != want {
			t.Errorf("%s:\n%q, want\n%q", in, got, want)
		}
	}
}
