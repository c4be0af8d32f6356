package templates

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestPlainText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<p>a  b\n c</p><p>d<br>e</p>": "a b c\n\nd\ne\n",
		"a <b> b</b>c<i> d </i>e":      "a b" + "c d e\n",
		"<h1>T</h1>x<hr>y":             "T\n\nx\n\n" + rule + "\n\ny\n",
		"<ul><li>a<li><p>b</p><p>c</p><li>d<ul><li>e<br>f</ul></ul>g":                               "- a\n- b\n\n  c\n\n- d\n  - e\n    f\n\ng\n",
		"<ol start=9><li>a<li>b<br>c</ol>":                                                          "9. a\n10. b\n    c\n",
		"<blockquote><p>a</p><ul><li>b</ul></blockquote>c":                                          "> a\n>\n> - b\n\nc\n",
		"<table><tr><th>a<th>b<tr><td>c<td>d</table>":                                               "a | b\nc | d\n",
		"<table><tr><td>a<td>b</table>":                                                             "a\nb\n",
		"<table role=presentation><tr><td><table><tr><th>a<td>b</table>":                            "a | b\n",
		"<a href=https://a.example/x>t</a>, <a href='https://a.example'>https://a.example/</a>.":    "t <https://a.example/x>, https://a.example/.\n",
		"<a href=mailto:a@b.example>a@b.example</a> <a href=#x>in</a>":                              "a@b.example in\n",
		"<a href=https://a.example><img src=x></a> <img src=y alt='An alt'>":                        "<https://a.example> An alt\n",
		"<div hidden>a</div><div style='DISPLAY : none'>b</div>c<script>d</script><style>e</style>": "c\n",
		"<pre>a\n  b\n\n\nc</pre>d":                                                                 "a\n  b\n\n\nc\n\nd\n",
		"a\u00a0b\u00adc\u200b":                                                                     "a bc\n",
		"{{.x}} &amp; &lt;":                                                                         "{{\"{{\"}}.x}} & <\n",
	} {
		ts := newTokens()
		_, doc, err := inlineCSS(in, ts)
		if err != nil {
			t.Fatal(err)
		}

		got := plainText(doc, ts)
		// Render takes blanks from line ends too; it would also
		// close the gap in <pre>.
		lines := strings.Split(got, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		if got = strings.Join(lines, "\n"); got != want {
			t.Errorf("%s:\n%q, want\n%q", in, got, want)
		}
	}
}

func TestAtRulesAreKept(t *testing.T) {
	t.Parallel()
	page, _, err := inlineCSS(`<html><head><style>
@import url("a;b.css");
/* @no { } */ p { color: red } p:after { content: "}@" }
@supports (a:b) { p { x: y } q { z: w } }
@media print { p { color: black } }
@layer base;
</style></head><body><p>x</p></body></html>`, newTokens())
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{`<p style="color:red">`, "@supports (a:b) { p { x: y } q { z: w } }", "@layer base;", "@media print", `@import url("a;b.css")`, `"}@"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing in\n%s", want, page)
		}
	}

	if strings.Contains(page, "data-premailer") || strings.Contains(page, "@no") {
		t.Errorf("traces of the inliner:\n%s", page)
	}
}

func TestEveryLayoutIsAWholePage(t *testing.T) {
	t.Parallel()
	if len(Layouts()) < 2 {
		t.Fatalf("layouts %v: expected plain and none", Layouts())
	}

	for _, name := range Layouts() {
		if name == LayoutNone {
			continue
		}
		page, err := fillLayout(name, frame{Title: "t", Preheader: "pre", Content: "<p>c</p>", Topic: "topic", Postal: "postal", Unsubscribe: "https://a.example/u"})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := html.Parse(strings.NewReader(page)); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"<title>t</title>", "pre\n", "<p>c</p>", "topic", "postal", `href="https://a.example/u"`, "prefers-color-scheme: dark", "viewport"} {
			if !strings.Contains(page, want) {
				t.Errorf("layout %s lacks %s", name, want)
			}
		}
	}
}
