package reply

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type codeSpan struct{ lo, hi int }

// An enhSpan is an inclusive range of enhanced codes, in numeric order.
type enhSpan struct{ lo, hi [3]int }

// parseCode reads "421" or "4xx".
func parseCode(s string) (codeSpan, error) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '5' && s[1:] == "xx" {
		lo := int(s[0]-'0') * 100
		return codeSpan{lo, lo + 99}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return codeSpan{}, fmt.Errorf("code %q: expected a number such as 421, or 4xx", s)
	}
	return codeSpan{n, n}, nil
}

// parseEnhSpan reads "5.1.1", "5.7.*" or "5.7.606-5.7.649".
func parseEnhSpan(s string) (enhSpan, error) {
	lo, hi, isRange := strings.Cut(s, "-")
	if !isRange {
		hi = lo
	}
	if head, ok := strings.CutSuffix(s, ".*"); ok {
		lo = head + ".0"
		hi = head + ".999"
	}
	l, ok1 := parseEnh(lo)
	h, ok2 := parseEnh(hi)
	if !ok1 || !ok2 || slices.Compare(l[:], h[:]) > 0 {
		return enhSpan{}, fmt.Errorf("enhanced code %q: expected 5.1.1, 5.7.* or 5.7.606-5.7.649", s)
	}
	return enhSpan{l, h}, nil
}

func (s enhSpan) has(e [3]int) bool {
	return slices.Compare(s.lo[:], e[:]) <= 0 && slices.Compare(e[:], s.hi[:]) <= 0
}

// parseEnh reads the three numbers of an enhanced code.
func parseEnh(s string) (e [3]int, ok bool) {
	if n := enhancedLen(s); n == 0 || n != len(s) {
		return e, false
	}
	for i, part := range strings.SplitN(s, ".", 3) {
		e[i], _ = strconv.Atoi(part) // enhancedLen has seen the digits
	}
	return e, true
}
