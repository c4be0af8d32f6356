package strictyaml

import (
	"regexp"
	"strings"
)

var (
	variable     = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Expand replaces ${NAME} in a text by what value returns for the name, and $${ by ${. What
// is put in is not expanded again. value may return a problem instead, and problem says
// then what is wrong with the text; "" when nothing is.
func Expand(text string, value func(name string) (out, problem string)) (out, problem string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		if strings.HasSuffix(before, "$") { // $${ is a literal ${
			b.WriteString("{")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variableName.MatchString(name) {
			return "", "found ${ without a name and }, expected ${NAME}; write $${ for the two characters themselves"
		}
		in, problem := value(name)
		if problem != "" {
			return "", problem
		}
		b.WriteString(in)
		text = after
	}
}

// IsVariable reports whether a text is ${NAME} and nothing else.
func IsVariable(text string) bool { return variable.FindString(text) == text && text != "" }

// withoutVariables puts a digit in place of each ${NAME}, which can stand in every part of
// a URL.
func withoutVariables(text string) string { return variable.ReplaceAllString(text, "1") }
