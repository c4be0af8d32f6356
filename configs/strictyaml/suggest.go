package strictyaml

import "strings"

// Suggest returns the one of known that the user most probably meant by word,
// or "" when nothing is near: at most two letters added, left out, replaced or
// swapped, and less than half of the word.
func Suggest(word string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance && 2*d < max(len(word), len(k)) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the edits between a and b (Damerau-Levenshtein, no letter
// edited twice). Words whose lengths differ by more than two are far apart.
func distance(a, b string) int {
	const far = 99
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 || len(a) > 200 {
		return far
	}

	var before []int // the row before the previous one
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}

	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitute := previous[j-1]
			if a[i-1] != b[j-1] {
				substitute++
			}
			row[j] = min(previous[j]+1, row[j-1]+1, substitute)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous = previous, row
	}

	return previous[len(b)]
}
