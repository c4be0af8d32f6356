package strictyaml

import (
	"fmt"
	"slices"
	"strings"
)

// A Map reads the keys of one mapping. Its methods set *dst when the key is
// given and right, leave it alone when the key is absent or empty, and otherwise
// report a problem; so a default is what dst held before.
type Map struct {
	doc   *Doc
	n     *Node // nil: the mapping is absent
	key   string
	shape string   // key with NAME for names that are free, for did-you-mean
	known []string // keys asked for
	later []string // keys of features that are not built yet
	used  map[string]bool
}

// Key returns the dotted key of name in this mapping.
func (m *Map) Key(name string) string { return Join(m.key, name) }

// Has reports whether the key is given and not empty.
func (m *Map) Has(name string) bool {
	n := m.n.Get(name)
	return n != nil && !n.empty()
}

// Problem adds a problem with the value of a key; where the key is absent, it
// points at the mapping.
func (m *Map) Problem(name, format string, args ...any) {
	m.doc.Problem(m.Key(name), format, args...)
}

// Require adds a problem when the key is absent. example shows a good value.
func (m *Map) Require(name, example string) {
	if n := m.n.Get(name); n != nil && n.Kind == Null && n.after != "" && !isNote(n.after) {
		return // a comment has eaten the value, which its reader says
	}
	if !m.Has(name) {
		m.Problem(name, "missing, expected %s", example)
	}
}

// Check reads text for which ok is true. expected completes the sentence
// "found ..., expected ...".
func (m *Map) Check(name string, dst *string, expected string, ok func(text string) bool) {
	m.scalar(name, expected, func(text string) bool {
		if !ok(text) {
			return false
		}
		*dst = text
		return true
	})
}

// Line reads text without line breaks and other control characters.
func (m *Map) Line(name string, dst *string) {
	m.Check(name, dst, "one line of text", func(text string) bool { return !hasControl(text) })
}

// Choice reads one of a few words.
func (m *Map) Choice(name string, dst *string, options ...string) {
	n := m.take(name)
	if n == nil || n.empty() {
		return
	}

	if n.Kind == Scalar && slices.Contains(options, n.Text) {
		*dst = n.Text
		return
	}

	hint := ""
	if s := Suggest(n.Text, options); s != "" {
		hint = fmt.Sprintf(": did you mean %s?", s)
	}

	m.report(n, name, "found %s, expected %s%s", n.Found(), oneOf(options), hint)
}

// Secret hands a value that is never shown to read, which reports whether it is
// right. expected completes "found ..., expected ...".
func (m *Map) Secret(name, expected string, read func(text string) bool) {
	m.n.Get(name).hide()
	m.lostSecret(m.Key(name), m.n.Get(name))
	m.scalar(name, expected, read)
}

// Secrets hands each of a list of values that are never shown to read, which
// returns what is wrong with it, "" when nothing is.
func (m *Map) Secrets(name string, read func(text string) (problem string)) {
	m.n.Get(name).hide()
	m.list(name, "a list of secrets", func(n *Node) (string, bool) {
		if m.lostSecret(m.Key(name), n) {
			return "", true
		}
		if n.Kind != Scalar {
			return "a secret", false
		}
		if p := read(n.Text); p != "" {
			m.doc.Add(n.At.Problem(m.Key(name), "%s", p))
		}
		return "", true
	})
}

// SecretsOrMaps reads one value or a list of them. Each is a text that is never shown or
// a mapping of known keys: text and keys are called with each, and text returns what is
// wrong with it, "" when nothing is.
func (m *Map) SecretsOrMaps(name string, text func(text string) (problem string), keys func(m *Map)) {
	n := m.n.Get(name)
	if n != nil && n.Kind == Mapping {
		m.Map(name, keys)
		return
	}
	if n != nil && n.Kind == Scalar && n.At.Env == "" {
		single := *n
		*n = Node{Kind: Null, At: n.At, Bad: n.Bad}
		if !single.empty() {
			n.Kind = List
			n.Items = []*Node{&single}
		}
	}

	n.hide()
	i := 0
	m.list(name, "a list of secrets", func(n *Node) (string, bool) {
		key := fmt.Sprintf("%s[%d]", m.Key(name), i)
		i++
		switch {
		case m.lostSecret(m.Key(name), n):
		case n.Kind == Mapping:
			sub := &Map{doc: m.doc, n: n, key: key, shape: Join(m.shape, name+"[]")}
			keys(sub)
			sub.done()
		case n.Kind != Scalar:
			return "a secret", false
		default:
			if p := text(n.Text); p != "" {
				m.doc.Add(n.At.Problem(m.Key(name), "%s", p))
			}
		}
		return "", true
	})
}

