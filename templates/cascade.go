package templates

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
)

// A weight says which of two declarations wins (css-cascade-4, 6): the
// important one, then the one of a style attribute, the more specific, the
// later.
type weight struct {
	level       level
	specificity [3]int
	order       int
}

func (w weight) compare(v weight) int {
	return cmp.Or(
		cmp.Compare(w.level, v.level),
		slices.Compare(w.specificity[:], v.specificity[:]),
		cmp.Compare(w.order, v.order),
	)
}

// A level is the first thing that counts of a weight.
type level int

const (
	levelRule level = iota
	levelAttribute
	levelImportant
	levelImportantAttribute
)

func levelOf(d declaration, attribute bool) level {
	switch {
	case d.important && attribute:
		return levelImportantAttribute
	case d.important:
		return levelImportant
	case attribute:
		return levelAttribute
	}
	return levelRule
}

// attribute reports whether the author wrote it into a style attribute.
func (l level) attribute() bool { return l == levelAttribute || l == levelImportantAttribute }

// A weighted is a declaration with its weight; of a kept one, where it stands.
type weighted struct {
	declaration
	weight
	force bool // write !important: it must win against what was inlined
}

// A styled is an element of the page that declarations apply to.
type styled struct {
	node    *nethtml.Node
	inlined []*weighted
	kept    []*weighted // apply at times, from a style element
}

// A cascade collects what applies to each element of a page.
type cascade struct {
	ts       *tokens
	page     *pageIndex
	sheets   []*keptSheet
	elements []*styled // in the order of the page
	of       map[*nethtml.Node]*styled
	order    int

	dropUnmatched bool // of the sheet that is read
}

func newCascade(doc *nethtml.Node, ts *tokens) *cascade {
	c := &cascade{ts: ts, page: indexPage(doc, ts), of: map[*nethtml.Node]*styled{}}
	for _, n := range c.page.elements {
		s := &styled{node: n}
		c.elements = append(c.elements, s)
		c.of[n] = s
		for _, d := range ts.styleOf(n) {
			c.order++
			s.inlined = append(s.inlined, &weighted{declaration: d, weight: weight{level: levelOf(d, true), order: c.order}})
		}
	}
	return c
}

// settle decides which declarations need !important. A kept one does when it
// would have won against one that is now in a style attribute; an inlined one
// does when it wins against a kept one that has it.
func (c *cascade) settle() {
	least := c.leastForced()
	for _, s := range c.elements {
		for _, k := range s.kept {
			if w, ok := least[family(k.name())]; ok && k.weight.compare(w) >= 0 && !k.important {
				k.force = true
			}
		}
	}
	for _, s := range c.elements {
		for _, d := range s.inlined {
			d.force = s.holds(d)
		}
	}
}

// leastForced returns for each family of properties the least weight of a kept
// declaration that must be forced. All of more weight must be forced with it,
// to win against that one.
func (c *cascade) leastForced() map[string]weight {
	least := map[string]weight{}
	for _, s := range c.elements {
		for _, k := range s.kept {
			if k.important || !s.wins(k) {
				continue
			}
			f := family(k.name())
			if w, ok := least[f]; !ok || k.weight.compare(w) < 0 {
				least[f] = k.weight
			}
		}
	}
	return least
}

// wins reports whether a kept declaration is stronger than an inlined one.
func (s *styled) wins(k *weighted) bool {
	return slices.ContainsFunc(s.inlined, func(d *weighted) bool {
		return d.property != "" && overlap(d.name(), k.name()) && k.weight.compare(d.weight) > 0
	})
}

// holds reports whether an inlined declaration is stronger than all kept ones
// of its property, and one of those is important.
func (s *styled) holds(d *weighted) bool {
	found := false
	for _, k := range s.kept {
		if d.property == "" || !overlap(d.name(), k.name()) {
			continue
		}
		if k.weight.compare(d.weight) > 0 {
			return false
		}
		found = found || k.force || k.important
	}
	return found
}

// write puts the declarations into style attributes, and what is kept into its
// style elements.
func (c *cascade) write() {
	for _, s := range c.elements {
		s.write()
	}
	for _, sheet := range c.sheets {
		sheet.write()
	}
}

// write keeps an attribute to which no rule added anything.
func (s *styled) write() {
	changed := slices.ContainsFunc(s.inlined, func(d *weighted) bool { return !d.level.attribute() || d.force })
	if !changed {
		return
	}
	slices.SortStableFunc(s.inlined, func(a, b *weighted) int { return a.weight.compare(b.weight) })
	var list []declaration
	for i, d := range s.inlined {
		if s.replaced(i) {
			continue
		}
		one := d.declaration
		one.text = d.plain()
		if d.force || d.level == levelImportantAttribute {
			one.text = d.forced()
		}
		list = append(list, one)
	}
	setAttr(s.node, "style", joinDeclarations(list, func(d declaration) string { return d.text }))
}

// replaced reports whether a stronger rule sets the same property to a value
// that every mail program understands. All others stay as fallbacks, in order.
func (s *styled) replaced(i int) bool {
	d := s.inlined[i]
	if d.level.attribute() || d.property == "" {
		return false
	}
	return slices.ContainsFunc(s.inlined[i+1:], func(later *weighted) bool {
		if later.property != d.property {
			return false
		}
		sameRule := later.weight.compare(d.weight) == 0
		return !sameRule && simpleValue(later.value) || later.plain() == d.plain()
	})
}

// simpleWord finds what every mail program understands: lengths, percentages,
// hex colours, and the oldest keywords.
var simpleWord = regexp.MustCompile(`^(-?[0-9.]+(px|%|em|pt)?|#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})|auto|none|normal|bold|italic|solid|dotted|dashed|` +
	`underline|uppercase|left|right|center|top|middle|bottom|block|inline|collapse|hidden|visible|transparent|black|white|red|green|blue|gray|silver)$`)

// simpleValue reports whether a value is made of such words alone.
func simpleValue(value string) bool {
	words := strings.Fields(strings.ToLower(value))
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !simpleWord.MatchString(w) })
}
