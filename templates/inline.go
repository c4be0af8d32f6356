package templates

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

var styleElement = regexp.MustCompile(`(?is)(<style\b[^>]*>)(.*?)</style\s*>`)

// inlineCSS moves the rules of <style> elements into style attributes, for
// readers that ignore <style>. It returns the page, and its tree.
//
// The page looks as it did before, in every program that follows the CSS
// cascade. What depends on the reader stays in the element: media queries,
// :hover, rules that match nothing here (mail programs add the elements that
// they are meant for), and rules with an if in or around them.
func inlineCSS(page string, ts *tokens) (string, *nethtml.Node, error) {
	doc, err := parsePage(page)
	if err != nil {
		return "", nil, err
	}

	if !styleElement.MatchString(page) {
		return page, doc, nil // writing the tree would only rewrite the author's HTML
	}
	if err := tooMuchCSS(page); err != nil {
		return "", nil, err
	}

	c := newCascade(doc, ts)
	for _, element := range styleElements(doc) {
		c.read(element)
	}

	c.forceWinners()
	c.write()
	var out bytes.Buffer
	if err := nethtml.Render(&out, doc); err != nil {
		return "", nil, fmt.Errorf("inline CSS: %w", err)
	}

	return out.String(), doc, nil
}

// parsePage reads a page as a browser does.
func parsePage(page string) (*nethtml.Node, error) {
	doc, err := nethtml.Parse(strings.NewReader(page))
	if err != nil && strings.Contains(err.Error(), "open stack of elements") {
		return nil, errDeep
	}
	if err != nil {
		return nil, fmt.Errorf("read the HTML: %w", err)
	}
	return doc, nil
}

// styleElements returns the style elements that are to be inlined. An element with
// data-premailer="ignore" is left alone.
func styleElements(doc *nethtml.Node) []*nethtml.Node {
	var list []*nethtml.Node
	for n := range doc.Descendants() {
		if n.DataAtom != atom.Style || n.Namespace != "" {
			continue
		}
		if attr(n, "data-premailer") == "ignore" {
			removeAttr(n, "data-premailer")
			continue
		}
		list = append(list, n)
	}

	return list
}

func setAttr(n *nethtml.Node, key, value string) {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			n.Attr[i].Val = value
			return
		}
	}
	n.Attr = append(n.Attr, nethtml.Attribute{Key: key, Val: value})
}

func removeAttr(n *nethtml.Node, key string) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a nethtml.Attribute) bool { return a.Key == key })
}
