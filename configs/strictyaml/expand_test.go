package strictyaml_test

import (
	"testing"

	"broadside/configs/strictyaml"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	value := func(name string) (out, problem string) {
		if name == "NONE" {
			return "", "NONE is not set"
		}
		return "<" + name + "${A}>", ""
	}
	for _, tc := range []struct{ text, want, problem string }{
		{"", "", ""},
		{"plain $A {A}", "plain $A {A}", ""},
		{"${A}", "<A${A}>", ""},
		{"a${A_1}b${_b}c", "a<A_1${A}>b<_b${A}>c", ""},
		{"$${A}", "${A}", ""},
		{"${NONE}", "", "NONE is not set"},
		{"${A", "", "found ${ without a name and }, expected ${NAME}; write $${ for the two characters themselves"},
		{"${1}", "", "found ${ without a name and }, expected ${NAME}; write $${ for the two characters themselves"},
		{"${}", "", "found ${ without a name and }, expected ${NAME}; write $${ for the two characters themselves"},
	} {
		if got, problem := strictyaml.Expand(tc.text, value); got != tc.want || problem != tc.problem {
			t.Errorf("%q: got %q, %q; want %q, %q", tc.text, got, problem, tc.want, tc.problem)
		}
	}
	for text, want := range map[string]bool{"${A}": true, "${A_9}": true, "": false, "${A}b": false, "a${A}": false, "${A}${B}": false, "$A": false} {
		if got := strictyaml.IsVariable(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
