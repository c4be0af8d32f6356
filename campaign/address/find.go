package address

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Find returns the addresses in a text that people have written, each once: with names
// and angle brackets, in quotes, in links, among other words. It is for texts that say
// who must not be mailed, so one address too many is better than one too few: where a
// text can be read in two ways, both addresses are returned. Every address that Parse
// accepts is found if blanks or punctuation set it off, except one that stands for a
// whole domain (*@example.com).
func Find(text string) []Address {
	f := finder{seen: map[string]bool{}}
	f.search(text)
	if strings.ContainsFunc(text, Hidden) {
		for _, instead := range []rune{-1, ' '} {
			f.search(strings.Map(func(r rune) rune {
				if Hidden(r) {
					return instead
				}
				return r
			}, text))
		}
	}

	if plain := plainAt(text); plain != text {
		f.search(plain)
	}

	return f.found
}

// A finder collects the addresses of one text.
type finder struct {
	found []Address
	seen  map[string]bool // canonical
}

// search reads the text around each @.
func (f *finder) search(text string) {
	for at := 0; at < len(text); at++ {
		if text[at] != '@' {
			continue
		}
		domains := domains(text[at+1:])
		if len(domains) == 0 {
			continue
		}

		for _, local := range locals(text[:at]) {
			for _, domain := range domains {
				written := local + "@" + domain
				f.add(written)
				if lookalike, ok := latin(written); ok {
					f.add(lookalike)
				}
			}
		}
	}
}

func (f *finder) add(text string) {
	a, err := Parse(text)
	if err != nil || f.seen[a.Canonical()] || standsForDomain(text) {
		return
	}
	f.seen[a.Canonical()] = true
	f.found = append(f.found, a)
}

// domains returns the beginnings of text that can be a domain: everything that may stand
// in one, and what precedes a character that ends it for a human reader.
func domains(text string) []string {
	text = text[:min(len(text), maxInput)]
	end := strings.IndexFunc(text, func(r rune) bool {
		return r < utf8.RuneSelf && r != '.' && !ldh(byte(r)) || r == utf8.RuneError || separates(r)
	})
	if end >= 0 {
		text = text[:end]
	}

	var all []string
	for _, end := range []int{len(text), strings.IndexFunc(text, punctuation), strings.IndexFunc(text, beyondASCII)} {
		part := strings.TrimRight(text[:max(end, 0)], ".-")
		if part != "" && !slices.Contains(all, part) {
			all = append(all, part)
		}
	}

	return all
}

// locals returns the ends of text that can be a local part: everything that may stand in
// one, and what follows a character that people use to set addresses off, although it
// may stand in a local part too.
func locals(text string) []string {
	text = text[max(0, len(text)-maxInput):]
	start := strings.LastIndexFunc(text, func(r rune) bool {
		return r < utf8.RuneSelf && r != '.' && !atext(byte(r)) || r == utf8.RuneError || separates(r)
	})
	if start >= 0 {
		_, size := utf8.DecodeRuneInString(text[start:])
		text = text[start+size:]
	}

	all := []string{text}
	sets := []func(rune) bool{setsOff, punctuation, foreign}
	if _, ok := latin(text); ok {
		sets = sets[:2] // one name, with letters of another script
	}

	for _, sets := range sets {
		if i := strings.LastIndexFunc(text, sets); i >= 0 {
			_, size := utf8.DecodeRuneInString(text[i:])
			all = append(all, text[i+size:])
		}
	}

	for _, part := range all {
		if bare := strings.TrimLeft(part, ".'`*#!$%&^~?+{}|_-"); bare != part {
			all = append(all, bare)
		}
	}

	return all
}

// separates reports whether r can be in no address.
func separates(r rune) bool { return blank(r) || unicode.IsControl(r) || unicode.IsSpace(r) }

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }

// punctuation is a character beyond ASCII that is no letter, digit or mark: the
// colon and the quotes of other languages.
func punctuation(r rune) bool {
	return r >= utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// setsOff is an ASCII character of local parts that stands before addresses more
// often: in key=value, in a|b and in paths.
func setsOff(r rune) bool { return r == '=' || r == '|' || r == '/' || r == '\'' || r == '`' }

// foreign is a letter of a script that is written without blanks before an
// address, such as Chinese.
func foreign(r rune) bool {
	return r >= utf8.RuneSelf && !unicode.In(r, unicode.Latin, unicode.Mn, unicode.Mc)
}
