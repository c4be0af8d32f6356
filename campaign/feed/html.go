package feed

import (
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/microcosm-cc/bluemonday"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"broadside/configs/strictyaml"
)

const (
	// maxRawHTML is the most bytes of the HTML of an item that is looked at.
	maxRawHTML = 256 << 10
	// maxContent is the most bytes of it that are left for a letter: Gmail shows 102 KB of
	// one.
	maxContent = 64 << 10
)

// policy says what stays of the HTML of an item: what has a meaning in a letter, without
// styles, classes and everything that runs.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(
		"p", "br", "hr", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code",
		"figure", "figcaption", "strong", "b", "em", "i", "u", "s", "del", "ins", "sub", "sup", "small", "abbr", "cite", "q", "mark",
		"table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th",
	)
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src", "alt").OnElements("img") // without any attribute it goes
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	return p
})

// safeHTML returns what may stand in a letter of the HTML of an item: elements that are
// closed where they should be, with absolute links. It is empty when nothing is left, or
// too much.
func safeHTML(text string, base *url.URL) string {
	if len(text) > maxRawHTML {
		return ""
	}
	nodes := fragment(text)
	for _, n := range nodes {
		prepare(n, base)
	}

	// What is cleaned is parsed once more, so that no element is left open, or closes one of
	// the letter.
	clean := render(fragment(policy().Sanitize(render(nodes))))
	switch {
	case len(clean) > maxContent || strings.TrimSpace(clean) == "":
		return ""
	case !strings.Contains(clean, "<"):
		return "<p>" + clean + "</p>"
	}
	return clean
}

// fragment parses HTML as the content of a <div>. What is nested too deeply has none.
func fragment(text string) []*nethtml.Node {
	text = strings.Map(visible, strings.ToValidUTF8(text, "\uFFFD"))
	nodes, err := nethtml.ParseFragment(strings.NewReader(text), &nethtml.Node{Type: nethtml.ElementNode, Data: "div", DataAtom: atom.Div})
	if err != nil {
		return nil
	}
	return nodes
}

func render(nodes []*nethtml.Node) string {
	var b strings.Builder
	for _, n := range nodes {
		if err := nethtml.Render(&b, n); err != nil {
			return ""
		}
	}
	return b.String()
}

// visible drops characters that a letter cannot have, or that change the direction of the
// text around them.
func visible(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	if unicode.IsControl(r) || strictyaml.ChangesDirection(r) {
		return -1
	}
	return r
}

// prepare makes the links of a node and of what is in it absolute. Those that lead nowhere
// lose their attribute, and so do pictures that are only there to be counted.
func prepare(n *nethtml.Node, base *url.URL) {
	pixel := isPixel(n)
	for i, a := range n.Attr {
		isMail := a.Key == "href" && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "mailto:")
		if !isMail && (a.Key == "href" || a.Key == "src") {
			n.Attr[i].Val = absolute(a.Val, base)
		}
	}
	n.Attr = slices.DeleteFunc(n.Attr, func(a nethtml.Attribute) bool {
		return a.Val == "" && (a.Key == "href" || a.Key == "src") || pixel
	})
	for c := range n.ChildNodes() {
		prepare(c, base)
	}
}

// isPixel reports whether a node is a picture of one pixel or none.
func isPixel(n *nethtml.Node) bool {
	return n.DataAtom == atom.Img && slices.ContainsFunc(n.Attr, func(a nethtml.Attribute) bool {
		size, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(a.Val), "px"))
		return (a.Key == "width" || a.Key == "height") && err == nil && size <= 1
	})
}

// paragraph is a plain text as HTML.
func paragraph(text string) string { return "<p>" + html.EscapeString(text) + "</p>" }

// textOf returns the text of HTML, or of plain text, in one line of at most so many
// characters.
func textOf(text string, most int) string {
	if len(text) > maxRawHTML {
		text = text[:maxRawHTML]
	}
	var b strings.Builder
	for _, n := range fragment(text) {
		writeText(&b, n)
	}
	return plain(b.String(), most)
}

// inline are the elements that stand in a line of text; all others begin a new one.
var inline = map[atom.Atom]bool{
	atom.A: true, atom.Abbr: true, atom.B: true, atom.Cite: true, atom.Code: true, atom.Em: true, atom.Font: true, atom.I: true,
	atom.Mark: true, atom.Q: true, atom.S: true, atom.Small: true, atom.Span: true, atom.Strong: true, atom.Sub: true, atom.Sup: true, atom.U: true,
}

func writeText(b *strings.Builder, n *nethtml.Node) {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Iframe, atom.Object, atom.Svg:
		return
	}
	if n.Type == nethtml.TextNode {
		b.WriteString(n.Data)
		return
	}

	space := n.Type == nethtml.ElementNode && !inline[n.DataAtom]
	if space {
		b.WriteByte(' ')
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		writeText(b, c)
	}
	if space {
		b.WriteByte(' ')
	}
}

// plain makes a text one line of at most so many characters.
func plain(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return visible(r)
	}, strings.ToValidUTF8(text, ""))
	return cut(strings.Join(strings.Fields(text), " "), most)
}

// cut shortens a text at a word, and says so with an ellipsis.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	short := string(runes[:most-1])
	if i := strings.LastIndexByte(short, ' '); i > len(short)/2 {
		short = short[:i]
	}
	return strings.TrimRight(short, " ,;:.-") + "…"
}
