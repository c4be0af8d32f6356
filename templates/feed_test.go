package templates_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/templates"
)

// twoItems are those of a feed.
var twoItems = []campaign.FeedItem{
	{Title: "First", Link: "https://acme.example/1?a=1&b=2", Published: "2026-10-02", Summary: "S1", Content: "<p>C <b>1</b></p>"},
	{Title: "Second *x*", Link: "https://acme.example/2", Summary: "S2", Content: "<p>C2</p><ul><li>one</li></ul>"},
}

// digest is the letter of a campaign with a feed.
func digest(t testing.TB, s campaign.Snapshot, items []campaign.FeedItem) templates.Letter {
	t.Helper()
	if err := templates.CheckFeed(s); err != nil {
		t.Fatal(err)
	}
	return render(t, templates.WithFeed(s, items), values)
}

func TestARangeStandsThereOnceForEachItem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{
			"paragraphs",
			"Hi {{.first_name}}\n{{range .feed.items}}\n**{{.title}}** {{$.plan}}\n{{end}}\nBye\n",
			"Hi {{.first_name}}\n\n**{{\"First\"}}** {{$.plan}}\n\n**{{\"Second *x*\"}}** {{$.plan}}\n\nBye\n",
		},
		{
			"a list",
			"{{range .feed.items}}\n- [{{.title}}]({{.link}})\n{{end}}\nBye",
			"- [{{\"First\"}}]({{\"https://acme.example/1?a=1&b=2\"}})\n- [{{\"Second *x*\"}}]({{\"https://acme.example/2\"}})\n\nBye",
		},
		{
			"a numbered list with conditions", "  {{- range .feed.items }}\n1. {{if .published}}{{.published}}{{else}}soon{{end}}\n  {{ end }}\r\n",
			"1. {{if \"2026-10-02\"}}{{\"2026-10-02\"}}{{else}}soon{{end}}\n1. {{if \"\"}}{{\"\"}}{{else}}soon{{end}}\n\n",
		},
		{
			"rows of a table",
			"| a |\n| --- |\n{{range .feed.items}}\n| {{.title | upper}} |\n{{end}}",
			"| a |\n| --- |\n| {{\"First\" | upper}} |\n| {{\"Second *x*\" | upper}} |\n\n",
		},
		{"within a line", "All: {{range .feed.items}}{{.summary}}, {{end}}done", "All: {{\"S1\"}}, {{\"S2\"}}, done"},
		{"without white space", "All: {{range .feed.items -}} {{.summary}} {{- end}}.", "All: {{/* */ -}} {{\"S1\"}} {{- /* */}}{{/* */ -}} {{\"S2\"}} {{- /* */}}."},
		{"with what there is without items", "{{range .feed.items}}{{.summary}}{{else}}none{{end}}", "{{\"S1\"}}{{\"S2\"}}"},
		{"with", "{{range .feed.items}}{{with .published}}on {{.}}{{end}};{{end}}", "{{with \"2026-10-02\"}}on {{.}}{{end}};{{with \"\"}}on {{.}}{{end}};"},
		{"their number", "{{len .feed.items}} {{if eq (len $.feed.items) 1}}one{{else if .feed.items}}more{{end}}", "{{\"2\"}} {{if eq (2) 1}}one{{else if \"x\"}}more{{end}}"},
		{"one of them", "{{(index .feed.items 1).title}}{{(index .feed.items 7).title}}{{upper (index .feed.items 0).title}}", "{{\"Second *x*\"}}{{\"\"}}{{upper \"First\"}}"},
		{"without a feed in it", "{{- .first_name | upper -}} {{/* c */}}{{if .feed.items}}{{end}}", "{{- .first_name | upper -}} {{/* c */}}{{if \"x\"}}{{end}}"},
	} {
		s := snapshot()
		s.Markdown = tt.text
		if err := templates.CheckFeed(s); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := templates.WithFeed(s, twoItems).Markdown
		if diff := cmp.Diff(tt.want, strings.ReplaceAll(got, `\x5b`, "[")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}

	s := snapshot()
	s.Subject = "{{len .feed.items}}: {{(index .feed.items 0).title}}{{(index .feed.items 1).title}}{{(index .feed.items 1).title}}"
	braces := []campaign.FeedItem{{Title: "a"}, {Title: "{"}}
	if got, want := templates.WithFeed(s, braces).Subject, `2: a{{"\x7b"}}{{"\x7b"}}`; got != want {
		t.Errorf("a subject with braces is %s, want %s", got, want)
	}
	s.Markdown = "{{range .feed.items}}\n- x\n{{else}}\nnone\n{{end}}\n"
	if got := templates.WithFeed(s, nil).Markdown; got != "none\n\n" {
		t.Errorf("without items: %q", got)
	}
}

