package address

import (
	"regexp"
	"strings"
)

// inText finds what looks like an address in a text: quoted local parts,
// percent-encoded ones in links, and those that a forwarder has rewritten
// (SRS0=hash=tt=example.com=reader@forward.example).
var inText = regexp.MustCompile(`(?i)(?:"[^"]*"|[^\s<>()\[\]{}",;:|&?]*)(?:[@＠﹫]|%40)[^\s<>()\[\]{}",;|&]*`)

// Redact returns a text, such as the reply of a server, with "(address)" in place of
// everything that looks like one: for logs, and for pages that are forwarded. It does
// not notice a local part that stands alone.
func Redact(text string) string {
	return inText.ReplaceAllStringFunc(text, func(found string) string {
		rest := strings.TrimRight(found, ":.'!") // punctuation that ends the address
		return "(address)" + found[len(rest):]
	})
}
