package templates

import (
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
)

// A keptSheet is what stays of a style element.
type keptSheet struct {
	element *nethtml.Node
	rules   []keptRule
}

// A keptRule is a statement that stays, as a whole or in part.
type keptRule struct {
	text      string // as it was written
	selectors []string
	items     []declaration
	weights   [][]*weighted // of the items, for each selector
	group     string        // what opens the block around inner
	inner     []keptRule
	changed   bool // some selectors were inlined
}

// read goes through a style element and inlines what it can.
func (c *cascade) read(element *nethtml.Node) {
	if element.FirstChild == nil {
		return
	}
	sheet := &keptSheet{element: element}
	c.dropUnmatched = attr(element, unmatchedAttr) == "drop"
	removeAttr(element, unmatchedAttr)
	sheet.rules = c.rules(c.ts.parseSheet(element.FirstChild.Data), !everyMedium(attr(element, "media")))
	c.sheets = append(c.sheets, sheet)
}

// unmatchedAttr with the value "drop" is set on the style element of a layout: its
// rules for elements that a letter does not have are left out.
const unmatchedAttr = "data-unmatched"

func everyMedium(media string) bool {
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "all", "screen":
		return true
	}
	return false
}

// rules returns what stays of some statements. In a block that is only for some
// readers, all of them stay.
func (c *cascade) rules(statements []statement, some bool) []keptRule {
	var kept []keptRule
	for _, s := range statements {
		switch {
		case s.group:
			kept = append(kept, keptRule{text: s.text, group: s.prelude, inner: c.rules(s.inner, true)})
		case !s.rule:
			kept = append(kept, keptRule{text: s.text})
		default:
			if k, ok := c.rule(s, some || s.conditional); ok {
				kept = append(kept, k)
			}
		}
	}

	return kept
}

// rule inlines what it can of one rule, and returns what stays of it.
func (c *cascade) rule(s statement, some bool) (kept keptRule, ok bool) {
	c.order++
	kept.text = s.text
	for _, selector := range s.selectors {
		m := c.page.find(selector)
		if c.dropUnmatched && m.nothing() {
			kept.changed = true
			continue
		}

		if some {
			m.keep = true
			m.sometimes = append(m.always, m.sometimes...)
			m.always = nil
		}

		for _, n := range m.always {
			c.of[n].inlined = append(c.of[n].inlined, known(c.weigh(s.items, m.specific))...)
		}
		if !m.keep {
			kept.changed = true
			continue
		}

		kept.selectors = append(kept.selectors, selector)
		kept.items = s.items
		kept.weights = append(kept.weights, c.keep(s.items, m))
	}

	return kept, len(kept.selectors) > 0
}

// keep notes at the elements that a selector matches what stays in the sheet.
func (c *cascade) keep(items []declaration, m match) []*weighted {
	weights := c.weigh(items, m.specific)
	if m.noForce {
		return weights
	}
	for _, n := range m.sometimes {
		c.of[n].kept = append(c.of[n].kept, known(weights)...)
	}
	return weights
}

// weigh returns a rule's declarations with their weight.
func (c *cascade) weigh(items []declaration, specific [3]int) []*weighted {
	list := make([]*weighted, len(items))
	for i, d := range items {
		list[i] = &weighted{declaration: d, weight: weight{level: d.levelIn(0), specificity: specific, order: c.order}}
	}
	return list
}

// known leaves out actions and everything else that sets no property.
func known(list []*weighted) []*weighted {
	return slices.DeleteFunc(slices.Clone(list), func(w *weighted) bool { return w.property == "" })
}

// write puts what is kept into the element, or removes the element when nothing is.
func (s *keptSheet) write() {
	text := joinRules(s.rules)
	if text == "" {
		s.element.Parent.RemoveChild(s.element)
		return
	}
	s.element.FirstChild.Data = "\n" + text
}

func joinRules(rules []keptRule) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// String writes the rule as it is from now on.
func (r keptRule) String() string {
	switch {
	case !r.edited():
		return r.text
	case r.group != "":
		return r.group + " {\n" + joinRules(r.inner) + "}"
	}

	list := slices.Clone(r.items)
	for i, d := range r.items {
		if r.forced(i) {
			list[i].text = d.forced()
		}
	}

	return strings.Join(r.selectors, ", ") + " { " + joinDeclarations(list) + " }"
}

// edited reports whether the rule is not as its author wrote it.
func (r keptRule) edited() bool {
	if r.changed || slices.ContainsFunc(r.inner, keptRule.edited) {
		return true
	}
	for i := range r.items {
		if r.forced(i) {
			return true
		}
	}
	return false
}

// forced reports whether an item must be important for one of the selectors.
func (r keptRule) forced(item int) bool {
	return slices.ContainsFunc(r.weights, func(w []*weighted) bool { return w[item].force })
}
