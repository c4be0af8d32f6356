package templates

import (
	"cmp"
	"embed"
	"fmt"
	"html"
	"net/mail"
	"regexp"
	"strings"
	texttemplate "text/template"

	"broadside/campaign"
)

//go:embed layouts/*.html
var layoutFiles embed.FS

// LayoutNone is the layout of HTML files that are whole pages.
const LayoutNone = "none"

// LayoutConfirm is the layout of letters that ask a reader to confirm something: plain,
// without the line that says why they get it. It is for no campaign. The link of the
// reader's own that such a letter has to show is the one that confirms.
const LayoutConfirm = "confirm"

// Layouts returns the names of the layouts, "none" last.
func Layouts() []string {
	files, _ := layoutFiles.ReadDir("layouts") // embedded, and sorted
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".html"))
	}
	return append(names, LayoutNone)
}

// A frame is what a layout is filled with: HTML with tokens.
type frame struct {
	Language, Title, Preheader, Masthead, Content, Topic, Postal, Unsubscribe string
}

// fillLayout puts a frame into a layout. Layouts use [[ and ]], so that they
// cannot be confused with the author's actions.
func fillLayout(name string, f frame) (string, error) {
	if name == LayoutConfirm {
		name = "plain"
		f.Unsubscribe = ""
	}
	b, err := layoutFiles.ReadFile("layouts/" + name + ".html")
	if err != nil {
		return "", fmt.Errorf("read layout %s: %w", name, err)
	}

	t, err := texttemplate.New(name).Delims("[[", "]]").Parse(string(b))
	if err != nil {
		return "", fmt.Errorf("parse layout %s: %w", name, err)
	}

	var out strings.Builder
	if err := t.Execute(&out, f); err != nil {
		return "", fmt.Errorf("fill layout %s: %w", name, err)
	}

	return out.String(), nil
}

// language returns the value of the lang attribute of a page.
func language(s campaign.Snapshot) string {
	return html.EscapeString(cmp.Or(s.Language, campaign.DefaultLanguage))
}

// masthead returns what stands above a letter: the sender's logo or name.
func (ts *tokens) masthead(s campaign.Snapshot, topic string) string {
	name := topic
	if from, err := mail.ParseAddress(s.From); err == nil && strings.TrimSpace(from.Name) != "" {
		name = from.Name
	}
	if s.Logo == "" {
		return ts.escapedText(name)
	}
	return `<img src="` + html.EscapeString(s.Logo) + `" alt="` + html.EscapeString(name) + `" height="40">`
}

// escapedText returns a token for a text of the configuration: it prints as
// it is in the text part, and escaped in the HTML.
func (ts *tokens) escapedText(s string) string {
	if s == "" {
		return ""
	}
	lines := strings.ReplaceAll(html.EscapeString(s), "\n", "<br>\n")
	return ts.add(token{html: literal(lines), text: literal(s)})
}

var (
	wholePage = regexp.MustCompile(`(?i)<(!doctype|html|body|head)[\s>]`)
	bodyTag   = regexp.MustCompile(`(?i)<body\b[^>]*>`)
)

// addPreheader puts a hidden preheader at the beginning of a page that has a
// layout of its own.
func addPreheader(page, preheader string) string {
	if preheader == "" {
		return page
	}
	div := `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">` + preheader + "</div>"
	if at := bodyTag.FindStringIndex(page); at != nil {
		return page[:at[1]] + div + page[at[1]:]
	}
	return div + page
}
