package templates

import (
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"

	nethtml "golang.org/x/net/html"
)

// htmlFunc stands in a text for the HTML of an item of a feed: {{_html "..."}}. It is no
// function, because it is gone before anything is executed, and its argument is a text in
// quotes. So it can do no more than the HTML that authors write.
const htmlFunc = "_html"

// isItemHTML reports whether an action is the HTML of an item.
func isItemHTML(p *parse.PipeNode) bool {
	if len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 2 || called(p.Cmds[0]) != htmlFunc {
		return false
	}
	_, ok := p.Cmds[0].Args[1].(*parse.StringNode)
	return ok
}

var itemAction = regexp.MustCompile(`(?s)^\{\{(?:-\s)?\s*` + htmlFunc + `\s+(.*?)\s*(?:\s-)?\}\}$`)

// itemHTML returns the HTML of an item that an action stands for, if it does.
func itemHTML(action string) (string, bool) {
	m := itemAction.FindStringSubmatch(action)
	if m == nil {
		return "", false
	}
	html, err := strconv.Unquote(m[1])
	return html, err == nil
}

// putItems puts the HTML of items in place of its tokens. Where no HTML can stand that is a
// problem.
func (ts *tokens) putItems(page string) (string, Problems) {
	has := false
	for _, t := range ts.list {
		has = has || t.isItem
	}
	if !has {
		return page, nil
	}

	// What is alone in a paragraph brings its own ones.
	alone := regexp.MustCompile(`<p>\s*(` + ts.prefix + `\d+z)\s*</p>`)
	page = alone.ReplaceAllStringFunc(page, func(text string) string {
		if t := ts.get(text); t != nil && t.isItem {
			return ts.match.FindString(text)
		}
		return text
	})

	var out strings.Builder
	var problems Problems
	z := nethtml.NewTokenizer(strings.NewReader(page))
	raw := false
	for {
		kind := z.Next()
		text := string(z.Raw())
		switch {
		case kind == nethtml.TextToken && !raw:
			text = ts.match.ReplaceAllStringFunc(text, func(word string) string {
				if t := ts.get(word); t != nil && t.isItem {
					return t.item
				}
				return word
			})
		default:
			problems = append(problems, ts.misplaced(text)...)
		}

		switch kind {
		case nethtml.StartTagToken:
			raw = rawElements[z.Token().Data]
		case nethtml.EndTagToken:
			raw = false
		}
		out.WriteString(text)
		if kind == nethtml.ErrorToken || len(problems) >= maxProblems {
			return out.String(), problems
		}
	}
}

// misplaced returns a problem for each item in a part of a page that can have no HTML.
func (ts *tokens) misplaced(text string) (problems Problems) {
	for _, word := range ts.match.FindAllString(text, -1) {
		if t := ts.get(word); t != nil && t.isItem && len(problems) < maxProblems {
			problems = append(problems, t.src.problem(t.offset, "the HTML of an item stands where no HTML can stand (in a tag, a comment, a title or a style): use .summary, which is text"))
		}
	}
	return problems
}
