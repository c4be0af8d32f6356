package reply

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"broadside/configs/strictyaml"
)

// checkPossible refuses a condition that no reply can meet.
func (f *fileReader) checkPossible(m *strictyaml.Map, c *condition) {
	if c.events != nil && c.onWire() {
		m.Problem("event", "found event together with what a server says (code, enhanced, text, says or unless), so that the rule cannot match: expected one or the other")
	}
	if c.stages != nil && !slices.Contains(c.stages, Dot) && c.below(400) {
		m.Problem("code", "found only codes below 400, which are no refusal before the final dot, so that the rule cannot match: expected codes from 400 to 599")
	}
}

// below reports whether all codes of the condition are lower.
func (c *condition) below(code int) bool {
	return c.codes != nil && !slices.ContainsFunc(c.codes, func(s codeSpan) bool { return s.hi >= code })
}

// impossible says why no reply can match a good pattern; empty when one can. bare:
// the pattern is for the text without names.
func (f *fileReader) impossible(pattern string, bare bool) string {
	text, err := spell(pattern, f.set.words)
	if err != nil || !f.set.own() {
		return "" // a test shows that each of the built-in rules matches its example
	}

	var why string
	for _, alternative := range alternatives(text) {
		tree, err := syntax.Parse("(?i)"+alternative, syntax.Perl)
		if err != nil {
			return ""
		}
		if why = neverMatches(tree, bare); why == "" {
			return ""
		}
	}
	return why
}

// neverMatches says why no text can match the expression.
func neverMatches(re *syntax.Regexp, bare bool) string {
	if begins(re) {
		return "the text stands without the code of the reply; put that into code"
	}
	if contradicts(re) {
		return "it asks for something before the beginning or behind the end of the text"
	}
	all, few := spellings(re)
	if !few {
		return ""
	}
	for _, one := range all {
		switch {
		case strings.ContainsAny(one, "\r\n"):
		case bare && !strings.Contains(fold(strippedOf(one)), one):
		default:
			return ""
		}
	}
	if bare {
		return "addresses, links and host names are left out of what says and unless look at; use text"
	}
	return "the lines of a reply are joined by blanks"
}

// strippedOf returns the text without names, as says sees it.
func strippedOf(text string) string { return bare(strings.ToLower(text)) }

// begins reports whether the expression wants the code of a reply in front of the
// text, such as "^550 ".
func begins(re *syntax.Regexp) bool {
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 || re.Sub[0].Op != syntax.OpBeginText {
		return false
	}
	next := re.Sub[1]
	if next.Op != syntax.OpLiteral || len(next.Rune) < 3 {
		return false
	}
	word := string(next.Rune)
	_, _, isCode := splitCode(word)
	return isCode
}

// contradicts reports whether the expression has the beginning of the text behind
// other characters, or its end before them, or matches nothing by itself.
func contradicts(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return contradicts(re.Sub[0])
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !contradicts(sub) })
	case syntax.OpConcat:
		return contradictsInRow(re.Sub)
	}
	return false
}

func contradictsInRow(row []*syntax.Regexp) bool {
	some := false  // characters so far
	ended := false // the end of the text was asked for
	for _, part := range row {
		switch {
		case contradicts(part), part.Op == syntax.OpBeginText && some, ended && leastLen(part) > 0:
			return true
		case part.Op == syntax.OpEndText:
			ended = true
		}
		some = some || leastLen(part) > 0
	}
	return false
}

// leastLen returns 0 when the expression may match no character, else 1.
func leastLen(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return leastLen(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return leastLen(re.Sub[0])
		}
	case syntax.OpAlternate:
		if !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return leastLen(sub) == 0 }) {
			return 1
		}
	case syntax.OpConcat:
		if slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return leastLen(sub) > 0 }) {
			return 1
		}
	}
	return 0
}

