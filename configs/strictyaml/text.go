package strictyaml

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxName is the most characters that a name in a header may have. A quoted one
// has to fit into a line of 998 octets (RFC 5322 section 2.1.1).
const maxName = 200

// Text reads text that people write, in which # is a character like any other:
// where YAML has taken the rest of the line for a comment, that is a problem.
// read returns the value and what is wrong with it, "" when nothing is.
func (m *Map) Text(name string, dst *string, read func(text string) (value, problem string)) {
	n := m.take(name)
	if m.lost(name) || n == nil || n.empty() {
		return
	}

	if n.Kind != Scalar {
		m.report(n, name, "found %s, expected one line of text", n.Found())
		return
	}

	value, problem := read(n.Text)
	if problem != "" {
		m.report(n, name, "found %s, %s", n.Found(), problem)
		return
	}

	*dst = value
}

// lost reports a comment that has eaten the end of a text, or all of it. Without
// any text a blank behind the # makes it a comment.
func (m *Map) lost(name string) bool {
	n := m.n.Get(name)
	if n == nil || n.Bad || n.after == "" || n.Kind == Null && isNote(n.after) {
		return false
	}
	n.Bad = true
	whole := strings.TrimSpace(n.written() + " " + n.after)
	m.doc.Add(n.At.Problem(m.Key(name), "found %s, and YAML leaves out %s as a comment; write %s: %s, or put the comment on a line of its own",
		n.Found(), Quote(n.after), name, YAMLQuote(whole)))
	return true
}

// lostSecret is lost for a value that is not shown; what has a blank behind the #
// is a comment there.
func (m *Map) lostSecret(key string, n *Node) bool {
	if n == nil || n.Bad || n.after == "" || isNote(n.after) {
		return false
	}
	n.Bad = true
	m.doc.Add(n.At.Problem(key, "found # behind a blank, from where on YAML leaves out the rest as a comment; put the whole value in quotes, or a blank behind the #"))
	return true
}

// isNote reports whether a comment looks like one: with a blank behind the #.
func isNote(comment string) bool {
	rest := strings.TrimLeft(comment, "#")
	return rest == "" || rest[0] == ' ' || rest[0] == '\t'
}

// commentAfter returns the comment behind a scalar that stands without quotes.
func commentAfter(y *yaml.Node) string {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if y.Style&quoted != 0 {
		return ""
	}
	return firstLine(y.LineComment)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRightFunc(line, unicode.IsSpace)
}

// written returns a scalar as the file has it.
func (n *Node) written() string {
	if n.Raw != "" {
		return n.Raw
	}
	return n.Text
}

// YAMLQuote writes a text in the quotes that need the fewest escapes. A long one
// is cut, as it is where it is found.
func YAMLQuote(text string) string {
	const most = 200 // characters
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	if strings.ContainsAny(text, `"\`) {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + text + `"`
}

// ChangesDirection reports whether r is an invisible character that changes the
// direction of the text around it, and can make a line read as another one
// (Unicode Bidi_Control).
func ChangesDirection(r rune) bool {
	return r >= 0x61c && unicode.Is(unicode.Bidi_Control, r)
}

// direction names the first such character of a text; "" when there is none.
func direction(text string) string {
	i := strings.IndexFunc(text, ChangesDirection)
	if i < 0 {
		return ""
	}
	r, _ := utf8.DecodeRuneInString(text[i:])
	return fmt.Sprintf("%U", r)
}

// OneLine reads text that readers see in one line, such as a subject. problem
// says what keeps it from that, "" when nothing does.
func OneLine(text string) (value, problem string) {
	switch {
	case hasControl(text) || strings.ContainsAny(text, "\u2028\u2029"):
		return "", "expected one line of text"
	case direction(text) != "":
		return "", "which has the invisible character " + direction(text) + "; it changes the direction of the text around it, expected a text without it"
	}
	return text, ""
}

// HeaderName reads a name that stands in a header, as OneLine does.
func HeaderName(text string) (value, problem string) {
	if n := utf8.RuneCountInString(text); n > maxName {
		return "", fmt.Sprintf("a name of %d characters, expected at most %d", n, maxName)
	}
	return OneLine(text)
}
