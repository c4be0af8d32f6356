package templates

import "strings"

// A reach finds, among the declarations of an element, those that set some of
// what another one does: border-top-color sets some of border-top and border.
type reach struct {
	same  map[string]span // by property
	parts map[string]span // by shorthand: those of its parts
}

// A span is the least and the most weight of some declarations.
type span struct{ least, most weight }

func (s span) with(other span) span {
	if other.least.compare(s.least) < 0 {
		s.least = other.least
	}
	if other.most.compare(s.most) > 0 {
		s.most = other.most
	}
	return s
}

func newReach(list []*weighted) *reach {
	r := &reach{same: map[string]span{}, parts: map[string]span{}}
	for _, w := range list {
		if w.property == "" {
			continue
		}
		one := span{w.weight, w.weight}
		path := shorthands(w.name())
		widen(r.same, path[0], one)
		for _, shorthand := range path[1:] {
			widen(r.parts, shorthand, one)
		}
	}
	return r
}

func widen(m map[string]span, key string, s span) {
	if known, ok := m[key]; ok {
		s = known.with(s)
	}
	m[key] = s
}

// of returns the span of all that overlap with a property.
func (r *reach) of(name string) (all span, ok bool) {
	take := func(s span, found bool) {
		switch {
		case found && ok:
			all = all.with(s)
		case found:
			all, ok = s, true
		}
	}
	path := shorthands(name)
	part, found := r.parts[path[0]]
	take(part, found)
	for _, shorthand := range path {
		s, found := r.same[shorthand]
		take(s, found)
	}
	return all, ok
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

// family is what a property has in common with all that overlap with it.
func family(name string) string {
	path := shorthands(name)
	return path[len(path)-1]
}