func TestADigest(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Subject = "{{len .feed.items}} articles: {{(index .feed.items 0).title}}"
	s.Markdown = "Hello {{.first_name}},\n\n{{range .feed.items}}\n## [{{.title}}]({{.link}})\n\n{{.content}}\n{{end}}\n"
	l := digest(t, s, twoItems)
	if l.Subject != "2 articles: First" {
		t.Errorf("subject %q", l.Subject)
	}
	page := string(l.HTML)
	for _, want := range []string{
		`href="https://acme.example/1?a=1&amp;b=2"`, ">Second *x*</a></h2>", `<p style="margin:0 0 16px">C <b>1</b></p>`, "<li style=", "Hello Anna,",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<p></p>") || strings.Contains(page, "{{") {
		t.Errorf("the page has empty paragraphs, or actions:\n%s", page)
	}
	text, _, _ := strings.Cut(string(l.Text), "-----")
	want := "Hello Anna,\n\nFirst <https://acme.example/1?a=1&b=2>\n\nC 1\n\nSecond *x* <https://acme.example/2>\n\nC2\n\n- one\n\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}

	// The author's own text part has the text of the content, and a page its HTML.
	s.Text = "{{range .feed.items}}* {{.title}}\n{{.content}}\n{{end}}"
	s.Markdown = ""
	s.HTML = "<table>{{range .feed.items}}<tr><td>{{.content}}</td></tr>{{end}}</table>"
	l = digest(t, s, twoItems)
	if got, _, _ := strings.Cut(string(l.Text), "-----"); got != "* First\nC 1\n* Second *x*\nC2\n\n- one\n\n" {
		t.Errorf("own text %q", got)
	}
	if n := strings.Count(string(l.HTML), "</tr>"); n < 2 || !strings.Contains(string(l.HTML), "<b>1</b>") {
		t.Errorf("page:\n%s", l.HTML)
	}
}

func TestALetterHasAtMostSoManyItems(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Markdown = "{{range .feed.items}}x{{end}}"
	items := make([]campaign.FeedItem, templates.MaxFeedItems+5)
	if got := templates.WithFeed(s, items).Markdown; got != strings.Repeat("x", templates.MaxFeedItems) {
		t.Errorf("%d items", len(got))
	}
}

func TestWrongUseOfAFeed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"{{range .feed.items}}{{.titel}}{{end}}", "october.md:1:24: an item of the feed has no .titel, did you mean .title"},
		{"{{range .feed.items}}{{.first_name}}{{end}}", "write $.first_name for the recipient's own field"},
		{"{{range .feed.items}}{{.x}}{{end}}", "an item of the feed has no .x: there are title, link, published, summary, content"},
		{"{{range .feed.items}}{{.}}{{end}}", "this prints an item of the feed: write {{range .feed.items}}, and name a field of an item in it"},
		{"{{range .feed.items}}{{.title.x}}{{end}}", ".title is one text and has no field .x"},
		{"{{range .feed.items}}{{upper .content}}{{end}}", "upper of the HTML of an item: expected a text, such as .title"},
		{"{{range .feed.items}}{{.content | print}}{{end}}", "the HTML of an item cannot go into a function"},
		{"{{range .feed.items}}{{with .content}}{{.}}{{end}}{{end}}", "with of the HTML of an item"},
		{"{{range .feed.items}}{{with .title}}{{.link}}{{end}}{{end}}", ".link inside with: there . is the value itself; use if in place of with"},
		{"{{range .feed.items}}{{range $.feed.items}}{{end}}{{end}}", "range inside range"},
		{"{{range .feed.items}}{{len .feed.items}}{{end}}", ".feed.items inside range: write $.feed.items"},
		{"{{range .feed.items}}{{break}}{{end}}", "break is refused: use if"},
		{"{{range $i, $x := .feed.items}}{{end}}", "variables are refused: write {{range .feed.items}}"},
		{"{{range .feed.items}}{{else}}{{.title}}{{end}}", "unknown merge field .title"},
		{"{{range .code}}{{end}}", "range of text: it goes over the items of the feed alone"},
		{"{{range .feed}}{{end}}", ".feed: found another field than .feed.items"},
		{"{{range .feed.itmes}}{{end}}", "found another field than .feed.items"},
		{"{{.feed.items}}", "this prints all items of the feed"},
		{"{{print .feed.items}}", "print of all items of the feed"},
		{"{{.feed.items | len}}", "write len .feed.items"},
		{"{{index .feed.items 0}}", "index stands in parentheses, with a field behind them"},
		{"{{(index .feed.items 100).title}}", "item 100 of the feed: expected a number from 0, the newest one, to 99"},
		{"{{(index .code 0).title}}", "index of text: expected .feed.items"},
		{"{{(index .feed.items 0).titl}}", "did you mean .title"},
		{"{{(print .code).x}}", "cannot be used here"},
		{"Hello", "the campaign has a feed (content.feed) that no text shows"},
		{`{{_html "<p>"}}{{len .feed.items}}`, "unknown function _html"},
	} {
		s := snapshot()
		s.Markdown = tt.text
		err := templates.CheckFeed(s)
		var problems templates.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.text, err, tt.want)
		}
	}

	s := snapshot()
	s.Markdown = "{{len .feed.items}}"
	s.Subject = "{{(index .feed.items 0).content}}"
	if err := templates.CheckFeed(s); err == nil || !strings.Contains(err.Error(), ".content is HTML, which cannot stand here: use .summary") {
		t.Errorf("HTML in a subject: %v", err)
	}
	s.Subject = "S"
	s.Markdown = "{{len .feed.items}}"
	if _, err := templates.Compile(s); err == nil || !strings.Contains(err.Error(), ".feed.items: set content.feed in the campaign file") {
		t.Errorf("without a feed: %v", err)
	}
}

