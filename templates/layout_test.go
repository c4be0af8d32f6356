package templates_test

import (
	"regexp"
	"strings"
	"testing"

	"broadside/campaign"
)

// invisibleText are rules of SpamAssassin 4.0.1 (72_active.cf) about tags with
// text that no one sees. __FONT_INVIS makes FONT_INVIS_MSGID, FONT_INVIS_DIRECT
// and others of them, together with any ordinary Message-ID (__MSGID_OK_HOST).
// Go has no lookahead: the caller leaves out <style>.
var invisibleText = regexp.MustCompile(`(?i)<([a-z]+)\s[^>]{1,80}(?:font(?:-size)?\s*:\s*(?:0*[01](?:\.\d+)?(?:px|pt|Q|vw|vh|vmin)|` +
	`0+(?:\.\d+)?(?:cm|mm|pc|ch|rem|lh|vmax|%)|0+(?:\.0\d*)(?:em|ex|in))(?:\s[a-z]|\s*[;'])|['"\s;]color\s*:\s*transparent\s*[;'])[^>]{0,80}>\w`)

// TestNoInvisibleText: the hidden preheader looks like that of a newsletter, and
// not like the text that spam hides from its readers.
func TestNoInvisibleText(t *testing.T) {
	t.Parallel()
	const before = `<div style="display:none;overflow:hidden;opacity:0;font-size:1px;line-height:1px;mso-hide:all">Three`
	if !invisibleText.MatchString(before) {
		t.Fatal("the rule does not find what it found before")
	}

	s := snapshot()
	s.Preheader = "Three things for {{.first_name}}"
	page := s
	page.Markdown = ""
	page.HTML = `<html><body><a href="{{.unsubscribe_url}}">Unsubscribe</a></body></html>`
	page.Layout = "none"
	for _, one := range []campaign.Snapshot{s, page} {
		html := string(render(t, one, values).HTML)
		if !strings.Contains(html, ">Three things for Anna") {
			t.Fatalf("there is no preheader in\n%s", html)
		}
		for _, m := range invisibleText.FindAllStringSubmatch(html, -1) {
			if !strings.EqualFold(m[1], "style") {
				t.Errorf("layout %s: text that SpamAssassin takes for invisible: %s", one.Layout, m[0])
			}
		}
	}
}

func TestMasthead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*campaign.Snapshot)
		want string
	}{
		{"name of the sender", func(s *campaign.Snapshot) { s.From = `"Tom & {{.x}} <Co>" <a@b.example>` }, `dir="auto" style="[^"]*">Tom &amp; {{.x}} &lt;Co&gt;</td>`},
		{"topic where the sender has no name", func(s *campaign.Snapshot) { s.From = "a@b.example" }, `">Acme News</td>`},
		{"logo", func(s *campaign.Snapshot) { s.Logo = "https://a.example/l.png?a=1&b={{" }, `<img src="https://a.example/l.png\?a=1&amp;b=%7b%7b" alt="Acme News" height="40" style="display:block;[^"]*"/></td>`},
	} {
		s := snapshot()
		c.edit(&s)
		l := render(t, s, values)
		if !regexp.MustCompile(c.want).Match(l.HTML) {
			t.Errorf("%s: %s is missing in\n%s", c.name, c.want, l.HTML)
		}

		if !strings.HasPrefix(string(l.Text), "Hello\n") {
			t.Errorf("%s: the text part begins with the masthead:\n%s", c.name, l.Text)
		}
	}
}

func TestLanguageOfThePage(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{"": `<html lang="en"`, "pt-BR": `<html lang="pt-BR"`} {
		s := snapshot()
		s.Language = language
		if l := render(t, s, values); !strings.Contains(string(l.HTML), want) {
			t.Errorf("language %q: %s is missing", language, want)
		}
	}
}

func TestButton(t *testing.T) {
	t.Parallel()
	for markdown, want := range map[string]bool{
		"**[Read on](https://a.example/{{.code}})**":              true,
		"Hello\n\n__[Read on](https://a.example)__\n\nBye":        true,
		"{{if .plan}}\n**[Read on](https://a.example)**\n{{end}}": true,
		"[Read on](https://a.example)":                            false,
		"**[Read on](https://a.example)** or not":                 false,
		"- **[Read on](https://a.example)**":                      false,
		"**[Read on](https://a.example) or not**":                 false,
	} {
		s := snapshot()
		s.Markdown = markdown
		l := render(t, s, values)
		if got := strings.Contains(string(l.HTML), `<table class="button"`); got != want {
			t.Errorf("%s: a button: %v, want %v", markdown, got, want)
		}
		if want && !regexp.MustCompile(`<td style="[^"]*"><a href="https://a\.example[^"]*" style="[^"]*display:inline-block[^"]*">Read on</a></td>`).Match(l.HTML) {
			t.Errorf("%s: the button is\n%s", markdown, l.HTML)
		}
		if !strings.Contains(string(l.Text), "Read on <https://a.example") {
			t.Errorf("%s: the text is\n%s", markdown, l.Text)
		}
	}
}

func TestSignOffKeepsItsLines(t *testing.T) {
	t.Parallel()
	for markdown, want := range map[string]bool{
		"Text.\n\nYours,\nthe people at Acme":                          true,
		"Text.\n\nYours,\n{{.first_name}} {{.last_name}}\nAcme":        true,
		"Text.\n\nYours,\nAnn\n\nP.S. One more thing":                  true,
		"Text.\n\n{{if .plan}}\nYours,\nAnn\n{{end}}":                  true,
		"Yours,\nAnn\n\nText that goes on.":                            false,
		"Text.\n\nThese lines were broken\nby an editor":               false,
		"Text.\n\n" + strings.Repeat("word ", 14) + "word,\nand so on": false,
		"Yours,\n1\n2\n3\n4\n5":                                        false,
	} {
		s := snapshot()
		s.Markdown = markdown
		l := render(t, s, values)
		content, _, _ := strings.Cut(string(l.HTML), "You get this because")
		if got := strings.Contains(content, "<br"); got != want {
			t.Errorf("%s: lines are kept: %v, want %v:\n%s", markdown, got, want, l.Text)
		}
	}
}
