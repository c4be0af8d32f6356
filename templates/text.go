package templates

import (
	"errors"
	"strconv"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// plainText makes the text part from the tree of a page: the source of a
// text/template. Links become "text <url>", list items get their marks, and
// what readers of the page do not see (the preheader) is left out.
func plainText(doc *nethtml.Node, ts *tokens) string {
	w := &textWriter{ts: ts, tables: map[*nethtml.Node]bool{}}
	w.node(doc)
	return ts.restoreText(strings.TrimRight(w.out.String(), " \n") + "\n")
}

// errDeep is the HTML parser's limit, in our words.
var errDeep = errors.New("more than 500 nested elements are open: close them, or remove some")

// restoreText puts the actions back into text.
func (ts *tokens) restoreText(s string) string {
	var b strings.Builder
	at := 0
	for _, m := range ts.match.FindAllStringIndex(s, -1) {
		if t := ts.get(s[m[0]:m[1]]); t != nil {
			b.WriteString(literal(s[at:m[0]]) + t.text)
			at = m[1]
		}
	}

	b.WriteString(literal(s[at:]))
	return b.String()
}

// A textWriter walks an HTML tree and writes text. Line breaks are written together
// with the word that follows them, so that they never pile up.
type textWriter struct {
	ts     *tokens
	out    strings.Builder
	breaks int      // line breaks that come before the next word
	fresh  int      // line breaks that the text ends with now, apart from actions
	begun  string   // the part of the prefix that the line has already, while fresh
	last   string   // the prefix of the line
	blank  bool     // a blank comes before the next word
	prefix []string // what every line begins with: list indents, quotes
	mark   string   // the mark of a list item that has no text yet
	marked int      // the place in prefix of that item's indent
	lists  []int    // per open list the next number; -1: not numbered
	pre    bool
	zero   bool                   // the text under way is of size zero
	tables map[*nethtml.Node]bool // whether a table has headings, once it is known
}

// need asks for at least n line breaks before the next word.
func (w *textWriter) need(n int) { w.breaks = max(w.breaks, n) }

// flush writes what has to come before the next word.
func (w *textWriter) flush() {
	if w.out.Len() == 0 {
		w.fresh = max(1, w.breaks)
	}

	if n := w.breaks - w.fresh; n > 0 {
		between := strings.TrimRight(common(w.last, strings.Join(w.prefix, "")), " ")
		w.out.WriteString(strings.Repeat("\n"+between, n-1) + "\n")
		w.fresh += n
		w.begun = ""
	}

	if w.fresh > 0 {
		all := strings.Join(w.prefix, "")
		w.out.WriteString(strings.TrimPrefix(all, w.begun))
		w.begun = all
		w.last = all
	} else if w.blank {
		w.out.WriteByte(' ')
	}

	if w.mark != "" {
		w.out.WriteString(w.mark)
		w.prefix[w.marked] = strings.Repeat(" ", len(w.mark))
		w.begun = strings.Join(w.prefix, "")
	}

	w.mark = ""
	w.breaks = 0
	w.blank = false
}

// common returns what both prefixes begin with: a blank line between two lines of a
// quote belongs to the quote.
func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// word writes text that contains no white space to fold.
func (w *textWriter) word(s string) {
	w.flush()
	w.out.WriteString(s)
	w.fresh = 0
	w.begun = ""
}

// control writes an action that prints nothing. Line breaks and prefixes that are due
// are written before it, so that they are there whichever branch is taken.
func (w *textWriter) control(s string) {
	w.flush()
	w.out.WriteString(s)
}

// invisible are characters that only matter to HTML.
var invisible = strings.NewReplacer("\u00a0", " ", "\u00ad", "", "\u200b", "", "\u200c", "", "\u034f", "", "\ufeff", "")

// text writes character data, with white space folded as in a browser.
func (w *textWriter) text(s string) {
	s = invisible.Replace(s)
	if w.pre {
		for i, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
			if i > 0 {
				w.breaks++
			}
			if line != "" {
				w.word(line)
			}
		}
		return
	}

	words := strings.Fields(s)
	if len(words) == 0 {
		w.blank = w.blank || s != ""
		return
	}

	w.blank = w.blank || strings.TrimLeft(s, " \t\r\n\f") != s
	for i, word := range words {
		w.blank = w.blank || i > 0
		w.word(word)
	}

	w.blank = strings.TrimRight(s, " \t\r\n\f") != s
}

func (w *textWriter) node(n *nethtml.Node) {
	switch n.Type {
	case nethtml.TextNode:
		if !w.zero {
			w.text(n.Data)
		}
	case nethtml.CommentNode:
		if t := w.ts.get(n.Data); t != nil && !t.control {
			if !w.zero {
				w.word(n.Data)
			}
		} else if t != nil && t.text != "" {
			w.control(n.Data)
		}
	case nethtml.ElementNode:
		w.element(n)
	default:
		w.children(n)
	}
}

