package templates_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/token"
	"broadside/templates"
)

const (
	public = "https://news.acme.example"
	who    = "reader-token"
)

// readable seals links as text that people can read in golden files.
func readable(dst []byte, l token.Link) []byte {
	return append(dst, fmt.Sprintf(".%d-of-%d.%s", l.Number, l.Of, strings.NewReplacer(":", "_", "/", "_", "?", "_", "&", "_", "=", "_", "#", "_", "%", "_").Replace(l.Target))...)
}

func followed(t testing.TB, s campaign.Snapshot, values []string) templates.Letter {
	t.Helper()
	tmpl, err := templates.CompileSealed(s, readable)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	var l templates.Letter
	if err := tmpl.Render(&l, templates.Data{Values: values, Unsubscribe: link, Reader: who}); err != nil {
		t.Fatalf("render: %v", err)
	}
	return l
}

// Letters with tracking, as they are sent. Those without are the ones of TestGolden.
func TestFollowedGolden(t *testing.T) {
	t.Parallel()
	october := snapshot()
	october.PublicURL = public
	october.Markdown = read(t, "october.md")
	october.Tracking = campaign.Tracking{Opens: true, Clicks: true}

	page := snapshot()
	page.PublicURL = public
	page.Markdown = ""
	page.HTML = read(t, "page.html")
	page.BodyFile = "page.html"
	page.Layout = "none"
	page.Tracking = october.Tracking

	for name, s := range map[string]campaign.Snapshot{"october-followed": october, "page-followed": page} {
		l := followed(t, s, values)
		file := filepath.Join("golden", name+".html")
		if *update {
			if err := os.WriteFile(filepath.Join("testdata", file), l.HTML, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(read(t, file), string(l.HTML)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", file, diff)
		}

		clean := s
		clean.Tracking = campaign.Tracking{}
		if diff := cmp.Diff(string(render(t, clean, values).Text), string(l.Text)); diff != "" {
			t.Errorf("%s: the text part differs (-without +with):\n%s", name, diff)
		}
	}
}

// Without tracking a letter is the same to the last byte, whatever seals links.
func TestCleanLettersStayClean(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.PublicURL = public
	s.Markdown = read(t, "october.md") + "\n<a href=\"https://acme.example/x\" data-no-track>x</a>\n"
	want := render(t, s, values)
	got := followed(t, s, values)
	if diff := cmp.Diff(string(want.HTML), string(got.HTML)); diff != "" || !strings.Contains(string(got.HTML), "data-no-track") {
		t.Errorf("the HTML differs (-want +got):\n%s", diff)
	}
	if strings.Contains(string(got.HTML), who) {
		t.Error("the letter names its reader")
	}
	if links, err := templates.Links(s); err != nil || links != nil {
		t.Errorf("links: %v, %v", links, err)
	}
}

var hrefs = regexp.MustCompile(`href="([^"]*)"`)

func TestWhichLinksAreFollowed(t *testing.T) {
	t.Parallel()
	click := public + token.ClickPath + who
	long := "https://acme.example/" + strings.Repeat("x", token.MaxTarget)
	for _, tt := range []struct {
		name, html string
		want       string // the first href
	}{
		{"https", `<a href="https://acme.example/a">x</a>`, click + ".1-of-1.https___acme.example_a"},
		{"http, capitals, blanks", `<a href=" HTTP://acme.example/a ">x</a>`, click + ".1-of-1.HTTP___acme.example_a"},
		{"other characters", `<a href="https://acme.example/ü?a=b&amp;c=d e">x</a>`, click + ".1-of-1.https___acme.example__c3_bc_a_b_c_d_20e"},
		{"area", `<map><area href="https://acme.example/a" alt="x"></map>`, click + ".1-of-1.https___acme.example_a"},
		{"two with one target", `<a href="https://acme.example/a">x</a> <a href="https://acme.example/a">y</a>`, click + ".1-of-1.https___acme.example_a"},
		{"first of two", `<a href="https://acme.example/a">x</a> <a href="https://acme.example/b">y</a>`, click + ".1-of-2.https___acme.example_a"},
		{"a field in the query", `<a href="https://acme.example/?c={{.code}}&amp;x=1">x</a>`, click + ".1-of-1.https___acme.example__c_a_20b_2bc_x_1"},
		{"a field in the path", `<a href="https://acme.example/{{.code}}/">x</a>`, click + ".1-of-1.https___acme.example_a_20b&#43;c_"},
		{"a field is the link", `<a href="{{.first_name}}">x</a>`, "Anna"},
		{"a condition", `<a href="{{if eq .plan "gold"}}https://gold.example/{{else}}https://acme.example/{{.plan}}{{end}}">x</a>`, click + ".1-of-1.https___gold.example_"},
		{"inside with", `{{with .plan}}<a href="https://acme.example/a">{{.}}</a>{{end}}`, click + ".1-of-1.https___acme.example_a"},
		{"a field inside with", `{{with .plan}}<a href="https://acme.example/{{$.first_name}}">{{.}}</a>{{end}}`, click + ".1-of-1.https___acme.example_Anna"},
		{"the value of with", `{{with .plan}}<a href="https://acme.example/{{.}}">x</a>{{end}}`, "https://acme.example/gold"},
		{"functions", `<a href="https://acme.example/{{default "x" (upper .plan)}}">x</a>`, click + ".1-of-1.https___acme.example_GOLD"},
		{"text is the address", `<a href="https://acme.example/a">https://acme.example/a</a>`, "https://acme.example/a"},
		{"text is an address", `<a href="https://acme.example/a"><b>www.acme.example</b></a>`, "https://acme.example/a"},
		{"text is the bare address", `<a href="https://acme.example/">acme.example</a>`, "https://acme.example/"},
		{"marked", `<a data-no-track href="https://acme.example/a">x</a>`, "https://acme.example/a"},
		{"marked with a value", `<a href="https://acme.example/a" data-no-track="yes">x</a>`, "https://acme.example/a"},
		{"mail", `<a href="mailto:a@acme.example">x</a>`, "mailto:a@acme.example"},
		{"telephone", `<a href="tel:+49123">x</a>`, "tel:+49123"},
		{"anchor", `<a href="#top">x</a>`, "#top"},
		{"relative", `<a href="/a">x</a>`, "/a"},
		{"unsubscribe", `<a href="{{.unsubscribe_url}}">x</a>`, link},
		{"unsubscribe with more", `<a href="{{.unsubscribe_url}}?x={{.plan}}">x</a>`, link + "?x=gold"},
		{"too long", `<a href="` + long + `">x</a>`, long},
		{"no host", `<a href="https://">x</a>`, "https://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := snapshot()
			s.PublicURL = public
			s.Markdown = ""
			s.HTML = tt.html
			s.Tracking.Clicks = true
			l := followed(t, s, values)
			html := string(l.HTML)
			got := hrefs.FindStringSubmatch(html)
			if got == nil || got[1] != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if strings.Contains(html, "data-no-track") || strings.Contains(html, token.OpenPath) {
				t.Errorf("the mark, or a picture, is in the letter:\n%s", html)
			}
			if strings.Contains(string(l.Text), token.ClickPath) || !strings.Contains(html, `href="`+link+`"`) {
				t.Errorf("the text part, or the unsubscribe link, is followed:\n%s\n%s", l.Text, html)
			}
		})
	}
}

// What a value makes of a link decides whether it is followed.
func TestALinkThatIsAValue(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.PublicURL = public
	s.Markdown = ""
	s.HTML = `<a href="{{.code}}">x</a>`
	s.Tracking.Clicks = true
	for value, want := range map[string]string{
		"https://acme.example/a?b=c":           public + token.ClickPath + who + ".1-of-1.https___acme.example_a_b_c",
		"mailto:a@acme.example":                "mailto:a@acme.example",
		"":                                     "",
		"javascript:alert(1)":                  "#ZgotmplZ",
		"https://a.example/\r\nX: y":           public + token.ClickPath + who + ".1-of-1.https___a.example__0aX__20y",
		"https://" + strings.Repeat("x", 1000): "https://" + strings.Repeat("x", 1000),
	} {
		l := followed(t, s, []string{"", "", "", "", "", value})
		if got := hrefs.FindStringSubmatch(string(l.HTML)); got == nil || got[1] != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestThePictureIsLast(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.PublicURL = public
	s.Tracking.Opens = true
	html := string(followed(t, s, values).HTML)
	const picture = `<img src="` + public + token.OpenPath + who + `" width="1" height="1" alt="" `
	if strings.Count(html, picture) != 1 || strings.Index(html, picture) > strings.Index(html, "</body>") || strings.Index(html, picture) < strings.Index(html, "Unsubscribe") {
		t.Errorf("the picture is not at the end:\n%s", html)
	}
	if strings.Contains(html, token.ClickPath) {
		t.Errorf("a link is followed:\n%s", html)
	}
}

func TestLinksForPeople(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.PublicURL = public
	s.Tracking.Clicks = true
	s.Markdown = "[a](https://acme.example/a) [b](https://acme.example/?c={{.code}}) [again](https://acme.example/a) [me]({{.unsubscribe_url}})"
	got, err := templates.Links(s)
	if diff := cmp.Diff([]string{"https://acme.example/a", "https://acme.example/?c=[code]"}, got); diff != "" || err != nil {
		t.Errorf("links: %v (-want +got):\n%s", err, diff)
	}
}

// A letter that has an action which only html/template can render has the same links.
func TestFollowedOnTheSlowPath(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.PublicURL = public
	s.Tracking = campaign.Tracking{Opens: true, Clicks: true}
	s.Markdown = ""
	s.HTML = `<a href="https://acme.example/a">x</a> <a href="https://acme.example/?c={{.code}}">y</a> {{len .code}}`
	want := followed(t, s, values)
	s.HTML = strings.Replace(s.HTML, "{{len .code}}", "5", 1)
	if diff := cmp.Diff(string(followed(t, s, values).HTML), string(want.HTML)); diff != "" {
		t.Errorf("-flat +slow:\n%s", diff)
	}
}

// Whatever an author writes, following its links breaks nothing: the letter compiles, its
// text part is the same, and it can be left.
func FuzzFollow(f *testing.F) {
	for _, seed := range []string{
		`<a href="https://acme.example/a">x</a>`,
		`<a href="https://acme.example/?c={{.code}}">x</a>`,
		`{{with .plan}}<a href='https://acme.example/{{.}}'>x</a>{{end}}`,
		`<a href={{.code}}>x<a href="{{.unsubscribe_url}}">y`,
		`<style>a { color: red }</style><a href="{{if .plan}}https://a.example{{end}}">x</a>`,
		`<!--[if mso]><a href="https://acme.example">{{.code}}</a><![endif]--><area href=https://acme.example/b>`,
		`<a href="https://acme.example/a" href="{{.code}}" data-no-track`,
		`<a href="https://acme.example/{{"{{"}}">x</a> {{len .code}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, html string) {
		s := snapshot()
		s.PublicURL = public
		s.Markdown = ""
		s.HTML = html
		if _, err := templates.Compile(s); err != nil {
			return
		}
		want := render(t, s, values)
		s.Tracking = campaign.Tracking{Opens: true, Clicks: true}
		got := followed(t, s, values)
		if string(want.Text) != string(got.Text) || want.Subject != got.Subject {
			t.Errorf("%q: the text part differs:\n%s", html, cmp.Diff(string(want.Text), string(got.Text)))
		}
		if was, is := strings.Count(string(want.HTML), link), strings.Count(string(got.HTML), link); was != is {
			t.Errorf("%q: %d links to unsubscribe, want %d:\n%s", html, is, was, got.HTML)
		}
		if strings.Count(string(got.HTML), token.OpenPath+who) != 1 {
			t.Errorf("%q: not one picture:\n%s", html, got.HTML)
		}
	})
}