// The HTML of an item stays in its place: it cannot get into a tag, a style or a subject,
// and no author's text can be taken for it where HTML is not allowed.
func TestTheHTMLOfAnItemHasItsPlace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`<p title="{{.content}}">x</p>`, `<style>{{.content}}</style>`, `<!-- {{.content}} -->`, `<textarea>{{.content}}</textarea>`, `<a {{.content}}>x</a>`,
	} {
		s := snapshot()
		s.Markdown = ""
		s.HTML = "<p>a</p>\n{{range .feed.items}}" + text + "{{end}}"
		if err := templates.CheckFeed(s); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, err := templates.Compile(templates.WithFeed(s, twoItems[:1]))
		if err == nil || !strings.Contains(err.Error(), "october.md:2:") || !strings.Contains(err.Error(), "use .summary") && !strings.Contains(err.Error(), "between the attributes") {
			t.Errorf("%s: %v", text, err)
		}
	}

	for _, s := range []campaign.Snapshot{
		{Subject: `{{_html "x"}}`, Markdown: "x"},
		{Subject: "S", Preheader: `{{_html "x"}}`, Markdown: "x"},
		{Subject: "S", Markdown: "x", Text: `{{_html "x"}}`},
		{Subject: "S", Markdown: "{{_html .email}}"},
		{Subject: "S", Markdown: `{{"<b>" | _html}}`},
		{Subject: "S", Markdown: `{{if _html "x"}}{{end}}`},
	} {
		s.Layout = "plain"
		s.BodyFile = "b.md"
		s.Columns = []string{"email"}
		var problems templates.Problems
		if _, err := templates.Compile(s); !errors.As(err, &problems) {
			t.Errorf("%+v: got %v, want Problems", s, err)
		}
	}
}

// FuzzDigest: whatever is in a feed, and whatever the author makes of it, there are
// Problems, or a letter in which nothing of an item's text is markup.
func FuzzDigest(f *testing.F) {
	for _, body := range []string{
		"{{range .feed.items}}\n## [{{.title}}]({{.link}})\n{{.content}}\n{{end}}", "{{range .feed.items}}{{.summary}}{{else}}x{{end}}", "<a href='{{(index .feed.items 0).link}}' title={{(index .feed.items 1).title}}>",
		"{{- range .feed.items -}}\n- {{if .published}}{{.published}}{{else}}{{.title}}{{end}}\n{{- end -}}", "> {{range .feed.items}}\n> 1. {{with .title}}{{.}}{{end}}\n> {{end}}", "<table>{{range .feed.items}}<tr><td>{{.content}}{{end}}</table>",
	} {
		f.Add(body, "{{len .feed.items}}", "Title", "https://acme.example/", true)
		f.Add(body, "{{(index .feed.items 0).title}}", "zq0x1z {{.email}} `\"}}[|<body >", "javascript:x", false)
	}
	f.Fuzz(func(t *testing.T, body, subject, title, address string, html bool) {
		s := snapshot()
		s.Subject = subject
		s.Markdown = body
		if html {
			s.Markdown = ""
			s.HTML = body
		}
		if templates.CheckFeed(s) != nil {
			return
		}
		mark := fmt.Sprintf(`%s'"><zzmark onload=x>{{.email}}`, title)
		items := []campaign.FeedItem{
			{Title: mark, Link: address, Summary: mark, Content: "<p>one {{.email}} zq0x0z</p>"}, {Title: title, Link: mark, Published: mark},
		}
		filled := templates.WithFeed(s, items)
		tmpl, err := templates.Compile(filled)
		if err != nil {
			var problems templates.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var l templates.Letter
		if err := tmpl.Render(&l, templates.Data{Values: values, Unsubscribe: link}); err != nil && !errors.Is(err, templates.ErrTooLarge) {
			t.Fatal(err)
		}
		if strings.Contains(string(l.HTML), "<zzmark") {
			t.Fatalf("a text of an item became markup:\n%s", l.HTML)
		}
	})
}
