package report

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
)

// addressPattern finds what looks like an address in the text of a reply:
// quoted local parts, percent-encoded ones in links, and those that a
// forwarder has rewritten (SRS0=hash=tt=example.com=reader@forward.example).
var addressPattern = regexp.MustCompile(`(?i)(?:"[^"]*"|[^\s<>()\[\]{}",;:|&?]*)(?:[@＠﹫]|%40)[^\s<>()\[\]{}",;|&]*`)

// Redact returns the text of a reply on one line, without control characters
// and with "(address)" for whatever looks like one. A server that repeats a
// bare local part is not noticed.
func Redact(text string) string {
	return addressPattern.ReplaceAllStringFunc(oneLine(text), func(found string) string {
		rest := strings.TrimRight(found, ":.'!") // punctuation that ends the address
		return "(address)" + found[len(rest):]
	})
}

// Joiners are part of ordinary text: of Persian words and of emoji.
const zwnj, zwj = '\u200c', '\u200d'

// oneLine returns text without anything that moves a cursor or turns the
// direction of writing: subjects and replies come from elsewhere.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) && r != zwnj && r != zwj:
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// sender returns who a mailbox belongs to without its address: pages that are
// forwarded hold none, not even the sender's.
func sender(from string) string {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return Redact(from)
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	if name := Redact(a.Name); name != "" {
		return name + " (" + domain + ")"
	}
	return domain
}
