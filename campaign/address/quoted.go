package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// parseQuoted reads an address whose local part is a quoted string (RFC 5321
// section 4.1.2), with the letters of RFC 6531. Quotes and backslashes that are
// not needed are dropped: "ann"@example.com is ann@example.com.
func parseQuoted(s string) (Address, error) {
	switch {
	case len(s) > maxInput:
		return Address{}, TooLong
	case !utf8.ValidString(s):
		return Address{}, NotUTF8
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return Address{}, Control
	}

	content, rest, ok := unquote(s)
	domain, found := strings.CutPrefix(rest, "@")
	switch {
	case ok && !found && strings.Contains(rest, "<"):
		return Address{}, DisplayName
	case !ok || !found:
		return Address{}, Quoted
	case strings.ContainsAny(domain, ",;"):
		return Address{}, Several
	}

	content = norm.NFC.String(content)
	if checkLocal(content) == "" {
		return join(content, domain)
	}

	if r := checkContent(content); r != "" {
		return Address{}, r
	}

	local := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(content) + `"`
	if len(local) > maxLocal {
		return Address{}, LocalTooLong
	}

	return join(local, domain)
}

// unquote returns what is between the first quote of s and the one that ends it,
// and what follows; ok is false when none ends it.
func unquote(s string) (content, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}

	return "", "", false
}

// checkContent checks what stands between the quotes of a local part. Blanks may,
// invisible characters may not: they make two addresses look the same.
func checkContent(s string) Reason {
	if s == "" {
		return NoLocal
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf && invisible(r) }) {
		return Invisible
	}
	return ""
}
