package templates

import (
	"regexp"
	"sort"
	"strconv"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

// A source is one text that an author wrote.
type source struct {
	name    string // for messages
	text    string
	actions []action
	tree    *parse.Tree // nil when the text has a syntax error
}

// An action is one {{...}} of a source.
type action struct {
	start, end int  // text[start:end] is the action with its braces
	control    bool // if, else, with, end or a comment: it prints nothing
}

// problem makes a Problem at a byte offset of the source.
func (s *source) problem(offset int, text string) Problem {
	before := s.text[:min(max(offset, 0), len(s.text))]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return Problem{s.name, line, col, text}
}

// parse fills in the tree, or returns what is wrong.
func (s *source) parse() (p Problem) {
	if i := strings.IndexByte(s.text, 0); i >= 0 {
		return s.problem(i, "a NUL byte: save the file as plain UTF-8 text")
	}
	if !utf8.ValidString(s.text) {
		return s.problem(invalidAt(s.text), "bytes that are not UTF-8: save the file as UTF-8")
	}

	var err error
	if s.tree, err = parseText(s.text); err != nil {
		return s.problem(s.errorOffset(err), explainSyntax(err))
	}

	return p
}

func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return len(text)
}

// parseText parses with every function name allowed; the checker looks at the
// names. It refuses a text that defines further templates.
func parseText(text string) (*parse.Tree, error) {
	t := parse.New("t")
	t.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	tree, err := t.Parse(text, "{{", "}}", set)
	if err != nil {
		return nil, err
	}

	for name := range set {
		if name != "t" {
			return nil, &definedError{name}
		}
	}

	return tree, nil
}

// A definedError says that a text defines a template of its own.
type definedError struct{ name string }

func (e *definedError) Error() string {
	return `template "` + e.name + `" is defined: define, block and template are refused, because a template that calls itself may never end; write the text in place`
}

var syntaxPlace = regexp.MustCompile(`^template: t:(\d+): `)

// explainSyntax removes the place from a message of text/template, and says the most
// frequent ones in our words.
func explainSyntax(err error) string {
	if _, ok := err.(*definedError); ok {
		return err.Error()
	}

	text := syntaxPlace.ReplaceAllString(err.Error(), "")
	switch {
	case strings.Contains(text, "unexpected EOF"):
		return "this action has no {{end}}"
	case strings.Contains(text, "unclosed action"):
		return "this action is not closed: expected }}"
	case strings.Contains(text, "unexpected {{end}}"):
		return "this {{end}} closes nothing"
	}

	return "template syntax: " + text
}

// errorOffset returns where the syntax error is. The parser knows only the line. The
// error is in the first action that makes the text up to its end wrong.
func (s *source) errorOffset(err error) int {
	if _, ok := err.(*definedError); ok {
		for _, a := range s.actions {
			if word := s.keyword(a); word == "define" || word == "block" {
				return a.start
			}
		}
		return 0
	}

	if strings.Contains(err.Error(), "unexpected EOF") {
		return s.openAction()
	}

	// What is wrong stays wrong, however much more of the text is read.
	first := sort.Search(len(s.actions), func(i int) bool {
		_, prefix := parseText(s.text[:s.actions[i].end])
		return prefix != nil && !strings.Contains(prefix.Error(), "unexpected EOF")
	})
	if first < len(s.actions) {
		return s.actions[first].start
	}

	// The last "{{" is not closed, so the scanner stopped there.
	end := 0
	if n := len(s.actions); n > 0 {
		end = s.actions[n-1].end
	}
	if i := strings.Index(s.text[end:], "{{"); i >= 0 {
		return end + i
	}

	return end
}

