package templates

import (
	"html"
	"regexp"
	"strings"
	"testing"
)

var (
	hrefs      = regexp.MustCompile(`href="([^"]*)"`)
	linksInAll = regexp.MustCompile(`https?://[^\s<>]+`)
)

// TestLinksAreTheSameInBothParts: a merge value in a link is encoded once, in
// the same way in the HTML and in the text, and no value ends a link early.
func TestLinksAreTheSameInBothParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, value, want string }{
		{"path", `<a href="https://a.example/p/{{.code}}">x</a>`, "2026/spring sale", "https://a.example/p/2026/spring%20sale"},
		{"encoded path", `<a href="https://a.example/p/{{.code}}">x</a>`, "caf%C3%A9", "https://a.example/p/caf%C3%A9"},
		{"path with a percent sign", `<a href="https://a.example/p/{{.code}}/">x</a>`, "100%", "https://a.example/p/100%25/"},
		{"query", `<a href="https://a.example/?a=1&amp;b={{.code}}&amp;c=2">x</a>`, "Tom & \"Jerry\" <b>", "https://a.example/?a=1&b=Tom%20%26%20%22Jerry%22%20%3cb%3e&c=2"},
		{"query with encoded text", `<a href="https://a.example/?a={{.code}}">x</a>`, "caf%C3%A9", "https://a.example/?a=caf%25C3%25A9"},
		{"fragment", `<a href="https://a.example/#{{.code}}">x</a>`, "a/b c", "https://a.example/#a%2fb%20c"},
		{"whole", `<a href="{{.code}}">x</a>`, "https://b.example/a b?x=1&y=ü#top", "https://b.example/a%20b?x=1&y=%c3%bc#top"},
		{"whole with line breaks", `<a href="{{.code}}">x</a>`, "https://b.example/ d\n\u00a0e", "https://b.example/%20d%0a%c2%a0e"},
		{"whole and more", `<a href="{{.code}}?a={{.plan}}">x</a>`, "https://b.example/a b", "https://b.example/a%20b?a=x%26y"},
		{"two values in a path", `<a href="https://a.example/{{.code}}/{{.plan}}">x</a>`, "a b", "https://a.example/a%20b/x&y"},
		{"a value in an if", `<a href="https://a.example/{{if .code}}{{.code}}?a={{.code}}{{end}}">x</a>`, "a/b", "https://a.example/a/b?a=a%2fb"},
		{"function", `<a href="https://a.example/?a={{upper .code -}}&amp;b">x</a>`, "a b", "https://a.example/?a=A%20B&b"},
		{"text of the link", `<a href="https://a.example/{{.code}}?a={{.code}}">https://a.example/{{.code}}?a={{.code}}</a>`, "a b/c", "https://a.example/a%20b/c?a=a%20b%2fc"},
		{"the author's blank", "<a href=\" https://a.example/a b\n \">x</a>", "x", "https://a.example/a%20b"},
	} {
		for _, programs := range []bool{true, false} {
			tmpl, err := Compile(flatSnapshot("<p>" + c.body + "</p>"))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}

			if !programs {
				tmpl.subject.flat = nil
				tmpl.html.flat = nil
				tmpl.text.flat = nil
			}

			var l Letter
			if err := tmpl.Render(&l, Data{Values: []string{c.value, "x&y"}, Unsubscribe: "https://u.example/u"}); err != nil {
				t.Fatal(err)
			}
			href := html.UnescapeString(hrefs.FindStringSubmatch(string(l.HTML))[1])
			if href = strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(href, "\n", "")), " ", "%20"); href != c.want {
				t.Errorf("%s, programs %v: the link in the HTML is %s, want %s", c.name, programs, href, c.want)
			}
			if link := linksInAll.FindString(string(l.Text)); link != c.want {
				t.Errorf("%s, programs %v: the link in the text is %s, want %s", c.name, programs, link, c.want)
			}
		}
	}
}

// TestLinksThatRunAreRefusedInBothParts: a value cannot make a link of another
// scheme.
func TestLinksThatRunAreRefusedInBothParts(t *testing.T) {
	t.Parallel()
	tmpl, err := Compile(flatSnapshot(`<p><a href="{{.code}}">x</a></p>`))
	if err != nil {
		t.Fatal(err)
	}

	var l Letter
	if err := tmpl.Render(&l, Data{Values: []string{"javascript:alert(1)", "x"}, Unsubscribe: "https://u.example/u"}); err != nil {
		t.Fatal(err)
	}

	_, body, _ := strings.Cut(string(l.HTML), "<body")
	if strings.Contains(body+string(l.Text), "javascript") {
		t.Errorf("a script is linked:\n%s\n%s", l.HTML, l.Text)
	}
}

// TestTextOfLinks: how links are written in the text part.
func TestTextOfLinks(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`<a href="{{.unsubscribe_url}}">Unsubscribe</a>.`:                                         "Unsubscribe <https://u.example/u>.",
		`<a href="https://a.example/x">https://a.example/x</a>.`:                                  "https://a.example/x.",
		`<a href="https://a.example/{{.code}}">a.example/{{.code}}</a>`:                           "https://a.example/1%202",
		`Call <a href="tel:{{.code}}">us</a>`:                                                     "Call us <1 2>",
		`<a href="mailto:{{.plan}}">{{.plan}}</a>`:                                                "a@b.example",
		`<a href="mailto:{{.plan}}?subject=Hi%20there&amp;body={{.code}}">x</a>`:                  "x <mailto:a@b.example?subject=Hi%20there&body=1%202>",
		`<a href="#top">Up</a>`:                                                                   "Up",
		`<a href="https://a.example"><img src="i.png" alt=""></a>`:                                "<https://a.example>",
		`<ul><li><a href="https://a.example/{{.code}}">https://a.example/{{.code}}</a></li></ul>`: "- https://a.example/1%202",
	} {
		tmpl, err := Compile(flatSnapshot("<div>" + body + "</div>"))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}

		var l Letter
		if err := tmpl.Render(&l, Data{Values: []string{"1 2", "a@b.example"}, Unsubscribe: "https://u.example/u"}); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(string(l.Text), "\n"); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
