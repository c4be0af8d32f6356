package templates

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tdewolff/parse/v2/css"
	nethtml "golang.org/x/net/html"
)

// A declaration is one "property: value" of a rule or a style attribute, or
// something between two of them that is kept as it is, such as an action.
type declaration struct {
	text      string // as the author wrote it
	property  string // empty: nothing is known of it
	value     string // without !important
	important bool
	action    bool // text is an action that prints nothing
}

var importantMark = regexp.MustCompile(`(?i)!\s*important\s*$`)

// newDeclaration takes a declaration apart.
func newDeclaration(text string) declaration {
	d := declaration{text: text}
	property, value, ok := strings.Cut(text, ":")
	if !ok {
		return d
	}

	d.property = strings.TrimSpace(property)
	d.value = strings.TrimSpace(value)
	if mark := importantMark.FindStringIndex(d.value); mark != nil {
		d.important = true
		d.value = strings.TrimSpace(d.value[:mark[0]])
	}

	return d
}

// name is the property in small letters.
func (d declaration) name() string { return strings.ToLower(d.property) }

// plain writes the declaration without !important.
func (d declaration) plain() string {
	if d.property == "" {
		return d.text
	}
	return d.property + ":" + d.value
}

// forced writes the declaration, which sets a property, with !important.
func (d declaration) forced() string { return d.plain() + " !important" }

// styleOf parses the style attribute of an element. An attribute that chooses
// between declarations stays in one piece.
func (ts *tokens) styleOf(n *nethtml.Node) []declaration {
	style := attr(n, "style")
	list := parseDeclarations(ts.lexCSS(style))
	if slices.ContainsFunc(list, func(d declaration) bool { return d.action }) {
		return []declaration{{text: strings.TrimSpace(style)}}
	}
	return list
}

// parseDeclarations takes a block apart. An action that prints nothing and
// stands between declarations is an item of its own; inside a value it
// belongs to the value.
func parseDeclarations(pieces []cssPiece) []declaration {
	w := &declarationReader{}
	for _, p := range pieces {
		w.piece(p)
	}
	w.flush()
	return w.list
}

type declarationReader struct {
	list   []declaration
	text   strings.Builder
	open   int  // parentheses and brackets
	inside int  // if and with that began within the value
	opaque bool // there is a semicolon inside an if
}

func (w *declarationReader) piece(p cssPiece) {
	if p.control && p.kind == css.IdentToken {
		w.action(p)
		return
	}

	switch p.kind {
	case css.CommentToken:
		if p.control { // it may hold an {{end}}
			w.text.WriteString(p.text)
		}
		return
	case css.LeftParenthesisToken, css.FunctionToken, css.LeftBracketToken:
		w.open++
	case css.RightParenthesisToken, css.RightBracketToken:
		w.open--
	case css.SemicolonToken:
		if w.inside == 0 && w.open <= 0 {
			w.flush()
			return
		}
		w.opaque = w.opaque || w.inside > 0
	}

	w.text.WriteString(p.text)
}

// action handles an action that prints nothing.
func (w *declarationReader) action(p cssPiece) {
	inValue := w.inside > 0 || p.opens > 0 && strings.TrimSpace(w.text.String()) != ""
	if inValue {
		w.text.WriteString(p.text)
		w.inside += p.opens
		return
	}
	w.flush()
	w.list = append(w.list, declaration{text: p.text, action: true})
}

// flush ends the current declaration.
func (w *declarationReader) flush() {
	text := strings.TrimSpace(w.text.String())
	switch {
	case text == "":
	case w.opaque:
		w.list = append(w.list, declaration{text: text})
	default:
		w.list = append(w.list, newDeclaration(text))
	}

	w.text.Reset()
	w.open = 0
	w.inside = 0
	w.opaque = false
}

// joinDeclarations writes declarations as they stand in a block or a style
// attribute. An action is not followed by a semicolon.
func joinDeclarations(list []declaration) string {
	var b strings.Builder
	for i, d := range list {
		b.WriteString(d.text)
		if !d.action && i < len(list)-1 {
			b.WriteByte(';')
		}
	}
	return b.String()
}
