// Package replytext makes the replies of servers small. A server's replies to two
// messages differ in little more than an id:
//
//	2.0.0 Ok: queued as 4Bxyz3lzPQz1Rk
//
// So a text is taken apart into a pattern, of which a server has a few, and what
// differs, packed into at most 32 bytes. What has no room there is replaced by an
// ellipsis. Addresses are always left out; then, as far as room requires, host
// names, sizes and times, and other words from the last one on. The longest word is
// kept to the end, and shortened rather than left out.
package replytext

import (
	"math"
	"slices"
	"strings"
)

// omitted stands for what was left out.
const omitted = "…"

// maxBits is what a packed number holds: a little less, because the cost of its
// digits is a sum of logarithms.
const maxBits = maxPacked*8 - 0.001

// Pack returns the pattern of a text and what differs, packed together with a
// number n that is less than of.
func Pack(text string, n, of uint64) (pattern string, packed []byte) {
	all := pieces(printable(text))
	fit(all, maxBits-math.Log2(float64(of)))
	var b strings.Builder
	for _, p := range all {
		b.WriteString(p.pattern)
	}
	return b.String(), join(all, n, of)
}

// join makes one number of n and the digits of all pieces; what comes first is
// popped first.
func join(all []piece, n, of uint64) []byte {
	var sum number
	for _, p := range slices.Backward(all) {
		for _, d := range slices.Backward(p.digits) {
			sum.push(uint64(d.value), uint64(d.radix))
		}
	}
	sum.push(n, of)
	return sum.bytes()
}

// printable removes the control characters, which mark words in a pattern.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// fit leaves out what does not fit into so many bits.
func fit(all []piece, room float64) {
	used := 0.0
	for _, p := range all {
		used += p.bits
	}

	keep := mainID(all)
	for k := host; k <= id; k++ {
		for i := len(all) - 1; i >= 0 && used > room; i-- {
			if p := &all[i]; p.kind == k && i != keep {
				used -= p.bits
				p.packed = packed{pattern: omitted}
			}
		}
	}

	if used > room {
		all[keep].cut(room)
	}
}

// mainID returns the place of the longest id, or where there is none of the longest
// other word; -1 when nothing differs.
func mainID(all []piece) int {
	best := -1
	for i, p := range all {
		if p.kind <= address {
			continue
		}
		if best < 0 || p.kind > all[best].kind || p.kind == all[best].kind && len(p.word) > len(all[best].word) {
			best = i
		}
	}

	return best
}

// cut shortens a word to what fits.
func (p *piece) cut(room float64) {
	for n := min(len(p.word)-1, longest); n >= 0; n-- {
		p.packed = pack(p.word[:n])
		if p.bits <= room {
			break
		}
	}
	p.pattern += omitted
}

// Core returns a text with nothing but the word of it that is most likely the id
// of the message.
func Core(text string) string {
	all := pieces(printable(text))
	if k := mainID(all); k >= 0 {
		return omitted + " " + all[k].word + " " + omitted
	}
	return omitted
}

// Number returns the number that was packed with a text.
func Number(packed []byte, of uint64) (n uint64, ok bool) {
	num, ok := parseNumber(packed)
	if !ok || of == 0 {
		return 0, false
	}
	return num.pop(of), true
}

// Unpack is the inverse of Pack. It reports false for what Pack has not made.
func Unpack(pattern string, packed []byte, of uint64) (text string, n uint64, ok bool) {
	num, ok := parseNumber(packed)
	if !ok || of == 0 {
		return "", 0, false
	}

	n = num.pop(of)
	var b strings.Builder
	for at := 0; at < len(pattern); at++ {
		c := pattern[at]
		switch all := figuresOf(c); {
		case all != "":
			at++
			if at == len(pattern) || pattern[at] < ' ' {
				return "", 0, false
			}
			readFigures(&b, &num, all, int(pattern[at]-' '))
		case c > 0 && int(c) <= len(alphabets):
			word, ok := alphabets[c-1].read(&num)
			if !ok {
				return "", 0, false
			}
			b.WriteString(word)
		default:
			b.WriteByte(c)
		}
	}

	return b.String(), n, num == number{}
}

func readFigures(b *strings.Builder, num *number, all string, length int) {
	for range length {
		b.WriteByte(all[num.pop(uint64(len(all)))])
	}
}
