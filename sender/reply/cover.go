package reply

import "slices"

// covers reports whether the first rule matches whatever the second one does, so
// that the second, behind it, never decides.
func (s *ruleSet) covers(first, second *rule) bool {
	if first.suppresses() && (!s.own() || !first.match.namesWords()) {
		return false // not where the text shows a sign of life
	}

	a, b := &first.match, &second.match
	return subset(a.stages, b.stages) &&
		s.coversEvents(a, b) &&
		(a.transport == "" || a.transport == b.transport) &&
		subset(a.origins, b.origins) &&
		within(a.codes, b.codes, func(outer, inner codeSpan) bool { return outer.lo <= inner.lo && inner.hi <= outer.hi }) &&
		within(a.enhanced, b.enhanced, func(outer, inner enhSpan) bool { return outer.has(inner.lo) && outer.has(inner.hi) }) &&
		subset(s.sources(a.text), s.sources(b.text)) &&
		subset(s.sources(a.says), s.sources(b.says)) &&
		(a.unless == nil || b.unless != nil && subset(s.sources(b.unless), s.sources(a.unless)))
}

// coversEvents reports whether a condition holds for all events, or none, for
// which the other does.
func (s *ruleSet) coversEvents(a, b *condition) bool {
	if a.events != nil {
		return b.events != nil && subset(a.events, b.events)
	}
	return b.events == nil || !s.own() && !a.onWire()
}

// sources returns the texts of expressions.
func (s *ruleSet) sources(set anyOf) []string {
	var all []string
	for _, n := range set {
		all = append(all, s.lexicon.exprs[n].String())
	}
	return all
}

// subset reports whether all of inner are in outer; nil stands for everything.
func subset[T comparable](outer, inner []T) bool {
	return within(outer, inner, func(a, b T) bool { return a == b })
}

// within is subset with a relation in place of equality.
func within[T any](outer, inner []T, has func(outer, inner T) bool) bool {
	if outer == nil {
		return true
	}
	if inner == nil {
		return false
	}
	return !slices.ContainsFunc(inner, func(b T) bool {
		return !slices.ContainsFunc(outer, func(a T) bool { return has(a, b) })
	})
}
