package templates

import (
	"bytes"
	"strings"
	"unicode"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// showsLink reports whether a reader of a page can use a link: an anchor holdsLink
// there that has something to press, or the page shows its URL.
func showsLink(page []byte, link string) bool {
	root, err := nethtml.Parse(bytes.NewReader(page))
	if err != nil {
		return false
	}
	return holdsLink(root, link)
}

// noTokens reads the styles of a page that is rendered: it has no actions.
var noTokens = newTokens()

// holdsLink reports whether a node is such an anchor or text, or holds one.
func holdsLink(n *nethtml.Node, link string) bool {
	if n.Type == nethtml.TextNode {
		return strings.Contains(n.Data, link)
	}
	if unseen(n, noTokens.computedStyle(n)) {
		return false
	}
	if strings.Contains(attr(n, "href"), link) && (n.DataAtom == atom.Area || holdsContent(n)) {
		return true
	}

	for child := n.FirstChild; child != nil; child = child.NextSibling {
		if holdsLink(child, link) {
			return true
		}
	}

	return false
}

// holdsContent reports whether an element shows anything.
func holdsContent(n *nethtml.Node) bool {
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		switch {
		case child.Type == nethtml.TextNode && strings.ContainsFunc(child.Data, visible):
			return true
		case child.Type != nethtml.ElementNode || unseen(child, noTokens.computedStyle(child)):
		case child.DataAtom == atom.Img || child.DataAtom == atom.Svg || holdsContent(child):
			return true
		}
	}

	return false
}

// visible reports whether a character can be seen on the page: it is neither a blank
// nor one of the invisible ones.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
