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

// A level is the first thing that counts of a weight: a sum of the two below.
type level int

const (
	levelAttribute level = 1 // the author wrote it into a style attribute
	levelImportant level = 2
)

func (d declaration) levelIn(place level) level {
	if d.important {
		place += levelImportant
	}
	return place
}

// attribute reports whether the author wrote it into a style attribute.
func (l level) attribute() bool { return l&levelAttribute != 0 }

// A weighted is a declaration with its weight.
type weighted struct {
	declaration
	weight
	force bool // write !important, so that it wins against what was inlined
}

// A styled is an element of the page that declarations apply to.
type styled struct {
	node    *nethtml.Node
	inlined []*weighted
	kept    []*weighted // in a style element: they apply sometimes
}

// A cascade collects what applies to each element of a page.
type cascade struct {
	ts       *tokens
	page     *pageIndex
	sheets   []*keptSheet
	elements []*styled // in the order of the page
	of       map[*nethtml.Node]*styled
	order    int

	dropUnmatched bool // in the style element that is being read
}

func newCascade(doc *nethtml.Node, ts *tokens) *cascade {
	c := &cascade{ts: ts, page: indexPage(doc, ts), of: map[*nethtml.Node]*styled{}}
	for _, n := range c.page.elements {
		s := &styled{node: n}
		c.elements = append(c.elements, s)
		c.of[n] = s
		for _, d := range ts.styleOf(n) {
			c.order++
			s.inlined = append(s.inlined, &weighted{declaration: d, weight: weight{level: d.levelIn(levelAttribute), order: c.order}})
		}
	}

	return c
}

// forceWinners decides which declarations need !important. A kept one does when it
// would have won against one that is now in a style attribute; an inlined one
// does when it wins against a kept one that has it.
func (c *cascade) forceWinners() {
	least := c.leastForced()
	for _, s := range c.elements {
		for _, k := range s.kept {
			w, ok := least[family(k.name())]
			k.force = k.force || ok && k.compare(w) >= 0 && k.level < levelImportant
		}
	}

	for _, s := range c.elements {
		s.forceAgainstKept()
	}
}

// leastForced returns for each family of properties the least weight of a kept
// declaration that must be forced. All those of greater weight must be forced too,
// to win against that one.
func (c *cascade) leastForced() map[string]weight {
	least := map[string]weight{}
	for _, s := range c.elements {
		if len(s.kept) == 0 {
			continue
		}
		inlined := newOverlaps(s.inlined)
		for _, k := range s.kept {
			rivals := inlined.of(k.name())
			if k.level >= levelImportant || !rivals.any || k.compare(rivals.least) <= 0 {
				continue
			}
			f := family(k.name())
			if w, ok := least[f]; !ok || k.compare(w) < 0 {
				least[f] = k.weight
			}
		}
	}

	return least
}

// forceAgainstKept makes an inlined declaration important when it is stronger than
// all kept ones of its property and one of those is important.
func (s *styled) forceAgainstKept() {
	if len(s.kept) == 0 {
		return
	}

	kept := newOverlaps(s.kept)
	important := newOverlaps(slices.DeleteFunc(slices.Clone(s.kept), func(k *weighted) bool { return !k.force && k.level < levelImportant }))
	for _, d := range s.inlined {
		rivals := important.of(d.name())
		if !rivals.any || d.compare(rivals.least) < 0 {
			continue
		}
		d.force = d.compare(kept.of(d.name()).most) >= 0
	}
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

// write leaves an attribute alone to which no rule added anything.
func (s *styled) write() {
	changed := slices.ContainsFunc(s.inlined, func(d *weighted) bool { return !d.level.attribute() || d.force })
	if !changed {
		return
	}

	slices.SortStableFunc(s.inlined, func(a, b *weighted) int { return a.compare(b.weight) })
	var list []declaration
	for _, d := range withoutReplaced(s.inlined) {
		one := d.declaration
		one.text = d.plain()
		if d.force || d.level == levelImportant+levelAttribute {
			one.text = d.forced()
		}
		list = append(list, one)
	}

	setAttr(s.node, "style", joinDeclarations(list))
}

// withoutReplaced leaves out a declaration when a stronger rule sets the same
// property to a value that every mail program understands, and when the same
// declaration follows later. All others stay as fallbacks, in order.
func withoutReplaced(list []*weighted) []*weighted {
	simple := map[string]weight{} // by property: the strongest one that all programs understand
	written := map[string]bool{}
	var kept []*weighted
	for _, d := range slices.Backward(list) {
		strongest, ok := simple[d.property]
		replaced := ok && strongest.compare(d.weight) > 0 || written[d.plain()]
		if replaced && !d.level.attribute() && d.property != "" {
			continue
		}
		if !ok && simpleValue(d.value) {
			simple[d.property] = d.weight
		}
		written[d.plain()] = true
		kept = append(kept, d)
	}

	slices.Reverse(kept)
	return kept
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
