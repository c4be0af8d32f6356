package address

import (
	"regexp"
	"strings"
)

// atSigns are the ways in which people and links write an @.
var atSigns = regexp.MustCompile(`(?i)＠|%40|&#0*64;|&#x0*40;|&commat;| ?(?:\[ ?at ?\]|\( ?at ?\)|\{ ?at ?\}) ?`)

// plainAt returns the text with an @ wherever one is meant.
func plainAt(text string) string {
	if !strings.ContainsAny(text, "%&[({＠") {
		return text
	}
	return atSigns.ReplaceAllString(text, "@")
}

// standsForDomain reports whether an address means everyone in its domain. A list of
// addresses cannot express that, and must not take it for the address of one person.
func standsForDomain(text string) bool {
	local := text[:strings.LastIndexByte(text, '@')]
	return strings.Trim(local, "*%") == ""
}

// lookalikes are the letters of other scripts that look like Latin ones.
var lookalikes = strings.NewReplacer(
	"а", "a", "с", "c", "ԁ", "d", "е", "e", "һ", "h", "і", "i", "ј", "j", "к", "k", "ӏ", "l", "о", "o", "р", "p", "ԛ", "q", "ѕ", "s", "т", "t", "у", "y", "ѵ", "v", "ԝ", "w", "х", "x",
	"А", "A", "В", "B", "С", "C", "Е", "E", "Н", "H", "І", "I", "Ј", "J", "К", "K", "М", "M", "О", "O", "Р", "P", "Ѕ", "S", "Т", "T", "У", "Y", "Х", "X",
	"α", "a", "ε", "e", "ι", "i", "κ", "k", "ν", "v", "ο", "o", "ρ", "p", "τ", "t", "υ", "u", "χ", "x",
	"Α", "A", "Β", "B", "Ε", "E", "Ζ", "Z", "Η", "H", "Ι", "I", "Κ", "K", "Μ", "M", "Ν", "N", "Ο", "O", "Ρ", "P", "Τ", "T", "Υ", "Y", "Χ", "X",
)

// latin returns a text in ASCII that looks the same, or false if there is none or the
// text is already ASCII.
func latin(text string) (string, bool) {
	if ascii(text) {
		return text, false
	}
	plain := lookalikes.Replace(text)
	return plain, ascii(plain)
}