// Value hands text to read, which returns all that is wrong with it, "" when
// nothing is.
func (m *Map) Value(name, expected string, read func(text string) (problem string)) {
	n := m.take(name)
	switch {
	case n == nil || n.empty():
	case n.Kind != Scalar:
		m.report(n, name, "found %s, expected %s", n.Found(), expected)
	default:
		if problem := read(n.Text); problem != "" {
			m.report(n, name, "%s", problem)
		}
	}
}

// Strings reads a list of texts, each without control characters and with ok
// (which may be nil) true. Every problem points at its item.
func (m *Map) Strings(name string, dst *[]string, expected string, ok func(text string) bool) {
	var out []string
	m.list(name, "a list, each item "+expected, func(n *Node) (string, bool) {
		out = append(out, n.Text)
		return expected, n.Kind == Scalar && n.Text != "" && !hasControl(n.Text) && (ok == nil || ok(n.Text))
	})
	if out != nil {
		*dst = out
	}
}

// Items reads a list whose items are texts without control characters or mappings of
// known keys. text and keys are called with each, and text reports whether it is one
// that was expected.
func (m *Map) Items(name, expected string, text func(text string) bool, keys func(m *Map)) {
	i := 0
	m.list(name, "a list, each item "+expected, func(n *Node) (string, bool) {
		key := fmt.Sprintf("%s[%d]", m.Key(name), i)
		i++
		if n.Kind != Mapping {
			return expected, n.Kind == Scalar && n.Text != "" && !hasControl(n.Text) && text(n.Text)
		}
		sub := &Map{doc: m.doc, n: n, key: key, shape: Join(m.shape, name+"[]")}
		keys(sub)
		sub.done()
		return "", true
	})
}

// StringMap reads a mapping whose names and values are both free, each name
// with ok true.
func (m *Map) StringMap(name string, dst *map[string]string, expected string, ok func(name, text string) bool) {
	n := m.take(name)
	if n == nil {
		return
	}

	if n.Kind != Mapping {
		m.report(n, name, "found %s, expected %s", n.Found(), expected)
		return
	}

	out := map[string]string{}
	for _, f := range n.Fields {
		if v := f.Value; v.Kind != Scalar || hasControl(v.Text) || !ok(f.Name, v.Text) {
			m.doc.Add(f.At.Problem(Join(m.Key(name), f.Name), "found %s, expected %s", v.Found(), expected))
			continue
		}
		out[f.Name] = f.Value.Text
	}

	*dst = out
}

// Map reads a mapping of known keys. read is called in any case, so that
// Require works in it and its keys are known for did-you-mean.
func (m *Map) Map(name string, read func(m *Map)) {
	n := m.take(name)
	if n != nil && n.Kind != Mapping {
		m.report(n, name, "found %s, expected keys and values below it", n.Found())
		n = nil
	}
	sub := &Map{doc: m.doc, n: n, key: m.Key(name), shape: Join(m.shape, name)}
	read(sub)
	sub.done()
}

// MapOrOff is Map for a feature that false and off in place of the keys turn off. It
// reports whether they do.
func (m *Map) MapOrOff(name string, read func(m *Map)) (off bool) {
	if n := m.n.Get(name); n != nil && n.Kind == Scalar && !n.Bad && n.off(nil) {
		n.Kind = Null
		off = true
	}
	m.Map(name, read)
	return off
}

// Maps reads a mapping from free names to mappings of known keys. read is
// called for each name, in order, and reports whether the name is one.
func (m *Map) Maps(name, expected string, read func(name string, m *Map) bool) {
	n := m.take(name)
	if n == nil {
		return
	}

	if n.Kind != Mapping {
		m.report(n, name, "found %s, expected names, and keys and values below each", n.Found())
		return
	}

	for _, f := range n.Fields {
		sub := &Map{doc: m.doc, n: f.Value, key: Join(m.Key(name), f.Name), shape: Join(m.shape, name+".NAME")}
		if f.Value.Kind != Mapping && f.Value.Kind != Null {
			m.doc.Add(f.Value.At.Problem(sub.key, "found %s, expected keys and values below it", f.Value.Found()))
			continue
		}
		if !read(f.Name, sub) {
			m.doc.Add(f.At.Problem(sub.key, "found name %s, expected %s", Quote(f.Name), expected))
			continue
		}
		sub.done()
	}
}