// openAction returns where the innermost action begins that has no end.
func (s *source) openAction() int {
	var open []int
	for _, a := range s.actions {
		switch s.keyword(a) {
		case "if", "with", "range", "define", "block":
			open = append(open, a.start)
		case "end":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}

	if len(open) == 0 {
		return len(s.text)
	}

	return open[len(open)-1]
}

func (s *source) keyword(a action) string { return keyword(s.text[a.start:a.end]) }

var keywordPattern = regexp.MustCompile(`^\{\{(?:-\s)?\s*([a-z]+)\b`)

// keyword returns the word that an action begins with, or "" when it begins with
// anything else.
func keyword(text string) string {
	if m := keywordPattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// scanActions finds the actions of a text in the same way as the lexer of
// text/template: strings, raw strings, characters and comments may contain braces.
func scanActions(text string) []action {
	var out []action
	for at := 0; ; {
		i := strings.Index(text[at:], "{{")
		if i < 0 {
			return out
		}

		start := at + i
		end := actionEnd(text, start)
		if end < 0 {
			return out
		}

		a := action{start: start, end: end}
		switch keyword(text[start:end]) {
		case "if", "else", "end", "with":
			a.control = true
		case "":
			a.control = isComment(text[start:])
		}

		out = append(out, a)
		at = end
	}
}

func isComment(action string) bool {
	inner := strings.TrimPrefix(action, "{{")
	if strings.HasPrefix(inner, "-") {
		inner = strings.TrimLeft(inner[1:], " \t\r\n")
	}
	return strings.HasPrefix(inner, "/*")
}

// actionEnd returns the offset after the action that begins at start, or -1.
func actionEnd(text string, start int) int {
	if isComment(text[start:]) {
		i := strings.Index(text[start:], "*/")
		if i < 0 {
			return -1
		}
		j := strings.Index(text[start+i:], "}}")
		if j < 0 {
			return -1
		}
		return start + i + j + len("}}")
	}

	for i := start + len("{{"); i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		case '}':
			if strings.HasPrefix(text[i:], "}}") {
				return i + len("}}")
			}
		}
	}

	return -1
}

// tokens holds what stands for actions, and for other text that must be hidden from
// the tools that work on Markdown, HTML and CSS.
type tokens struct {
	prefix string // letters and digits that no source contains
	list   []token
	match  *regexp.Regexp
}

// A token is one such replacement.
type token struct {
	html, text string  // what it becomes in the HTML and in the text part
	control    bool    // prints nothing
	isItem     bool    // item is what it becomes before anything else
	item       string  // the HTML of an item of a feed
	src        *source // where it comes from; nil for text of our own
	offset     int
}

// prefixPattern finds every prefix of tokens that a text contains. No prefix begins
// inside another.
var prefixPattern = regexp.MustCompile(`zq[0-9]+x`)

// newTokens chooses a prefix that none of the texts contains.
func newTokens(texts ...string) *tokens {
	taken := map[string]bool{}
	for _, text := range texts {
		for _, found := range prefixPattern.FindAllString(strings.ToLower(text), -1) {
			taken[found] = true
		}
	}

	for n := 0; ; n++ {
		if prefix := "zq" + strconv.Itoa(n) + "x"; !taken[prefix] {
			return &tokens{prefix: prefix, match: regexp.MustCompile(prefix + `(\d+)z`)}
		}
	}
}

// add returns the word that stands for t from now on.
func (ts *tokens) add(t token) string {
	ts.list = append(ts.list, t)
	return ts.prefix + strconv.Itoa(len(ts.list)-1) + "z"
}

// get returns the token that a match of ts.match stands for.
func (ts *tokens) get(word string) *token {
	m := ts.match.FindStringSubmatch(word)
	if m == nil {
		return nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n >= len(ts.list) {
		return nil
	}
	return &ts.list[n]
}

// tokenise returns the text of a source with a token for every action. The text
// between them goes through static.
func (ts *tokens) tokenise(s *source, static func(string) string) string {
	var b strings.Builder
	at := 0
	for _, a := range s.actions {
		b.WriteString(static(s.text[at:a.start]))
		text := s.text[a.start:a.end]
		item, isItem := itemHTML(text)
		b.WriteString(ts.add(token{html: text, text: text, control: a.control, isItem: isItem, item: item, src: s, offset: a.start}))
		at = a.end
	}

	b.WriteString(static(s.text[at:]))
	return b.String()
}

// literal returns template source that prints s unchanged.
func literal(s string) string { return strings.ReplaceAll(s, "{{", `{{"{{"}}`) }
