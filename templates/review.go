package templates

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"broadside/campaign"
)

// Review returns what a new campaign may not have in its texts, as Problems, or nil.
// For runs that were made before only Compile counts: they keep what Review refuses
// today.
func Review(s campaign.Snapshot) error {
	var problems Problems
	for _, text := range []struct{ name, text string }{
		{"subject", s.Subject},
		{"preheader", s.Preheader},
		{s.BodyFile, s.Markdown + s.HTML},
		{s.TextFile, s.Text},
	} {
		one := &source{name: text.name, text: text.text, actions: scanActions(text.text)}
		problems = append(problems, encodedActions(one)...)
	}

	return problems.err()
}

// Braces as editors and address bars write them.
const (
	openBrace  = `(?:%(?:25)*7b|&#0*123;|&#x0*7b;|&lbrace;|&lcub;|\\?\{)`
	closeBrace = `(?:%(?:25)*7d|&#0*125;|&#x0*7d;|&rbrace;|&rcub;|\\?\})`
)

// encodedAction finds what is an action once its braces are decoded: a field,
// or a word that an action begins with.
var encodedAction = regexp.MustCompile(`(?i)` + openBrace + `{2}(?:-|\s|%20|\+|&nbsp;)*` +
	`(?:\$?\.[a-z_]|(?:if|else|end|with|range|default|upper|lower|title|trim|print|len)\b)[^{}<>"\n]{0,200}?` + closeBrace + `{2}`)

// encodedActions reports actions whose braces an editor has encoded: readers would
// see them as they are.
func encodedActions(s *source) Problems {
	var problems Problems
	for _, m := range encodedAction.FindAllStringIndex(s.text, -1) {
		found := s.text[m[0]:m[1]]
		if strings.HasPrefix(found, "{{") && strings.HasSuffix(found, "}}") || s.inAction(m[0]) {
			continue
		}
		if len(problems) == maxProblems {
			return problems
		}
		problems = append(problems, s.problem(m[0], fmt.Sprintf("%s is shown to readers as it is, because its braces are encoded: write %s, or {{\"{{\"}} for braces that readers should see", found, decodedAction(found))))
	}

	return problems
}

// inAction reports whether an offset is inside an action, as in {{"%7B"}}.
func (s *source) inAction(offset int) bool {
	return slices.ContainsFunc(s.actions, func(a action) bool { return a.start < offset && offset < a.end })
}

// decodedAction is what the author most probably meant.
func decodedAction(found string) string {
	decoded := html.UnescapeString(strings.ReplaceAll(found, `\`, ""))
	for strings.Contains(decoded, "%") {
		once, err := url.PathUnescape(decoded)
		if err != nil || once == decoded {
			break
		}
		decoded = once
	}
	return strings.ReplaceAll(decoded, "\u00a0", " ")
}

// shownPage is how many bytes of a page Gmail shows.
const shownPage = 102_000

// Warnings returns what is allowed, but most probably not meant.
func (t *Template) Warnings(s campaign.Snapshot) Problems {
	if t.pageSize <= shownPage {
		return nil
	}
	return Problems{{File: s.BodyFile, Text: fmt.Sprintf("the HTML has %d KB, without the values of fields: Gmail shows the first 102 KB of a page and hides the rest, "+
		"the unsubscribe link in the footer with it; shorten the letter, or take out styles and markup that it does not need", (t.pageSize+999)/1000)}}
}
