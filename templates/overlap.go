package templates

import "strings"

// The overlaps of an element's declarations find those that set part of what another
// one sets: border-top-color sets part of border-top and border.
type overlaps struct {
	same  map[string]span // by property
	parts map[string]span // by shorthand: those of its parts
}

// A span is the least and the greatest weight of some declarations.
type span struct {
	least, most weight
	any         bool // there is at least one
}

func (s span) with(other span) span {
	if !s.any {
		return other
	}
	if !other.any {
		return s
	}
	if other.least.compare(s.least) < 0 {
		s.least = other.least
	}
	if other.most.compare(s.most) > 0 {
		s.most = other.most
	}

	return s
}

func newOverlaps(list []*weighted) *overlaps {
	r := &overlaps{same: map[string]span{}, parts: map[string]span{}}
	for _, w := range list {
		if w.property == "" {
			continue
		}
		one := span{w.weight, w.weight, true}
		path := shorthands(w.name())
		r.same[path[0]] = r.same[path[0]].with(one)
		for _, shorthand := range path[1:] {
			r.parts[shorthand] = r.parts[shorthand].with(one)
		}
	}

	return r
}

// of returns the span of all declarations that overlap with a property.
func (r *overlaps) of(name string) span {
	path := shorthands(name)
	all := r.parts[path[0]]
	for _, shorthand := range path {
		all = all.with(r.same[shorthand])
	}
	return all
}

// maxShorthands is how many shorthands of one property are looked at; CSS has
// no more.
const maxShorthands = 4

// shorthands returns a property and the shorthands that it is a part of, from
// the longest to the shortest.
func shorthands(name string) []string {
	switch {
	case name == "line-height":
		return []string{name, "font"}
	case strings.HasPrefix(name, "border-"):
		return []string{"border"} // border-color and border-top overlap too
	}

	path := []string{name}
	for len(path) <= maxShorthands {
		i := strings.LastIndexByte(name, '-')
		if i <= 0 {
			break
		}
		name = name[:i]
		path = append(path, name)
	}

	return path
}

// family is what a property has in common with all properties that overlap with it.
func family(name string) string {
	path := shorthands(name)
	return path[len(path)-1]
}
