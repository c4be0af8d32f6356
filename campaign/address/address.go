package address

import (
	"crypto/sha256"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// An Address is one mailbox, as Parse returns it.
type Address struct {
	Local  string // as written, in Unicode normal form C
	Domain string // lower case, A-labels
}

// String returns the address as it goes into an envelope.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// Canonical returns the form that tells people apart: duplicates and
// suppressions are found by it. Servers could in theory treat Ann@ and ann@ as
// two mailboxes; none that matters does, and mailing one person twice is the
// greater harm.
func (a Address) Canonical() string { return lower(a.Local) + "@" + a.Domain }

// AppendCanonical appends Canonical to dst.
func (a Address) AppendCanonical(dst []byte) []byte {
	for i := range len(a.Local) {
		c := a.Local[i]
		if c >= utf8.RuneSelf {
			dst = append(dst[:len(dst)-i], lower(a.Local)...)
			break
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}

	dst = append(dst, '@')
	return append(dst, a.Domain...)
}

// Hash returns Hash(a.Canonical()) without making the string.
func (a Address) Hash() [32]byte {
	var b [maxAddress + maxLocal]byte
	return sha256.Sum256(a.AppendCanonical(b[:0]))
}

// OtherSpellings returns the ways, other than the canonical form, in which the address
// may have been written before it was hashed elsewhere: with capitals, and with the
// letters of an international domain. Most addresses have none.
func (a Address) OtherSpellings() []string {
	if !hasIDN(a.Domain) && a.Local == lower(a.Local) {
		return nil
	}

	var all []string
	canonical := a.Canonical()
	domains := []string{a.Domain}
	if hasIDN(a.Domain) {
		if letters, err := idna.Lookup.ToUnicode(a.Domain); err == nil {
			domains = append(domains, letters)
		}
	}

	for _, domain := range domains {
		for _, local := range []string{lower(a.Local), a.Local} {
			if text := local + "@" + domain; text != canonical && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}

	return all
}

// Hash returns the SHA-256 of an address in canonical form. That is all that is kept of
// a person who must not be mailed and wants to be forgotten.
func Hash(canonical string) [32]byte {
	var b [maxAddress + maxLocal]byte
	return sha256.Sum256(append(b[:0], canonical...))
}

// lower returns s in lower case and normal form C, which a string can lose when its
// case is changed.
func lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	return norm.NFC.String(strings.ToLower(s))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
