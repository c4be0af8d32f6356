package templates

import (
	"regexp"
	"strings"

	nethtml "golang.org/x/net/html"
)

// protect makes a tokenised page safe for HTML and CSS tools. A token in text
// becomes a comment, which a parser leaves where it is, and comments for Outlook
// become tokens. Actions between attributes are problems: HTML parsers drop or
// reorder attributes.
func protect(page string, ts *tokens) (string, Problems) {
	var out strings.Builder
	var problems Problems
	z := nethtml.NewTokenizer(strings.NewReader(page))
	raw := false // inside an element whose content is not HTML
	for {
		kind := z.Next()
		text := string(z.Raw())
		switch kind {
		case nethtml.ErrorToken:
			// The end, or a tag that does not end: the rest as it is.
			out.WriteString(text)
			return out.String(), problems
		case nethtml.TextToken:
			if !raw {
				text = ts.match.ReplaceAllString(text, "<!--$0-->")
			}
		case nethtml.CommentToken:
			text = ts.comment(text)
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			tag := z.Token()
			raw = kind == nethtml.StartTagToken && rawElements[tag.Data]
			if p, ok := ts.badTag(tag); ok {
				if problems = append(problems, p); len(problems) == maxProblems {
					return "", problems
				}
			}
		case nethtml.EndTagToken:
			raw = false
		}

		out.WriteString(text)
	}
}

// rawElements hold text that is not parsed as HTML.
var rawElements = map[string]bool{"style": true, "script": true, "title": true, "textarea": true, "xmp": true, "noembed": true, "noframes": true, "iframe": true}

var outlookComment = regexp.MustCompile(`(?s)^(<!--\[if [^\]]*\]>)(.*)(<!\[endif\]-->)$`)

// comment keeps a conditional comment, which html/template would remove: what it
// holds for Outlook is HTML with actions, like any other. All other comments are
// the author's notes, and are left out.
func (ts *tokens) comment(text string) string {
	if t := ts.get(text); t != nil && text == "<!--"+ts.match.FindString(text)+"-->" {
		return text
	}

	if m := outlookComment.FindStringSubmatch(text); m != nil && ts.match.MatchString(text) {
		inner, _ := ts.restorePage(m[2])
		return ts.hidden(rawHTML(m[1]) + inner + rawHTML(m[3]))
	}

	if inner := strings.TrimPrefix(text, "<!"); strings.HasPrefix(inner, "--[if ") || strings.HasPrefix(inner, "[if ") || strings.Contains(inner, "[endif]") {
		return ts.hidden(rawHTML(text))
	}

	return ""
}

// hidden returns a comment that becomes html in the end, and nothing in the
// text part.
func (ts *tokens) hidden(html string) string {
	return "<!--" + ts.add(token{html: html, control: true}) + "-->"
}

// rawHTML is an action that prints s unescaped.
func rawHTML(s string) string {
	return "{{" + rawFunc + " `" + strings.ReplaceAll(s, "`", "&#96;") + "`}}"
}

// badTag reports an action in a tag that is not inside an attribute's value.
func (ts *tokens) badTag(tag nethtml.Token) (Problem, bool) {
	names := []string{tag.Data}
	for _, a := range tag.Attr {
		names = append(names, a.Key)
	}

	for _, name := range names {
		if t := ts.get(name); t != nil && t.src != nil {
			return t.src.problem(t.offset, `an action between the attributes of <`+ts.match.ReplaceAllString(tag.Data, "...")+
				`>: write it inside a value, as in style="{{if .vip}}color:gold{{else}}color:black{{end}}"`), true
		}
	}

	return Problem{}, false
}

// A place says which token ended up at an offset of a page.
type place struct {
	offset int
	token  *token
}

// restorePage puts the actions back into HTML, and says where they are. Text that
// only looks like an action is written so that it prints unchanged.
func (ts *tokens) restorePage(s string) (string, []place) {
	var b strings.Builder
	var places []place
	at := 0
	for _, m := range ts.match.FindAllStringIndex(s, -1) {
		start := m[0]
		end := m[1]
		t := ts.get(s[start:end])
		if t == nil || start < at {
			continue
		}

		before := s[at:start]
		if strings.HasSuffix(before, "<!--") && strings.HasPrefix(s[end:], "-->") {
			before = strings.TrimSuffix(before, "<!--")
			end = end + len("-->")
		}

		b.WriteString(literal(before))
		places = append(places, place{b.Len(), t})
		b.WriteString(t.html)
		at = end
	}

	b.WriteString(literal(s[at:]))
	return b.String(), places
}
