package report

import (
	"net/mail"
	"strings"
	"unicode"

	"broadside/campaign/address"
)

// Redact returns the text of a reply on one line, without control characters
// and without what looks like an address.
func Redact(text string) string { return address.Redact(oneLine(text)) }

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
