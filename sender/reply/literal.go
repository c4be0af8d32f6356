package reply

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Most expressions cannot match most replies, and a look at the words of a
// reply shows which. For each expression there is a set of literals, one of
// which every text that it matches contains; the expressions without a literal
// in the text are not tried. (Google's codesearch does the same with trigrams.)

const (
	minLiteral  = 3  // bytes; a shorter one is in too many texts
	maxLiterals = 64 // of one expression
)

// literals returns, folded, strings of which each match of the
// expression contains one; nil when there are no such.
func literals(re *syntax.Regexp) []string {
	if all, ok := spellings(re); ok {
		return useful(all)
	}
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return literals(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literals(re.Sub[0])
		}
	case syntax.OpAlternate:
		return ofEach(re.Sub)
	case syntax.OpConcat:
		return bestOf(re.Sub)
	}
	return nil
}

// ofEach returns the literals of all alternatives; nil when one has none.
func ofEach(alternatives []*syntax.Regexp) []string {
	var all []string
	for _, sub := range alternatives {
		some := literals(sub)
		if some == nil {
			return nil
		}
		all = append(all, some...)
	}
	return useful(all)
}

// bestOf returns the literals of the part of a sequence that tells most.
// Neighbours that can be spelt out are taken together.
func bestOf(parts []*syntax.Regexp) []string {
	var best []string
	consider := func(some []string) {
		if some != nil && (best == nil || shortest(some) > shortest(best)) {
			best = some
		}
	}
	run := []string{""}
	for _, part := range parts {
		all, ok := spellings(part)
		joined := product(run, all)
		switch {
		case ok && len(joined) <= maxLiterals:
			run = joined
		case ok:
			consider(useful(run))
			run = all
		default:
			consider(useful(run))
			run = []string{""}
			consider(literals(part))
		}
	}
	consider(useful(run))
	return best
}

// spellings returns all strings that the expression matches, folded, when
// they are few.
func spellings(re *syntax.Regexp) (all []string, ok bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{fold(string(re.Rune))}, true
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}, true
	case syntax.OpCharClass:
		return ofClass(re.Rune)
	case syntax.OpCapture:
		return spellings(re.Sub[0])
	case syntax.OpQuest:
		all, ok = spellings(re.Sub[0])
		return append([]string{""}, all...), ok
	case syntax.OpAlternate:
		return spellEach(re.Sub)
	case syntax.OpConcat:
		return spellRow(re.Sub)
	}
	return nil, false
}

func spellEach(subs []*syntax.Regexp) (all []string, ok bool) {
	for _, sub := range subs {
		some, ok := spellings(sub)
		if !ok || len(all)+len(some) > maxLiterals {
			return nil, false
		}
		all = append(all, some...)
	}
	return all, true
}

func spellRow(subs []*syntax.Regexp) (all []string, ok bool) {
	all = []string{""}
	for _, sub := range subs {
		some, ok := spellings(sub)
		if !ok || len(all)*len(some) > maxLiterals {
			return nil, false
		}
		all = product(all, some)
	}
	return all, true
}

// ofClass returns the letters of a small class, given as pairs of a range.
func ofClass(ranges []rune) (all []string, ok bool) {
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1]-ranges[i] > 8 || len(all) > 16 {
			return nil, false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			all = append(all, fold(string(r)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), true
}

func product(heads, tails []string) []string {
	all := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			all = append(all, head+tail)
		}
	}
	return all
}

// useful returns the literals without doubles; nil when one is too short.
func useful(some []string) []string {
	if len(some) == 0 || shortest(some) < minLiteral {
		return nil
	}
	slices.Sort(some)
	return slices.Compact(some)
}

func shortest(some []string) int {
	n := len(some[0])
	for _, s := range some {
		n = min(n, len(s))
	}
	return n
}

// fold puts one letter in place of all that an expression which ignores case
// takes for the same, as it does itself: k, K and the Kelvin sign.
func fold(text string) string { return strings.Map(foldRune, text) }

func foldRune(r rune) rune {
	if r <= unicode.MaxASCII {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}
