package templates

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vanng822/go-premailer/premailer"
)

// inlineCSS moves the rules of <style> elements into style attributes, for
// readers that ignore <style>. What cannot be inlined (media queries, :hover,
// dark mode) stays in one.
func inlineCSS(page string) (string, error) {
	if !styleElement.MatchString(page) {
		return page, nil // parsing would only rewrite the author's HTML
	}
	if err := stylable(page); err != nil {
		return "", err
	}
	page = styleElement.ReplaceAllStringFunc(page, keepAtRules)
	p, err := premailer.NewPremailerFromString(page, premailer.NewOptions(premailer.WithKeepBangImportant(false)))
	if err != nil {
		return "", fmt.Errorf("inline CSS: %w", err)
	}
	out, err := p.Transform()
	if err != nil {
		return "", fmt.Errorf("inline CSS: %w", err)
	}
	return strings.ReplaceAll(out, ` data-premailer="ignore"`, ""), nil
}

var styleElement = regexp.MustCompile(`(?is)(<style\b[^>]*>)(.*?)</style\s*>`)

// mediaRule is the one at-rule that the inliner understands: it makes its
// declarations important, so that they win against inlined ones. It spoils
// @import and @font-face, and drops others without a word.
var mediaRule = regexp.MustCompile(`(?i)^@media\b`)

// keepAtRules takes all other at-rules out of a style element, into one that
// the inliner leaves alone.
func keepAtRules(element string) string {
	m := styleElement.FindStringSubmatch(element)
	if strings.Contains(m[1], "data-premailer") {
		return element
	}
	css, at := m[2], 0
	var rest, kept strings.Builder
	for at < len(css) {
		start, end := nextAtRule(css, at)
		if start < 0 {
			break
		}
		if mediaRule.MatchString(css[start:end]) {
			rest.WriteString(css[at:end])
		} else {
			rest.WriteString(css[at:start])
			kept.WriteString(css[start:end] + "\n")
		}
		at = end
	}
	if kept.Len() == 0 {
		return element
	}
	rest.WriteString(css[at:])
	return m[1] + rest.String() + `</style><style data-premailer="ignore">` + kept.String() + "</style>"
}

// nextAtRule returns where the first at-rule outside of blocks, strings and
// comments begins and ends, or -1.
func nextAtRule(css string, from int) (start, end int) {
	start = -1
	for i, depth := from, 0; i < len(css); i++ {
		switch c := css[i]; c {
		case '"', '\'':
			for i++; i < len(css) && css[i] != c; i++ {
				if css[i] == '\\' {
					i++
				}
			}
		case '/':
			if strings.HasPrefix(css[i:], "/*") {
				j := strings.Index(css[i+2:], "*/")
				if j < 0 {
					return start, len(css)
				}
				i += j + 3
			}
		case '@':
			if depth == 0 && start < 0 {
				start = i
			}
		case ';':
			if depth == 0 && start >= 0 {
				return start, i + 1
			}
		case '{':
			depth++
		case '}':
			if depth--; depth <= 0 {
				depth = 0
				if start >= 0 {
					return start, i + 1
				}
			}
		}
	}
	return start, len(css)
}