// Off refuses a key of a feature that is not built yet unless its value means
// off: nothing, false, "off", or one of off. advice says what to do instead.
func (m *Map) Off(name, advice string, off ...string) {
	n := m.n.Get(name)
	m.use(name)
	m.later = append(m.later, name)
	if n != nil && !n.Bad && !n.off(off) {
		m.report(n, name, "not supported yet: %s", advice)
	}
}

// Ignore takes a key as known, whatever its value is. It is not suggested for a mistyped
// one.
func (m *Map) Ignore(name string) { m.use(name) }

func (n *Node) off(values []string) bool {
	switch n.Kind {
	case Scalar:
		return n.Text == "" || n.Text == "false" || n.Text == "off" || slices.Contains(values, n.Text)
	case List:
		return len(n.Items) == 0
	case Mapping:
		return !slices.ContainsFunc(n.Fields, func(f Field) bool { return !f.Value.off(values) })
	}
	return true
}

// take returns the value of a key and records that the key is known; nil when
// there is nothing to read.
func (m *Map) take(name string) *Node {
	m.use(name)
	m.known = append(m.known, name)
	m.doc.known = append(m.doc.known, Join(m.shape, name))
	n := m.n.Get(name)
	if n == nil || n.Kind == Null || n.Bad {
		return nil
	}
	return n
}

// empty reports whether n gives nothing: "key:" or key: "".
func (n *Node) empty() bool { return n.Kind == Null || n.Kind == Scalar && n.Text == "" && !n.Bad }

func (m *Map) use(name string) {
	if m.used == nil {
		m.used = map[string]bool{}
	}
	m.used[name] = true
}

// scalar hands the text of a key to read, which reports whether it is right.
func (m *Map) scalar(name, expected string, read func(text string) bool) {
	if n := m.take(name); n != nil && !n.empty() && (n.Kind != Scalar || !read(n.Text)) {
		m.report(n, name, "found %s, expected %s", n.Found(), expected)
	}
}

// list hands each item of a list to read, which returns what it expected and
// whether it found that. In a variable of the environment, commas separate
// the items.
func (m *Map) list(name, expected string, read func(item *Node) (string, bool)) {
	n := m.take(name)
	if n == nil {
		return
	}

	items := n.Items
	if n.Kind == Scalar && n.At.Env != "" {
		items = nil
		for text := range strings.SplitSeq(n.Text, ",") {
			items = append(items, &Node{Kind: Scalar, At: n.At, Text: strings.TrimSpace(text), Hidden: n.Hidden})
		}
	} else if n.Kind != List {
		m.report(n, name, "found %s, expected %s", n.Found(), expected)
		return
	}

	if len(items) == 0 {
		m.report(n, name, "found an empty list, expected at least one item; leave the key out for none")
	}

	for i, item := range items {
		if item.Bad {
			continue // reported
		}
		if want, ok := read(item); !ok {
			m.doc.Add(item.At.Problem(fmt.Sprintf("%s[%d]", m.Key(name), i), "found %s, expected %s", item.Found(), want))
		}
	}
}

func (m *Map) report(n *Node, name, format string, args ...any) {
	at := n.At
	if n.Kind != Scalar {
		at = m.doc.Place(m.Key(name))
	}
	m.doc.Add(at.Problem(m.Key(name), format, args...))
}

// done records the keys that were not asked for.
func (m *Map) done() {
	if m.n == nil {
		return
	}
	for _, f := range m.n.Fields {
		if !m.used[f.Name] {
			m.doc.unknown = append(m.doc.unknown, unknownKey{m, f.Name, f.At})
		}
	}
}

func oneOf(options []string) string {
	if len(options) == 1 {
		return options[0]
	}
	last := len(options) - 1
	return strings.Join(options[:last], ", ") + " or " + options[last]
}
