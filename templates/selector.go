package templates

import (
	"regexp"
	"strings"

	"github.com/andybalholm/cascadia"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// statePattern finds what depends on what the reader is doing, which no style
// attribute can express; visitedPattern, what depends on what they did before.
var (
	statePattern   = regexp.MustCompile(`(?i):(hover|active|focus(-within|-visible)?|target|checked)\b`)
	visitedPattern = regexp.MustCompile(`(?i):visited\b`)
	// rootPattern finds what belongs to the page as a whole. Mail programs read it
	// from the style element: color-scheme and variables.
	rootPattern = regexp.MustCompile(`(?i):root\b`)
)

// A pageIndex finds the elements that a selector matches.
type pageIndex struct {
	doc      *nethtml.Node
	elements []*nethtml.Node
	// names are the class and id attributes with actions in them: the element has
	// different names for different recipients.
	names []changingName
	// anyName: a merge field is part of such a name, which can therefore be anything.
	anyName bool
}

// A changingName is a class or id attribute with actions in it.
type changingName struct {
	attribute      *nethtml.Attribute
	written, fixed string // with the actions; without them
}

// indexPage lists the elements that styles can be given to.
func indexPage(doc *nethtml.Node, ts *tokens) *pageIndex {
	p := &pageIndex{doc: doc}
	for n := range doc.Descendants() {
		if n.Type != nethtml.ElementNode || inHead(n) {
			continue
		}
		p.elements = append(p.elements, n)
		for i := range n.Attr {
			p.addName(&n.Attr[i], ts)
		}
	}

	return p
}

func (p *pageIndex) addName(a *nethtml.Attribute, ts *tokens) {
	if a.Key != "class" && a.Key != "id" || !ts.match.MatchString(a.Val) {
		return
	}
	fixed := ts.match.ReplaceAllStringFunc(a.Val, func(word string) string {
		t := ts.get(word)
		p.anyName = p.anyName || t != nil && !t.control
		return " "
	})
	p.names = append(p.names, changingName{a, a.Val, strings.TrimSpace(fixed)})
}

func inHead(n *nethtml.Node) bool {
	return n.DataAtom == atom.Head || n.Parent != nil && n.Parent.DataAtom == atom.Head || n.DataAtom == atom.Style || n.DataAtom == atom.Script
}

// A match is what a selector matches on the page.
type match struct {
	always    []*nethtml.Node // for every recipient
	sometimes []*nethtml.Node // depending on an if, or on what the reader does
	specific  [3]int
	keep      bool // the selector stays in the style element
	noForce   bool // and never wins against what is inlined
	unknown   bool // what it matches cannot be known
}

// nothing reports whether a selector that can be inlined matches no element.
func (m match) nothing() bool { return !m.unknown && len(m.always) == 0 && len(m.sometimes) == 0 }

// find matches one selector of a rule.
func (p *pageIndex) find(selector string) match {
	bare := statePattern.ReplaceAllString(selector, "")
	state := bare != selector
	visited := visitedPattern.MatchString(bare)
	bare = visitedPattern.ReplaceAllString(bare, "")
	if state || visited {
		bare = completeSelector(bare)
	}

	parsed, err := cascadia.Parse(bare)
	if err != nil || rootPattern.MatchString(bare) {
		return match{keep: true, unknown: true} // ::before, or something newer than this program
	}

	always, sometimes := p.query(parsed)
	m := match{always: always, sometimes: sometimes, specific: parsed.Specificity()}
	m.keep = len(always) == 0 || len(sometimes) > 0 || p.anyName && strings.ContainsAny(selector, ".#[")
	if state || visited {
		m.specific[1] += len(statePattern.FindAllString(selector, -1))
		m.always = nil
		m.sometimes = append(always, sometimes...)
		m.keep = true
		m.noForce = visited
	}

	return m
}

// completeSelector writes * where a state stood alone, as in "td > :hover".
func completeSelector(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ">") || strings.HasSuffix(s, "+") || strings.HasSuffix(s, "~") {
		return s + "*"
	}
	return s
}

// query matches the page as it is written, and with the names that an if may
// give.
func (p *pageIndex) query(sel cascadia.Sel) (always, sometimes []*nethtml.Node) {
	written := p.matching(sel)
	if len(p.names) == 0 {
		return written, nil
	}

	for _, n := range p.names {
		n.attribute.Val = n.fixed
	}

	fixed := p.matching(sel)
	for _, n := range p.names {
		n.attribute.Val = n.written
	}

	seen := map[*nethtml.Node]bool{}
	for _, n := range written {
		seen[n] = true
	}

	for _, n := range fixed {
		if seen[n] {
			always = append(always, n)
		} else {
			sometimes = append(sometimes, n)
		}
	}

	return always, sometimes
}

func (p *pageIndex) matching(sel cascadia.Sel) []*nethtml.Node {
	var list []*nethtml.Node
	for _, n := range p.elements {
		if sel.Match(n) {
			list = append(list, n)
		}
	}
	return list
}
