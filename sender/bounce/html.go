package bounce

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// fromHTML returns the text that a reader of HTML sees, with a line for each block.
func fromHTML(page string) string {
	var b strings.Builder
	hidden := atom.Atom(0) // the element whose content no reader sees
	tokens := html.NewTokenizer(strings.NewReader(page))
	tokens.SetMaxBuf(maxText)
	for {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.WriteString(html.UnescapeString(oneLine(string(tokens.Raw()))))
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := tokens.TagName()
			tag := atom.Lookup(name)
			switch {
			case kind == html.EndTagToken && tag == hidden:
				hidden = 0
			case kind == html.StartTagToken && hidden == 0 && unseen(tag):
				hidden = tag
			case hidden == 0 && block(tag):
				b.WriteByte('\n')
			}
		}
	}
}

// oneLine makes line ends blanks: HTML has its lines from its elements.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

func unseen(tag atom.Atom) bool {
	return tag == atom.Script || tag == atom.Style || tag == atom.Title
}

func block(tag atom.Atom) bool {
	switch tag {
	case atom.P, atom.Br, atom.Div, atom.Tr, atom.Td, atom.Th, atom.Li, atom.Ul, atom.Ol, atom.Table, atom.Hr, atom.Pre,
		atom.Blockquote, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return true
	}
	return false
}