func (w *textWriter) children(n *nethtml.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c)
	}
}

// gaps are the line breaks before and after an element.
var gaps = map[atom.Atom]int{
	atom.P: 2, atom.H1: 2, atom.H2: 2, atom.H3: 2, atom.H4: 2, atom.H5: 2, atom.H6: 2, atom.Table: 2, atom.Blockquote: 2, atom.Pre: 2, atom.Hr: 2, atom.Dl: 2, atom.Figure: 2,
	atom.Div: 1, atom.Section: 1, atom.Article: 1, atom.Header: 1, atom.Footer: 1, atom.Main: 1, atom.Nav: 1, atom.Aside: 1, atom.Tr: 1, atom.Li: 1, atom.Dt: 1, atom.Dd: 1,
	atom.Center: 1, atom.Address: 1, atom.Figcaption: 1, atom.Caption: 1,
}

func (w *textWriter) element(n *nethtml.Node) {
	style := w.ts.computedStyle(n)
	if hidden(n, style) {
		return
	}

	outside := w.zero
	w.zero = sizeless(style, outside)
	defer func() { w.zero = outside }()
	gap := gaps[n.DataAtom]
	if (n.DataAtom == atom.Ul || n.DataAtom == atom.Ol) && len(w.lists) == 0 {
		gap = 2
	}

	w.need(gap)
	if attr(n, "role") == "contentinfo" {
		w.need(2)
		w.word(rule)
		w.need(1)
	}

	switch n.DataAtom {
	case atom.Br:
		w.breaks++
	case atom.Hr:
		w.word(rule)
	case atom.Img:
		if alt := strings.TrimSpace(attr(n, "alt")); alt != "" {
			w.text(alt)
		}
	case atom.A:
		w.link(n)
	case atom.Ul, atom.Ol:
		w.list(n)
	case atom.Li:
		w.item(n)
	case atom.Blockquote:
		w.prefix = append(w.prefix, "> ")
		w.children(n)
		w.prefix = w.prefix[:len(w.prefix)-1]
	case atom.Pre:
		w.pre = true
		w.children(n)
		w.pre = false
	case atom.Td, atom.Th:
		w.cell(n)
	default:
		w.children(n)
	}

	w.need(gap)
}

// rule stands for <hr>, and above a layout's footer.
const rule = "----------------------------------------"

func attr(n *nethtml.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func (w *textWriter) list(n *nethtml.Node) {
	next := -1
	if n.DataAtom == atom.Ol {
		next = 1
		if start, err := strconv.Atoi(attr(n, "start")); err == nil {
			next = start
		}
	}

	w.lists = append(w.lists, next)
	w.children(n)
	w.lists = w.lists[:len(w.lists)-1]
}

func (w *textWriter) item(n *nethtml.Node) {
	mark := "- "
	if last := len(w.lists) - 1; last >= 0 && w.lists[last] >= 0 {
		mark = strconv.Itoa(w.lists[last]) + ". "
		w.lists[last]++
	}

	// The first line has the mark, the others are indented by its width.
	depth := len(w.prefix)
	w.mark = mark
	w.marked = depth
	w.prefix = append(w.prefix, "")
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if w.mark != "" && c.DataAtom == atom.P {
			w.children(c) // a loose list: no blank line before its first words
			w.need(1)
		} else {
			w.node(c)
		}
	}

	w.mark = ""
	w.prefix = w.prefix[:depth]
}

// cell writes a cell of a table. If the table has headings, its cells stand next to
// each other; if not, below each other, because such tables are mostly for layout.
func (w *textWriter) cell(n *nethtml.Node) {
	data := false
	for p := n.Parent; p != nil && p.DataAtom != atom.Body; p = p.Parent {
		if p.DataAtom == atom.Table {
			data = w.isData(p)
			break
		}
	}

	if !data {
		w.need(1)
		w.children(n)
		w.need(1)
		return
	}

	for s := n.PrevSibling; s != nil; s = s.PrevSibling {
		if s.DataAtom == atom.Td || s.DataAtom == atom.Th {
			w.blank = true
			w.word("|")
			w.blank = true
			break
		}
	}

	w.children(n)
}

// isData reports whether a table has headings.
func (w *textWriter) isData(table *nethtml.Node) bool {
	known, ok := w.tables[table]
	if !ok {
		known = attr(table, "role") != "presentation" && hasHeading(table)
		w.tables[table] = known
	}
	return known
}

func hasHeading(n *nethtml.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom == atom.Th || c.DataAtom != atom.Table && hasHeading(c) {
			return true
		}
	}
	return false
}
