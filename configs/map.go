package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Map reads the keys of one mapping. Its methods set *dst when the key is
// given and right, leave it alone when the key is absent or empty, and else note
// a problem; so a default is what dst held before.
type Map struct {
	doc   *Doc
	n     *node // nil: the mapping is absent
	key   string
	shape string   // key with NAME for names that are free, for did-you-mean
	known []string // keys asked for
	later []string // keys of features that are not built yet
	used  map[string]bool
}

// Key returns the dotted key of name in this mapping.
func (m *Map) Key(name string) string { return join(m.key, name) }

// Has reports whether the key is given and not empty.
func (m *Map) Has(name string) bool {
	n := m.n.get(name)
	return n != nil && !n.empty()
}

// Problem adds a problem with the value of a key; where the key is absent, it
// points at the mapping.
func (m *Map) Problem(name, format string, args ...any) {
	m.doc.Problem(m.Key(name), format, args...)
}

// Require adds a problem when the key is absent. example shows a good value.
func (m *Map) Require(name, example string) {
	if n := m.n.get(name); n != nil && n.kind == null && n.after != "" && !isNote(n.after) {
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
	if n.kind == scalar && slices.Contains(options, n.text) {
		*dst = n.text
		return
	}
	hint := ""
	if s := Suggest(n.text, options); s != "" {
		hint = fmt.Sprintf(": did you mean %s?", s)
	}
	m.report(n, name, "found %s, expected %s%s", n.found(), oneOf(options), hint)
}

// Secret reads a value that is never shown. ok may be nil.
func (m *Map) Secret(name string, dst *Secret, expected string, ok func(text string) bool) {
	m.n.get(name).hide()
	m.lostSecret(m.Key(name), m.n.get(name))
	m.scalar(name, expected, func(text string) bool {
		if ok != nil && !ok(text) {
			return false
		}
		*dst = Secret(text)
		return true
	})
}

// Secrets reads a list of values that are never shown. problem returns what
// is wrong with one of them, "" when nothing is.
func (m *Map) Secrets(name string, dst *[]Secret, problem func(text string) string) {
	m.n.get(name).hide()
	m.list(name, "a list of secrets", func(n *node) (string, bool) {
		if m.lostSecret(m.Key(name), n) {
			return "", true
		}
		if n.kind != scalar {
			return "a secret", false
		}
		if p := problem(n.text); p != "" {
			m.doc.add(n.at.problem(m.Key(name), "%s", p))
			return "", true
		}
		*dst = append(*dst, Secret(n.text))
		return "", true
	})
}

// Bool reads true or false.
func (m *Map) Bool(name string, dst *bool) {
	m.scalar(name, "true or false", func(text string) bool {
		if text != "true" && text != "false" {
			return false
		}
		*dst = text == "true"
		return true
	})
}

// Int reads a whole number from low to high; what names it, as in "a number of
// connections".
func (m *Map) Int(name string, dst *int, low, high int, what string) {
	m.scalar(name, fmt.Sprintf("%s from %d to %d", what, low, high), func(text string) bool {
		v, err := strconv.Atoi(text)
		if err != nil || v < low || v > high {
			return false
		}
		*dst = v
		return true
	})
}

// Duration reads a duration from low to high, as ParseDuration does.
func (m *Map) Duration(name string, dst *time.Duration, low, high time.Duration) {
	m.scalar(name, durationBetween(low, high), func(text string) bool {
		v, err := ParseDuration(text)
		if err != nil || v < low || v > high {
			return false
		}
		*dst = v
		return true
	})
}

// Durations reads a list of durations, each from low to high.
func (m *Map) Durations(name string, dst *[]time.Duration, low, high time.Duration) {
	var out []time.Duration
	m.list(name, "a list of durations such as [5m, 1h]", func(n *node) (string, bool) {
		v, err := ParseDuration(n.text)
		out = append(out, v)
		return durationBetween(low, high), n.kind == scalar && err == nil && v >= low && v <= high
	})
	if out != nil {
		*dst = out
	}
}

// Rate reads a rate in messages per second, as ParseRate does.
func (m *Map) Rate(name string, dst *float64) {
	m.scalar(name, "a rate such as 50/s, 30/min or 1000/h", func(text string) bool {
		v, err := ParseRate(text)
		if err == nil {
			*dst = v
		}
		return err == nil
	})
}

// Percent reads a share that is more than nothing, as ParsePercent does.
func (m *Map) Percent(name string, dst *float64) {
	m.scalar(name, "a share over 0 and up to 100%, such as 5% or 0.1%", func(text string) bool {
		v, err := ParsePercent(text)
		if err != nil || v == 0 {
			return false
		}
		*dst = v
		return true
	})
}

// Range reads a range of sizes, as ParseRange does.
func (m *Map) Range(name string, low, high *int64) {
	m.scalar(name, "a range such as 9000-11000", func(text string) bool {
		a, b, err := ParseRange(text)
		if err == nil {
			*low, *high = a, b
		}
		return err == nil
	})
}

// Strings reads a list of texts, each without control characters and with ok
// (which may be nil) true. Every problem points at its item.
func (m *Map) Strings(name string, dst *[]string, expected string, ok func(text string) bool) {
	var out []string
	m.list(name, "a list, each item "+expected, func(n *node) (string, bool) {
		out = append(out, n.text)
		return expected, n.kind == scalar && n.text != "" && !hasControl(n.text) && (ok == nil || ok(n.text))
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
	m.list(name, "a list, each item "+expected, func(n *node) (string, bool) {
		key := fmt.Sprintf("%s[%d]", m.Key(name), i)
		i++
		if n.kind != mapping {
			return expected, n.kind == scalar && n.text != "" && !hasControl(n.text) && text(n.text)
		}
		sub := &Map{doc: m.doc, n: n, key: key, shape: join(m.shape, name+"[]")}
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
	if n.kind != mapping {
		m.report(n, name, "found %s, expected %s", n.found(), expected)
		return
	}
	out := map[string]string{}
	for _, f := range n.fields {
		if v := f.value; v.kind != scalar || hasControl(v.text) || !ok(f.name, v.text) {
			m.doc.add(f.at.problem(join(m.Key(name), f.name), "found %s, expected %s", v.found(), expected))
			continue
		}
		out[f.name] = f.value.text
	}
	*dst = out
}

// Map reads a mapping of known keys. read is called in any case, so that
// Require works in it and its keys are known for did-you-mean.
func (m *Map) Map(name string, read func(m *Map)) {
	n := m.take(name)
	if n != nil && n.kind != mapping {
		m.report(n, name, "found %s, expected keys and values below it", n.found())
		n = nil
	}
	sub := &Map{doc: m.doc, n: n, key: m.Key(name), shape: join(m.shape, name)}
	read(sub)
	sub.done()
}

// MapOrOff is Map for a feature that false and off in place of the keys turn off.
func (m *Map) MapOrOff(name string, read func(m *Map)) {
	if n := m.n.get(name); n != nil && n.kind == scalar && !n.bad && n.off(nil) {
		n.kind = null
	}
	m.Map(name, read)
}

// Maps reads a mapping from free names to mappings of known keys. read is
// called for each name, in order, and reports whether the name is one.
func (m *Map) Maps(name, expected string, read func(name string, m *Map) bool) {
	n := m.take(name)
	if n == nil {
		return
	}
	if n.kind != mapping {
		m.report(n, name, "found %s, expected names, and keys and values below each", n.found())
		return
	}
	for _, f := range n.fields {
		sub := &Map{doc: m.doc, n: f.value, key: join(m.Key(name), f.name), shape: join(m.shape, name+".NAME")}
		if f.value.kind != mapping && f.value.kind != null {
			m.doc.add(f.value.at.problem(sub.key, "found %s, expected keys and values below it", f.value.found()))
			continue
		}
		if !read(f.name, sub) {
			m.doc.add(f.at.problem(sub.key, "found name %s, expected %s", quote(f.name), expected))
			continue
		}
		sub.done()
	}
}

// Off refuses a key of a feature that is not built yet unless its value means
// off: nothing, false, "off", or one of off. advice says what to do instead.
func (m *Map) Off(name, advice string, off ...string) {
	n := m.n.get(name)
	m.use(name)
	m.later = append(m.later, name)
	if n != nil && !n.bad && !n.off(off) {
		m.report(n, name, "not supported yet: %s", advice)
	}
}

// Refuse refuses, as Off does, a text for which later is true. The key is not
// read again afterwards.
func (m *Map) Refuse(name, advice string, later func(text string) bool) {
	if n := m.n.get(name); n != nil && n.kind == scalar && !n.bad && later(n.text) {
		m.report(n, name, "found %s, which is not supported yet: %s", n.found(), advice)
		n.bad = true
	}
}

func (n *node) off(values []string) bool {
	switch n.kind {
	case scalar:
		return n.text == "" || n.text == "false" || n.text == "off" || slices.Contains(values, n.text)
	case list:
		return len(n.items) == 0
	case mapping:
		return !slices.ContainsFunc(n.fields, func(f field) bool { return !f.value.off(values) })
	}
	return true
}

// take returns the value of a key and notes that the key is known; nil when
// there is nothing to read.
func (m *Map) take(name string) *node {
	m.use(name)
	m.known = append(m.known, name)
	m.doc.known = append(m.doc.known, join(m.shape, name))
	n := m.n.get(name)
	if n == nil || n.kind == null || n.bad {
		return nil
	}
	return n
}

// empty reports whether n gives nothing: "key:" or key: "".
func (n *node) empty() bool { return n.kind == null || n.kind == scalar && n.text == "" && !n.bad }

func (m *Map) use(name string) {
	if m.used == nil {
		m.used = map[string]bool{}
	}
	m.used[name] = true
}

// scalar hands the text of a key to read, which reports whether it is right.
func (m *Map) scalar(name, expected string, read func(text string) bool) {
	if n := m.take(name); n != nil && !n.empty() && (n.kind != scalar || !read(n.text)) {
		m.report(n, name, "found %s, expected %s", n.found(), expected)
	}
}

// list hands each item of a list to read, which returns what it expected and
// whether it found that. In a variable of the environment, commas separate
// the items.
func (m *Map) list(name, expected string, read func(item *node) (string, bool)) {
	n := m.take(name)
	if n == nil {
		return
	}
	items := n.items
	if n.kind == scalar && n.at.Env != "" {
		items = nil
		for text := range strings.SplitSeq(n.text, ",") {
			items = append(items, &node{kind: scalar, at: n.at, text: strings.TrimSpace(text), hidden: n.hidden})
		}
	} else if n.kind != list {
		m.report(n, name, "found %s, expected %s", n.found(), expected)
		return
	}
	if len(items) == 0 {
		m.report(n, name, "found an empty list, expected at least one item; leave the key out for none")
	}
	for i, item := range items {
		if item.bad {
			continue // reported
		}
		if want, ok := read(item); !ok {
			m.doc.add(item.at.problem(fmt.Sprintf("%s[%d]", m.Key(name), i), "found %s, expected %s", item.found(), want))
		}
	}
}

func (m *Map) report(n *node, name, format string, args ...any) {
	at := n.at
	if n.kind != scalar {
		at = m.doc.Place(m.Key(name))
	}
	m.doc.add(at.problem(m.Key(name), format, args...))
}

// done notes the keys that nobody asked for.
func (m *Map) done() {
	if m.n == nil {
		return
	}
	for _, f := range m.n.fields {
		if !m.used[f.name] {
			m.doc.unknown = append(m.doc.unknown, unknownKey{m, f.name, f.at})
		}
	}
}

func durationBetween(low, high time.Duration) string {
	return fmt.Sprintf("a duration from %s to %s, such as 90s, 5m or 30d", FormatDuration(low), FormatDuration(high))
}

func oneOf(options []string) string {
	if len(options) == 1 {
		return options[0]
	}
	last := len(options) - 1
	return strings.Join(options[:last], ", ") + " or " + options[last]
}
