package templates

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// A cssPiece is one token of CSS. Actions in it are words of letters and
// digits; an action that prints nothing is a piece of its own.
type cssPiece struct {
	kind    css.TokenType
	text    string
	control bool // it has an if, else, with, end or a comment of the template
	opens   int  // how many if and with it opens, minus those that it ends
}

// lexCSS cuts CSS into pieces. Joined, they are the same text.
func (ts *tokens) lexCSS(text string) []cssPiece {
	var pieces []cssPiece
	lexer := css.NewLexer(parse.NewInputString(text))
	for {
		kind, data := lexer.Next()
		if kind == css.ErrorToken {
			return pieces
		}
		pieces = append(pieces, ts.splitControls(cssPiece{kind: kind, text: string(data)})...)
	}
}

// splitControls makes a piece of each action that prints nothing.
// Strings, comments and URLs stay whole.
func (ts *tokens) splitControls(p cssPiece) []cssPiece {
	var pieces []cssPiece
	at := 0
	for _, m := range ts.match.FindAllStringIndex(p.text, -1) {
		word := p.text[m[0]:m[1]]
		t := ts.get(word)
		if t == nil || !t.control {
			continue
		}

		opens := opened(t.text)
		switch p.kind {
		case css.StringToken, css.BadStringToken, css.CommentToken, css.URLToken, css.BadURLToken:
			p.control = true
			p.opens += opens
			continue
		}

		if m[0] > at {
			pieces = append(pieces, cssPiece{kind: p.kind, text: p.text[at:m[0]]})
		}
		pieces = append(pieces, cssPiece{kind: css.IdentToken, text: word, control: true, opens: opens})
		at = m[1]
	}

	if at < len(p.text) {
		p.text = p.text[at:]
		pieces = append(pieces, p)
	}

	return pieces
}

// opened says whether an action begins a choice, 1, or ends one, -1.
func opened(action string) int {
	switch keyword(action) {
	case "if", "with", "range":
		return 1
	case "end":
		return -1
	}
	return 0
}

// A statement is one rule of a style sheet, or what stands between rules.
type statement struct {
	text        string        // as the author wrote it
	prelude     string        // what stands before the brace
	rule        bool          // selectors and declarations are known
	selectors   []string      // of a rule
	items       []declaration // of a rule
	group       bool          // @media and the like: inner holds its rules
	inner       []statement
	conditional bool // an if or with decides whether it is there, or what it says
}

// A sheetReader cuts pieces into statements.
type sheetReader struct {
	pieces []cssPiece
	at     int
	depth  int // of if and with
}

// parseSheet returns the statements of a style element, without comments.
func (ts *tokens) parseSheet(text string) []statement {
	r := &sheetReader{pieces: ts.lexCSS(text)}
	return r.statements(false)
}

// groupRule finds the at-rules that hold rules for some readers only.
var groupRule = regexp.MustCompile(`(?i)^@(media|supports|container)\b`)

// statements reads up to the end of the sheet, or of the block around it.
func (r *sheetReader) statements(inBlock bool) []statement {
	var list []statement
	for r.at < len(r.pieces) {
		p := r.pieces[r.at]
		switch {
		case p.control:
			list = append(list, statement{text: p.text, conditional: true})
			r.depth += p.opens
			r.at++
		case p.kind == css.WhitespaceToken, p.kind == css.CommentToken, p.kind == css.CDOToken, p.kind == css.CDCToken:
			r.at++
		case p.kind == css.RightBraceToken:
			r.at++
			if inBlock {
				return list
			}
		default:
			list = append(list, r.statement())
		}
	}

	return list
}

// statement reads one rule or at-rule.
func (r *sheetReader) statement() statement {
	start := r.at
	depth := r.depth
	ended := r.prelude()
	prelude := r.pieces[start:r.at]
	s := statement{prelude: strings.TrimSpace(joinPieces(prelude)), conditional: depth > 0 || hasControl(prelude)}
	if ended {
		r.at = min(r.at+1, len(r.pieces))
		s.text = joinPieces(r.pieces[start:r.at])
		return s
	}

	r.at++ // the brace
	if groupRule.MatchString(s.prelude) && !hasControl(prelude) {
		s.group = true
		s.inner = r.statements(true)
		s.text = joinPieces(r.pieces[start:r.at])
		return s
	}

	body, plain := r.block()
	s.conditional = s.conditional || hasControl(body)
	s.text = joinPieces(r.pieces[start:r.at])
	if plain && !strings.HasPrefix(s.prelude, "@") && !hasControl(prelude) {
		s.rule = true
		s.selectors = splitSelectors(prelude)
		s.items = parseDeclarations(body)
	}

	return s
}

// prelude reads up to the brace of a rule; or to the end of an at-rule without
// a block, or of the sheet: then it reports true.
func (r *sheetReader) prelude() (ended bool) {
	at := r.pieces[r.at].kind == css.AtKeywordToken
	for ; r.at < len(r.pieces); r.at++ {
		p := r.pieces[r.at]
		switch {
		case p.kind == css.LeftBraceToken:
			return false
		case p.kind == css.SemicolonToken && at:
			return true
		}
		r.depth += p.opens
	}

	return true
}

// block reads up to the end of a block. It is plain if there is no block inside it.
func (r *sheetReader) block() (body []cssPiece, plain bool) {
	start := r.at
	plain = true
	for open := 1; r.at < len(r.pieces); r.at++ {
		p := r.pieces[r.at]
		r.depth += p.opens
		switch p.kind {
		case css.LeftBraceToken:
			plain = false
			open++
		case css.RightBraceToken:
			open--
		}

		if open == 0 {
			r.at++
			return r.pieces[start : r.at-1], plain
		}
	}

	return r.pieces[start:], plain
}

func hasControl(pieces []cssPiece) bool {
	return slices.ContainsFunc(pieces, func(p cssPiece) bool { return p.control })
}

func joinPieces(pieces []cssPiece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// splitSelectors returns the selectors between the commas of a prelude.
func splitSelectors(prelude []cssPiece) []string {
	var list []string
	var one strings.Builder
	open := 0
	for _, p := range prelude {
		switch p.kind {
		case css.CommentToken:
			continue
		case css.LeftParenthesisToken, css.FunctionToken, css.LeftBracketToken:
			open++
		case css.RightParenthesisToken, css.RightBracketToken:
			open--
		case css.CommaToken:
			if open == 0 {
				list = append(list, strings.TrimSpace(one.String()))
				one.Reset()
				continue
			}
		}

		one.WriteString(p.text)
	}

	return append(list, strings.TrimSpace(one.String()))
}
