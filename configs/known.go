package configs

import (
	"maps"
	"slices"
	"strings"

	"broadside/configs/strictyaml"
)

// Known lists the names that are configured, and the one of them that was most probably
// meant by word.
func Known[T any](word string, configured map[string]T) string {
	names := slices.Sorted(maps.Keys(configured))
	if len(names) == 0 {
		return "none is configured"
	}
	text := "configured are " + strings.Join(names, ", ")
	if meant := strictyaml.Suggest(word, names); meant != "" {
		text += "; did you mean " + meant + "?"
	}
	return text
}
