package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits in octets: RFC 5321 section 4.5.3.1 (a path is at most 256 with its
// angle brackets), RFC 1035 section 2.3.4.
const (
	maxLocal   = 64
	maxDomain  = 253
	maxLabel   = 63
	maxAddress = 254
	// maxInput bounds the work on what cannot become an address.
	maxInput = 1024
)

// A Reason is the error of Parse: a short phrase, the same for every address
// with that fault, without the address.
type Reason string

// Error returns the phrase.
func (r Reason) Error() string { return string(r) }

// The reasons for which Parse refuses an address.
const (
	Empty          Reason = "no address"
	TooLong        Reason = "address too long"
	NotUTF8        Reason = "not valid UTF-8"
	Control        Reason = "control character"
	DisplayName    Reason = "name and angle brackets instead of an address alone"
	Quoted         Reason = "quotes that do not enclose all that is before the @"
	Comment        Reason = "comment in parentheses"
	Several        Reason = "several addresses"
	NoAt           Reason = "no @"
	TwoAts         Reason = "more than one @"
	Blank          Reason = "blank in the address"
	NoLocal        Reason = "nothing before the @"
	LocalTooLong   Reason = "local part too long"
	LocalDot       Reason = "dot at an end of the local part"
	TwoDots        Reason = "two dots in a row"
	LocalCharacter Reason = "character not allowed before the @"
	Invisible      Reason = "invisible or broken character"
	NoDomain       Reason = "nothing after the @"
	Literal        Reason = "IP address instead of a domain"
	NoDot          Reason = "no dot in the domain"
	DomainTooLong  Reason = "domain too long"
	DomainDot      Reason = "dot at an end of the domain"
	LabelTooLong   Reason = "domain label too long"
	Hyphen         Reason = "hyphen at an end of a domain label"
	DomainChar     Reason = "character not allowed in the domain"
	BadIDN         Reason = "not a valid international domain"
)

// Parse reads one address alone, without a name or comment; blanks and hidden
// characters around it are left out. The error is a Reason.
func Parse(s string) (Address, error) {
	if s != "" && (s[0] <= ' ' || s[len(s)-1] <= ' ' || s[0] >= utf8.RuneSelf || s[len(s)-1] >= utf8.RuneSelf) {
		s = strings.TrimFunc(s, func(r rune) bool { return blank(r) || Hidden(r) })
	}
	if a, ok := parseASCII(s); ok {
		return a, nil
	}
	return parseAny(s)
}

// parseASCII reads the form that nearly every address has, without allocating unless
// the domain has capitals. parseAny judges what it does not accept.
func parseASCII(s string) (Address, bool) {
	at := strings.IndexByte(s, '@')
	if at < 1 || len(s) > maxAddress {
		return Address{}, false
	}

	local := s[:at]
	domain := s[at+1:]
	if !ascii(local) || checkLocal(local) != "" || hasIDN(domain) || checkDomain(domain) != "" {
		return Address{}, false
	}

	return Address{local, strings.ToLower(domain)}, true
}

func parseAny(s string) (Address, error) {
	if strings.HasPrefix(s, `"`) {
		return parseQuoted(s)
	}
	if r := checkWhole(s); r != "" {
		return Address{}, r
	}

	local, domain, _ := strings.Cut(s, "@")
	local = norm.NFC.String(local)
	if r := checkLocal(local); r != "" {
		return Address{}, r
	}

	return join(local, domain)
}

// join puts a local part that was checked before a domain that was not.
func join(local, domain string) (Address, error) {
	if len(lower(local)) > maxLocal {
		return Address{}, LocalTooLong
	}
	if domain == "" {
		return Address{}, NoDomain
	}
	if domain[0] == '[' {
		return Address{}, Literal
	}

	if hasIDN(domain) {
		d, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return Address{}, BadIDN
		}
		domain = d
	}

	domain = strings.ToLower(domain)
	if r := checkDomain(domain); r != "" {
		return Address{}, r
	}
	if len(lower(local))+1+len(domain) > maxAddress || len(local)+1+len(domain) > maxAddress {
		return Address{}, TooLong
	}

	return Address{local, domain}, nil
}

