package campaign

import (
	"regexp"
	"strings"

	"golang.org/x/net/idna"
)

// MaxSenderDomain is the longest domain that mail can be from, in bytes: it
// leaves room for what Message-IDs and return paths have before the @.
const MaxSenderDomain = 200

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// Domain returns a domain as DNS knows it: in lower case, with A-labels for
// international ones. ok is false when it cannot be one.
func Domain(name string) (domain string, ok bool) {
	if !IsDomain(name) || strings.Contains(strings.ToLower(name), "xn--") {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", false
		}
		name = ascii
	}
	return strings.ToLower(name), IsDomain(name)
}

// IsDomain reports whether text is a name that DNS can have.
func IsDomain(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if !labelPattern.MatchString(label) {
			return false
		}
	}
	return true
}
