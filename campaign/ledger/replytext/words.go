package replytext

import "strings"

// Kinds of a piece of a reply, in the order in which they are given up when
// there is no room for all.
type kind int

const (
	fixed   kind = iota // the same in many replies
	address             // never kept: it is long, and known from elsewhere
	host
	figure // a size, a duration, a time; short hexadecimal words
	id
)

// A piece of a reply is a word that differs from one reply to the next, or the text
// between two such words.
type piece struct {
	kind kind
	word string
	packed
}

// inWord tells which characters make a word.
var inWord = func() (in [256]bool) {
	for _, c := range []byte(figures + lower + upper + "-._+/~@") {
		in[c] = true
	}
	return in
}()

// pieces takes a text apart.
func pieces(text string) []piece {
	var out []piece
	start := 0 // of what is fixed
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && inWord[text[end]] {
			end++
		}
		word := strings.TrimRight(text[at:end], ".")
		if k := kindOf(word, text[:at]); k != fixed {
			if start < at {
				out = append(out, literal(text[start:at]))
			}
			out = append(out, variable(k, word))
			start = at + len(word)
		}

		at = max(end, at+1)
	}

	if start < len(text) {
		out = append(out, literal(text[start:]))
	}

	return out
}

func literal(text string) piece { return piece{packed: packed{pattern: text}} }

func variable(k kind, word string) piece {
	p := piece{kind: k, word: word}
	if k == address {
		p.pattern = omitted
		return p
	}

	var ok bool
	if p.packed, ok = packNumber(word); !ok {
		p.packed = pack(word)
	}

	return p
}

// kindOf returns the kind of a word that follows a text.
func kindOf(word, before string) kind {
	switch {
	case word == "" || isStatus(word):
		return fixed
	case strings.Contains(word, "@"):
		return address
	case isHost(word):
		return host.orFixed(strings.ContainsAny(word, figures))
	case named(before):
		return id
	case random(word):
		return id
	case strings.ContainsAny(word, figures):
		if len(word) <= len("1732400000") && strings.Trim(word, figures+".") == "" {
			return figure
		}
		return id
	}

	// Few words of a language are hexadecimal numbers.
	return figure.orFixed(strings.Trim(word, lower[:6]) == "" || strings.Trim(word, upper[:6]) == "")
}

func (k kind) orFixed(is bool) kind {
	if is {
		return k
	}
	return fixed
}

// named tells whether an id follows, whatever it looks like: "queued as a".
func named(before string) bool {
	for _, name := range []string{" as ", "id=", "id ", "id: "} {
		if at := len(before) - len(name); at >= 0 && strings.EqualFold(before[at:], name) {
			return true
		}
	}
	return false
}

// random reports whether a word without a digit belongs to no language: ids often
// have no vowels, and longer ones mix upper and lower case.
func random(word string) bool {
	const short, long = 8, 16
	switch {
	case len(word) < short:
		return false
	case !strings.ContainsAny(word, "aeiouAEIOU"):
		return true
	case strings.Trim(word, lower[:6]) == "", strings.Trim(word, upper[:6]) == "":
		return true // hexadecimal
	}

	return len(word) >= long && changes(word) >= 4
}

// changes counts how often a word goes from small to capital letters and back.
func changes(word string) (n int) {
	for i := 1; i < len(word); i++ {
		if isUpper(word[i]) != isUpper(word[i-1]) {
			n++
		}
	}
	return n
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// isHost tells whether a word ends like the name of a host: with letters after
// a dot.
func isHost(word string) bool {
	dot := strings.LastIndexByte(word, '.')
	last := word[dot+1:]
	return dot > 0 && len(last) > 1 && strings.Trim(last, lower+upper) == ""
}

// isStatus tells whether a word is an enhanced status code (RFC 3463).
func isStatus(word string) bool {
	numbers := strings.Split(word, ".")
	if len(numbers) != 3 || len(numbers[0]) != 1 {
		return false
	}

	for _, n := range numbers {
		if n == "" || len(n) > 3 || strings.Trim(n, figures) != "" {
			return false
		}
	}

	return true
}
