package bounce

import (
	"regexp"
	"slices"
	"strings"
)

// addressForm finds addresses in any text. It takes what occurs, also what RFC 5321
// does not allow: the caller checks an address before it uses it.
var addressForm = regexp.MustCompile(`(?:"[^"\s@<>]+"|[\pL\pN!#$%&'*+/=?^_{|}~.-]+)@[\pL\pN-]+(?:\.[\pL\pN-]+)+`)

// maxAddress is the longest address, in bytes (RFC 5321 4.5.3.1.3).
const maxAddress = 254

// addressesIn returns the addresses of a text, in their order.
func addressesIn(text string) []string {
	if !strings.Contains(text, "@") {
		return nil
	}
	var all []string
	for _, found := range addressForm.FindAllString(text, -1) {
		if found = strings.TrimLeft(found, "'."); len(found) <= maxAddress && found[0] != '@' {
			all = append(all, found)
		}
	}
	return all
}

// addressOf returns the first address of a text; empty when there is none.
func addressOf(text string) string {
	if all := addressesIn(text); all != nil {
		return all[0]
	}
	return ""
}

// hasAddress reports whether an address is among others, in any case of letters.
func hasAddress(all []string, address string) bool {
	return slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, address) })
}

// fromDaemon reports whether the message says that a mail system wrote it.
func (c *contents) fromDaemon() bool {
	return slices.ContainsFunc(c.head.all("From", "Sender"), func(from string) bool {
		return containsAny(plain(decodeWords(from)), daemons)
	})
}

// destinations are the fields that name the addresses a message was sent to.
var destinations = []string{
	"To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "X-Rcpt-To", "X-Forwarded-To", "Apparently-To", "Resent-To",
}

// notRecipients returns the addresses of which the message tells for certain that
// they are not the ones that it is about: where it was sent, and who wrote it and
// the message that came back.
func (c *contents) notRecipients() []string {
	var all []string
	for _, value := range append(c.head.all(destinations...), c.head.all("From", "Sender", "Reply-To", "Errors-To", "CC")...) {
		all = append(all, addressesIn(value)...)
	}
	for _, e := range c.returned {
		for _, value := range e.header.all("From", "Sender", "Return-Path", "Reply-To", "Errors-To") {
			all = append(all, addressesIn(value)...)
		}
	}
	return all
}

// sentTo returns the recipients that the returned message names.
func (c *contents) sentTo() []string {
	var all []string
	for _, e := range c.returned {
		for _, value := range e.header.all("To", "X-Original-To", "Envelope-To", "X-Envelope-To", "Delivered-To", "X-Rcpt-To") {
			all = append(all, addressesIn(decodeWords(value))...)
		}
	}
	return all
}
