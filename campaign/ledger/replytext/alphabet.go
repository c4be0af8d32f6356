package replytext

import (
	"math"
	"strings"
)

// longest is how many characters a packed word has at most: 32 bytes have no
// room for more figures.
const longest = 72

// A digit is a value below its radix.
type digit struct{ value, radix uint8 }

// An alphabet packs words of one kind: each character of usual is one digit,
// each of rare is two, and one digit ends the word.
type alphabet struct {
	marker      byte // stands in a pattern for a word of this kind
	usual, rare string

	digits  [256][]digit // of each character; nil: not in the alphabet
	bits    [256]float64 // that they take
	ending  digit
	endBits float64 // that the ending takes
}

const (
	figures = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var alphabets = []*alphabet{
	newAlphabet(1, figures, "-._+/~"),
	newAlphabet(2, figures+lower[:6]+"-", lower[6:]+"._+/~"),
	newAlphabet(3, figures+upper[:6]+"-", upper[6:]+"._+/~"),
	newAlphabet(4, figures+lower+upper+"-_", ".+/~"),
}

func newAlphabet(marker byte, usual, rare string) *alphabet {
	a := &alphabet{marker: marker, usual: usual, rare: rare}
	radix := uint8(len(usual) + 2)
	rareRadix := uint8(len(rare))
	a.ending = digit{radix - 1, radix}
	a.endBits = math.Log2(float64(radix))
	for i := range len(usual) {
		a.digits[usual[i]] = []digit{{uint8(i), radix}}
		a.bits[usual[i]] = a.endBits
	}

	for i := range len(rare) {
		a.digits[rare[i]] = []digit{{radix - 2, radix}, {uint8(i), rareRadix}}
		a.bits[rare[i]] = a.endBits + math.Log2(float64(rareRadix))
	}

	return a
}

// cost returns the bits that a word takes; false when it has other characters.
func (a *alphabet) cost(word string) (float64, bool) {
	sum := a.endBits
	for i := range len(word) {
		if a.digits[word[i]] == nil {
			return 0, false
		}
		sum += a.bits[word[i]]
	}
	return sum, true
}

// write returns the digits of a word.
func (a *alphabet) write(word string) []digit {
	out := make([]digit, 0, 2*len(word)+1)
	for i := range len(word) {
		out = append(out, a.digits[word[i]]...)
	}
	return append(out, a.ending)
}

// read takes a word off a number; false when it is none.
func (a *alphabet) read(n *number) (string, bool) {
	var word []byte
	for range longest + 1 {
		switch at := uint8(n.pop(uint64(a.ending.radix))); at {
		case a.ending.value:
			return string(word), true
		case a.ending.value - 1:
			word = append(word, a.rare[n.pop(uint64(len(a.rare)))])
		default:
			word = append(word, a.usual[at])
		}
	}

	return "", false
}

// A packed word is what stands for it in the pattern, its digits and the bits
// that they take.
type packed struct {
	pattern string
	digits  []digit
	bits    float64
}

// pack returns the shortest way to write a word.
func pack(word string) packed {
	var best *alphabet
	var bits float64
	for _, a := range alphabets {
		if c, ok := a.cost(word); ok && (best == nil || c < bits) {
			best = a
			bits = c
		}
	}
	return packed{string(best.marker), best.write(word), bits}
}

// Numbers whose length is the same every time need no end: the byte after their
// marker is a space plus the length. They are times and serial numbers of ten
// decimal figures or more, and hexadecimal ones of 128 bits or more (a UUID, and
// what is made with one).
const (
	decimal  = 5
	hexLower = 6
	hexUpper = 7
)

// figuresOf returns the figures of a number of fixed length; empty when marker is
// not one of those.
func figuresOf(marker byte) string {
	switch marker {
	case decimal:
		return figures
	case hexLower:
		return figures + lower[:6]
	case hexUpper:
		return figures + upper[:6]
	}
	return ""
}

const (
	minDecimal = 10 // figures
	minHex     = 32
	maxFigures = 60
)

// packNumber writes a number of fixed length; false for any other word.
func packNumber(word string) (packed, bool) {
	if len(word) >= minDecimal && len(word) < minHex && strings.Trim(word, figures) == "" {
		return packFigures(word, decimal)
	}
	if len(word) < minHex {
		return packed{}, false
	}

	p, ok := packFigures(word, hexLower)
	if !ok {
		p, ok = packFigures(word, hexUpper)
	}

	return p, ok && len(p.digits) >= minHex
}

// packFigures writes a word of figures; the dashes between them go into the
// pattern.
func packFigures(word string, marker byte) (packed, bool) {
	all := figuresOf(marker)
	var b strings.Builder
	digits := make([]digit, 0, len(word))
	for k, piece := range strings.Split(word, "-") {
		if k > 0 {
			b.WriteByte('-')
		}
		if piece == "" {
			continue
		}
		for i := range len(piece) {
			at := strings.IndexByte(all, piece[i])
			if at < 0 || len(digits) == maxFigures {
				return packed{}, false
			}
			digits = append(digits, digit{uint8(at), uint8(len(all))})
		}

		b.WriteByte(marker)
		b.WriteByte(' ' + byte(len(piece)))
	}

	return packed{b.String(), digits, float64(len(digits)) * math.Log2(float64(len(all)))}, true
}
