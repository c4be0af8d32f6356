package message

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of single values. A header line has at most 998 octets (RFC 5322,
// 2.1.1); an address at most 254 (RFC 5321, 4.5.3.1).
const (
	maxLine    = 998
	maxSubject = 2000
	maxAddress = 254
	maxURL     = 900
	maxID      = 250
)

// ErrControl is in the chain of every error about a value with a control
// character that would stand in a header.
var ErrControl = errors.New("control character in a header")

// checkValue refuses what may not stand in a header value: control
// characters, above all CR and LF, and what is not UTF-8.
func checkValue(name, s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Errorf("%s: byte %#02x at offset %d: %w", name, s[i], i, ErrControl)
		}
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s: the text is not UTF-8", name)
	}
	return nil
}

// checkFolded refuses a header with a line that no server has to take. What is
// filled in later has limits of its own that keep within one.
func checkFolded(b []byte) error {
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		if len(line) <= maxLine {
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		return fmt.Errorf("header %.40q: a line of %d bytes, at most %d are allowed: shorten the text, or put blanks into it", name, len(line), maxLine)
	}
	return nil
}

// checkAddress refuses what cannot stand between angle brackets as one
// address. It does not judge whether the address is a good one.
func checkAddress(s string) error {
	if err := checkValue("To", s); err != nil {
		return err
	}

	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > maxAddress {
		return fmt.Errorf("to %q: expected one address, local@domain, of at most %d bytes", s, maxAddress)
	}

	local := s[:at]
	domain := s[at+1:]
	if i := strings.IndexFunc(domain, notInDomain); i >= 0 {
		return fmt.Errorf("to %q: the domain has %q: expected letters, digits, dots and hyphens (an A-label where it is international)", s, domain[i])
	}
	if local[0] == '"' {
		return checkQuoted(s, local)
	}
	if i := strings.IndexFunc(local, mustBeQuoted); i >= 0 {
		return fmt.Errorf("to %q: %q in the local part must be quoted", s, local[i])
	}

	return nil
}

// checkMailto refuses an address that would have to be percent-encoded in a mailto URL
// (RFC 6068), which none of ours has to be.
func checkMailto(s string) error {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > maxAddress || strings.ContainsFunc(s[:at], notInDomain) || strings.ContainsFunc(s[at+1:], notInDomain) {
		return fmt.Errorf("address to unsubscribe %q: expected letters, digits, dots and hyphens around one @, at most %d bytes", s, maxAddress)
	}
	return nil
}

func notInDomain(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", r)
}

func mustBeQuoted(r rune) bool {
	return r < utf8.RuneSelf && r != '.' && !strings.ContainsRune(atext, r)
}

// checkQuoted checks that a local part is one quoted string (RFC 5321,
// 4.1.2), so that nothing of it can be read as more than an address.
func checkQuoted(s, local string) error {
	for i := 1; i < len(local); i++ {
		switch local[i] {
		case '\\':
			i++
		case '"':
			if i == len(local)-1 {
				return nil
			}
			return fmt.Errorf("to %q: text after the quoted local part", s)
		}
	}

	return fmt.Errorf("to %q: the quoted local part does not end", s)
}

// checkURL refuses what cannot stand in List-Unsubscribe.
func checkURL(s string) error {
	if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return fmt.Errorf("unsubscribe link %q: expected an https URL", s)
	}
	if len(s) > maxURL {
		return fmt.Errorf("unsubscribe link of %d bytes: at most %d fit in a header line", len(s), maxURL)
	}
	if !isToken(s) || strings.ContainsAny(s, `,"`) {
		return cmp.Or(checkValue("unsubscribe link", s), fmt.Errorf("unsubscribe link %q: a character that must be percent-encoded", s))
	}

	return nil
}

// checkID refuses what cannot be the inside of a Message-ID.
func checkID(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > maxID || !isToken(s) || strings.ContainsAny(s, `()[],;:\"`) || strings.Contains(domain, "@") {
		return cmp.Or(checkValue("message id", s), fmt.Errorf("message id %q: expected unique@domain in at most %d bytes of ASCII, without brackets", s, maxID))
	}
	return nil
}

// isToken reports whether s is printable ASCII without blanks and angle
// brackets.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