// checkWhole finds out why a text is more or less than one address.
func checkWhole(s string) Reason {
	switch {
	case s == "":
		return Empty
	case len(s) > maxInput:
		return TooLong
	case !utf8.ValidString(s):
		return NotUTF8
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return Control
	case strings.ContainsAny(s, "<>"):
		return DisplayName
	case strings.ContainsRune(s, '"'):
		return Quoted
	case strings.ContainsAny(s, "()"):
		return Comment
	case strings.ContainsAny(s, ",;"):
		return Several
	}

	ats := strings.Count(s, "@")
	blanks := strings.IndexFunc(s, blank) >= 0
	switch {
	case ats == 0:
		return NoAt
	case ats > 1 && blanks:
		return Several
	case ats > 1:
		return TwoAts
	case blanks:
		return Blank
	}

	return ""
}

// checkLocal checks a Dot-string of RFC 5321, with the letters of RFC 6531.
func checkLocal(s string) Reason {
	switch {
	case s == "":
		return NoLocal
	case len(s) > maxLocal:
		return LocalTooLong
	case s[0] == '.' || s[len(s)-1] == '.':
		return LocalDot
	}

	prev := rune(0)
	for _, r := range s {
		switch {
		case r == '.' && prev == '.':
			return TwoDots
		case r == '.':
		case r < utf8.RuneSelf && !atext(byte(r)):
			return LocalCharacter
		case r >= utf8.RuneSelf && invisible(r):
			return Invisible
		}
		prev = r
	}

	return ""
}

// invisible reports whether a character beyond ASCII is broken, blank or not seen
// (zero width, direction): it would make two addresses look the same.
func invisible(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) || blank(r) }

// checkDomain checks a Domain of RFC 5321 with at least two labels.
func checkDomain(s string) Reason {
	switch {
	case s == "":
		return NoDomain
	case len(s) > maxDomain:
		return DomainTooLong
	case s[0] == '.' || s[len(s)-1] == '.':
		return DomainDot
	}

	start, digits := 0, true // of the label that i is in
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !ldh(s[i]) {
				return DomainChar
			}
			digits = digits && '0' <= s[i] && s[i] <= '9'
			continue
		}

		switch {
		case i == start:
			return TwoDots
		case i-start > maxLabel:
			return LabelTooLong
		case s[start] == '-' || s[i-1] == '-':
			return Hyphen
		case i == len(s) && start == 0:
			return NoDot
		case i == len(s) && digits: // no top-level domain is a number: RFC 3696 section 2
			return Literal
		}

		start = i + 1
		digits = true
	}

	return ""
}

// hasIDN reports whether a domain has labels for IDNA to judge.
func hasIDN(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return true
		}
		if (c == 'x' || c == 'X') && len(s)-i >= 4 && (i == 0 || s[i-1] == '.') && strings.EqualFold(s[i:i+4], "xn--") {
			return true
		}
	}

	return false
}

// atext is the set of RFC 5322 section 3.2.3.
func atext(c byte) bool { return class[c]&1 != 0 }

// ldh is a letter, a digit or a hyphen.
func ldh(c byte) bool { return class[c]&2 != 0 }

var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			t[c] = 3
		case c < utf8.RuneSelf && strings.IndexByte("!#$%&'*+/=?^_`{|}~", byte(c)) >= 0:
			t[c] = 1
		}
	}
	return t
}()

// Hidden reports whether r cannot be seen in a text: zero-width characters, the soft
// hyphen, marks of direction, the byte order mark. They come along when text is copied
// from pages and spreadsheets.
func Hidden(r rune) bool { return r >= utf8.RuneSelf && unicode.Is(unicode.Cf, r) }

// blank is a space or tab of any width, but not a line end: in an address that is a
// control character, and refused.
func blank(r rune) bool {
	return r == ' ' || r == '\t' || r >= utf8.RuneSelf && unicode.Is(unicode.Zs, r)
}
