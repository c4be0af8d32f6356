package templates

import (
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// noTextAttr with the value "none" keeps an element out of the text part.
const noTextAttr = "data-text"

// unseen reports whether no mail program shows an element and what is in it.
func unseen(n *nethtml.Node, style map[string]string) bool {
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Template:
		return true
	}
	return style["display"] == "none" || style["visibility"] == "hidden" ||
		slices.ContainsFunc(n.Attr, func(a nethtml.Attribute) bool { return a.Key == "hidden" })
}

// hidden reports whether the text part leaves out an element and what is in it:
// readers of the page do not see it.
func hidden(n *nethtml.Node, style map[string]string) bool {
	switch n.DataAtom {
	case atom.Title, atom.Noscript, atom.Object, atom.Svg:
		return true
	}

	switch {
	case unseen(n, style), attr(n, noTextAttr) == "none", style["visibility"] == "collapse", isZero(style["opacity"]):
		return true
	case isZero(style["max-height"]) && style["overflow"] != "visible":
		return true
	case isZero(style["height"]) && style["overflow"] == "hidden":
		return true
	case outOfSight(style):
		return true
	case style["mso-hide"] == "all":
		// Only Outlook hides it. A button that is drawn once more for Outlook has
		// this too, and readers of the text part need its link.
		return n.DataAtom != atom.A && !hasLink(n)
	}

	return false
}

// computedStyle returns what a style attribute sets, in small letters: of each
// property the value that wins.
func (ts *tokens) computedStyle(n *nethtml.Node) map[string]string {
	style := map[string]string{}
	important := map[string]bool{}
	for _, d := range ts.styleOf(n) {
		name := d.name()
		if d.property == "" || important[name] && !d.important {
			continue
		}
		style[name] = strings.ToLower(d.value)
		important[name] = d.important
	}

	return style
}

// outOfSight reports whether an element is clipped to nothing or stands far outside
// the page. Texts for screen readers, and the words of pictures, are hidden like that.
func outOfSight(style map[string]string) bool {
	if farAway.MatchString(style["text-indent"]) {
		return true
	}
	if style["position"] != "absolute" && style["position"] != "fixed" {
		return false
	}
	return clippedAway.MatchString(style["clip"]) || farAway.MatchString(style["left"]) || farAway.MatchString(style["top"])
}

var (
	farAway     = regexp.MustCompile(`^-\d{3,}(?:\.\d+)?(?:px|pt|em|rem|%|vw|vh)$`)
	clippedAway = regexp.MustCompile(`^rect\((?:[01](?:px)?[, ]*){4}\)$`)
)

var zeroLength = regexp.MustCompile(`^[+-]?0*\.?0*[a-z%]*$`)

// isZero reports whether a value is a number of zero, of any unit.
func isZero(value string) bool {
	return strings.Contains(value, "0") && zeroLength.MatchString(value)
}

// sizeless reports whether the text directly in an element has the size zero; around
// says whether the text around the element has. Elements inside may have another
// size: many layouts do that to avoid gaps between columns.
func sizeless(style map[string]string, around bool) bool {
	size := style["font-size"]
	if zeroFont.MatchString(style["font"]) && size == "" {
		size = "0"
	}

	switch {
	case size == "" || size == "inherit":
		return around
	case strings.HasSuffix(size, "%"), strings.HasSuffix(size, "em") && !strings.HasSuffix(size, "rem"):
		return around || isZero(size)
	}

	return isZero(size)
}

// zeroFont is a font of the size zero in the shorthand form: 0/0 a.
var zeroFont = regexp.MustCompile(`(?:^|\s)0(?:px|pt|em|%)?(?:/\S+)?\s`)

// hasLink reports whether there is a link in an element.
func hasLink(n *nethtml.Node) bool {
	for c := range n.Descendants() {
		if c.DataAtom == atom.A {
			return true
		}
	}
	return false
}