// checkTogether looks at what the parts of a rule, and the rules of a file, say
// together.
func (f *fileReader) checkTogether() {
	rules := f.set.rules
	for i := range rules {
		key := fmt.Sprintf("rules[%d]", i)
		f.checkVerdict(key, &rules[i])
		if j := slices.IndexFunc(rules[:i], func(r rule) bool { return f.set.covers(&r, &rules[i]) }); j >= 0 {
			f.doc.Problem(key+".match", "found what rule %s before it matches altogether, so that this one cannot match: expected a condition of its own, or another order", rules[j].id())
		} else if f.set.own() {
			f.checkExample(key, &rules[i])
		}
	}
	if !f.set.own() && (len(rules) == 0 || !rules[len(rules)-1].match.any()) {
		f.doc.Problem("rules", "the last rule must match everything")
	}
}

// checkVerdict refuses verdicts against what is known: a message that the server
// accepted is accepted, and only one that was sent may be uncertain.
func (f *fileReader) checkVerdict(key string, r *rule) {
	c := &r.match
	verdict := r.decision.Verdict
	atDot := slices.Equal(c.stages, []Stage{Dot})
	switch {
	case verdict == Accepted && !(atDot && c.below(300)):
		f.doc.Problem(key+".verdict", `found accepted, expected it only with stage: [dot] and code: ["2xx"]: what a server refused was not accepted`)
	case verdict == Uncertain && !atDot:
		f.doc.Problem(key+".verdict", "found uncertain, expected it only with stage: [dot]: before the final dot nothing has arrived")
	case verdict == SuppressHard && c.below(500):
		f.doc.Problem(key+".match.code", "found only codes below 500 with suppress_hard, so that the rule cannot match: what is refused for now says nothing for good; expected codes from 500 to 599")
	case verdict != Accepted && c.below(300):
		f.doc.Problem(key+".match.code", "found only codes of acceptance, so that the rule cannot match: what the server accepted is accepted; expected codes from 400 to 599")
	case atDot && c.events != nil && verdict != Uncertain:
		f.doc.Problem(key+".verdict", "found %s for what happens after the final dot, expected uncertain: it is not known whether the message has arrived", verdict)
	}
}

// checkExample refuses an example that does not come to its rule.
func (f *fileReader) checkExample(key string, r *rule) {
	if r.example == "" || r.match.events != nil || strings.HasPrefix(r.example, "(") {
		return
	}
	replies, err := r.examples()
	if err != nil {
		f.doc.Problem(key+".example", "%v", err)
		return
	}
	for _, reply := range replies {
		if reply.settled() {
			continue
		}
		if problem := f.strays(r, reply); problem != "" {
			f.doc.Problem(key+".example", "%s", problem)
			return
		}
	}
}

// strays says to which other rule the example of one comes; empty when it comes
// to its own, from a relay or from the recipient's MX.
func (f *fileReader) strays(r *rule, example Reply) (problem string) {
	came := f.set.find(example)
	if came != r && r.match.transport == "" {
		example.Direct = true
		if f.set.find(example) == r {
			return ""
		}
	}
	switch came {
	case r:
		return ""
	case nil:
		return fmt.Sprintf("found a reply that this rule does not match at stage %s, expected one that it does", example.Stage)
	}
	return fmt.Sprintf("found a reply that rule %s before it matches at stage %s, expected one that comes to this rule", came.id(), example.Stage)
}

// examples returns the example of a rule as a reply at each stage that the rule
// names.
func (r *rule) examples() ([]Reply, error) {
	first, err := Parse(r.example)
	if err != nil {
		return nil, err
	}
	first.Direct = r.match.transport == "direct"
	if r.match.origins != nil {
		first.Provider = r.match.origins[0].provider
		first.Relay = r.match.origins[0].relay
	}

	stages := r.match.stages
	if stages == nil {
		stages = []Stage{Rcpt}
	}
	var all []Reply
	for _, stage := range stages {
		first.Stage = stage
		all = append(all, first)
	}
	return all, nil
}
