package suppression

import (
	"errors"
	"fmt"
	"strings"
)

// Addresses are packed at six bits for each token: a letter, a figure, or what many
// addresses end with. The order is stored: only ever append, up to 63 tokens.
var tokens = append(strings.Split("abcdefghijklmnopqrstuvwxyz0123456789.-_+@", ""),
	"@gmail.com", "@yahoo.com", "@hotmail.com", "@outlook.com", "@icloud.com", "@aol.com", "@live.com", "@msn.com", "@me.com", "@googlemail.com",
	"@gmx.de", "@web.de", "@t-online.de", "@hotmail.co.uk", "@yahoo.co.uk", "@orange.fr", "@mail.ru",
	".com", ".org", ".net", ".de", ".co.uk")

const (
	tokenBits = 6
	noToken   = 1<<tokenBits - 1 // fills the last byte
)

// singles has the number of the token of each character, longer those that begin with it.
var singles, longer = func() (singles [256]uint, longer [256][]uint) {
	for i := range singles {
		singles[i] = noToken
	}
	for n, token := range tokens {
		first := token[0]
		if len(token) == 1 {
			singles[first] = uint(n)
		} else {
			longer[first] = append(longer[first], uint(n))
		}
	}
	return singles, longer
}()

// tokenAt returns the longest token that a text begins with; noToken for none.
func tokenAt(text string) uint {
	best := singles[text[0]]
	size := 1
	for _, n := range longer[text[0]] {
		if token := tokens[n]; len(token) > size && strings.HasPrefix(text, token) {
			best = n
			size = len(token)
		}
	}
	return best
}

// pack returns an address in fewer bytes; false when it has a character that is in no
// token.
func pack(text string) (string, bool) {
	out := make([]byte, 0, len(text))
	var bits, n uint // n bits that are not written yet
	for text != "" {
		token := tokenAt(text)
		if token == noToken {
			return "", false
		}
		text = text[len(tokens[token]):]
		bits = bits<<tokenBits | token
		for n += tokenBits; n >= 8; n -= 8 {
			out = append(out, byte(bits>>(n-8)))
		}
	}
	if n > 0 {
		out = append(out, byte(bits<<(8-n)|(1<<(8-n)-1)))
	}
	return string(out), true
}

// unpack is the inverse of pack.
func unpack(packed string) (string, error) {
	var b strings.Builder
	var bits, n uint
	for _, c := range []byte(packed) {
		bits = bits<<8 | uint(c)
		for n += 8; n >= tokenBits; n -= tokenBits {
			token := int(bits >> (n - tokenBits) & noToken)
			if token < len(tokens) {
				b.WriteString(tokens[token])
			} else if token != noToken {
				return "", fmt.Errorf("found the token %d, expected one of %d", token, len(tokens))
			}
		}
	}
	text := b.String()
	if again, ok := pack(text); text == "" || !ok || again != packed {
		return "", errors.New("found bytes that are no packed address")
	}
	return text, nil
}
