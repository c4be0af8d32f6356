package web

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every language has every text, and each text names what it names in English.
func TestEveryLanguageHasEveryText(t *testing.T) {
	t.Parallel()
	if got, want := slices.Sorted(maps.Keys(textsOf)), slices.Sorted(slices.Values(spoken)); !slices.Equal(got, want) {
		t.Errorf("texts in %v, pages in %v", got, want)
	}

	english := reflect.ValueOf(textsOf[defaultLanguage])
	for language, of := range textsOf {
		v := reflect.ValueOf(of)
		for i := range v.NumField() {
			name, text := v.Type().Field(i).Name, v.Field(i).String()
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s lacks %s", language, name)
			}
			for _, mark := range []string{"{topic}", "{address}"} {
				if strings.Count(text, mark) != strings.Count(english.Field(i).String(), mark) {
					t.Errorf("%s: %s does not have %s as often as English has: %q", language, name, mark, text)
				}
			}
			if rest := fill(text, "", ""); strings.ContainsAny(rest, "{}") {
				t.Errorf("%s: %s has an unknown mark: %q", language, name, rest)
			}
		}
	}
}
