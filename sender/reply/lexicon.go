package reply

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// A lexicon holds the expressions of a rules file, by number, and the literals
// by which they are found in a text.
type lexicon struct {
	exprs  []*regexp.Regexp
	always []int                          // numbers of those without literals
	byHead map[[minLiteral]byte][]literal // by the first bytes
}

// A literal is a folded word, and the expression that may match where it stands.
type literal struct {
	word string
	expr int
}

// An anyOf holds when one of its expressions matches; nil always holds.
type anyOf []int

// add compiles a pattern, each alternative by itself: a small expression is tried
// seldom and fast.
func (l *lexicon) add(pattern string, words map[string]string) (anyOf, error) {
	text, err := spell(pattern, words)
	if err != nil {
		return nil, err
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil, err
	}

	var set anyOf
	for _, alternative := range alternatives(text) {
		n, err := l.addOne("(?i)" + alternative)
		if err != nil {
			return nil, err
		}
		set = append(set, n)
	}
	return set, nil
}

// wholeForm finds what an expression cannot be split around: a flag that holds to
// its end, and quoted text.
var wholeForm = regexp.MustCompile(`\(\?[a-zA-Z-]+\)|\\Q`)

// alternatives splits a pattern at the bars that stand in no bracket.
func alternatives(pattern string) []string {
	if wholeForm.MatchString(pattern) {
		return []string{pattern}
	}

	var all []string
	start := 0
	depth := 0     // of parentheses
	class := false // within brackets
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++ // what follows stands for itself
		case class:
			class = c != ']' || pattern[i-1] == '[' || strings.HasSuffix(pattern[:i], "[^")
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			all = append(all, pattern[start:i])
			start = i + 1
		}
	}
	return append(all, pattern[start:])
}

func (l *lexicon) addOne(pattern string) (int, error) {
	expr, err := regexp.Compile(pattern)
	if err != nil {
		return 0, err
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	n := len(l.exprs)
	l.exprs = append(l.exprs, expr)
	some := literals(tree)
	if some == nil {
		l.always = append(l.always, n)
	}
	for _, word := range some {
		head := [minLiteral]byte([]byte(word[:minLiteral]))
		l.byHead[head] = append(l.byHead[head], literal{word, n})
	}
	return n, nil
}

// A reading is a text and what the lexicon knows of it.
type reading struct {
	text  string
	worth []bool // by the number of the expression: it may match
}

// read finds the expressions that may match the text.
func (l *lexicon) read(text string) reading {
	r := reading{text: text, worth: make([]bool, len(l.exprs))}
	for _, n := range l.always {
		r.worth[n] = true
	}
	folded := fold(text)
	for i := 0; i+minLiteral <= len(folded); i++ {
		head := [minLiteral]byte([]byte(folded[i : i+minLiteral]))
		for _, lit := range l.byHead[head] {
			if !r.worth[lit.expr] && strings.HasPrefix(folded[i:], lit.word) {
				r.worth[lit.expr] = true
			}
		}
	}
	return r
}

// matches reports whether one of the expressions matches the text.
func (l *lexicon) matches(set anyOf, r reading) bool {
	for _, n := range set {
		if r.worth[n] && l.exprs[n].MatchString(r.text) {
			return true
		}
	}
	return false
}
