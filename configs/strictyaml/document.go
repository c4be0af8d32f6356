package strictyaml

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxProblems are reported of one file; more are only counted.
const maxProblems = 100

// A Doc is one parsed file, or one configuration put together from several
// sources, and the problems found in it so far.
type Doc struct {
	file     string
	root     *Node
	places   map[string]Place // of every value, by dotted key
	problems Problems
	more     int
	nodes    int          // values seen by convert
	known    []string     // every dotted key that a reader asked for
	unknown  []unknownKey // looked up at the end, when all known keys are known
}

type unknownKey struct {
	m    *Map
	name string
	at   Place
}

// NewDoc returns a document that is made of a tree of values; file names it in
// problems.
func NewDoc(file string, root *Node) *Doc {
	d := &Doc{file: file, root: root, places: map[string]Place{}}
	d.index(root, "")
	return d
}

// index records the place of every value: of scalars their own, of lists and
// mappings that of their key.
func (d *Doc) index(n *Node, key string) {
	for _, f := range n.Fields {
		sub := Join(key, f.Name)
		d.places[sub] = f.Value.At
		if f.Value.Kind != Scalar {
			d.places[sub] = f.At
		}
		d.index(f.Value, sub)
	}

	for i, item := range n.Items {
		sub := fmt.Sprintf("%s[%d]", key, i)
		d.places[sub] = item.At
		d.index(item, sub)
	}
}

// Read calls f with the top of the document. Whatever f and the functions it
// calls do not ask for is an unknown key.
func (d *Doc) Read(f func(m *Map)) {
	m := &Map{doc: d, n: d.root}
	f(m)
	m.done()
	for _, u := range d.unknown {
		d.reportUnknown(u)
	}
	d.unknown = nil
}

// Root returns the top of the document.
func (d *Doc) Root() *Node { return d.root }

// Problems returns the problems found so far, in the order in which they were
// found.
func (d *Doc) Problems() Problems { return d.problems }

// CheckLength reports a value that is too long, and takes it away.
func (d *Doc) CheckLength(n *Node, key string) {
	if len(n.Text) > MaxValue {
		d.Add(n.At.Problem(key, "found %d bytes, expected at most %d: is this the right value?", len(n.Text), MaxValue))
		n.Bad = true
		n.Text = ""
	}
}

// Err returns all problems sorted by place, as [Problems], or nil.
func (d *Doc) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	p := slices.Clone(d.problems).sorted()
	if d.more > 0 {
		p = append(p, Problem{File: d.file, Message: fmt.Sprintf("and %d more problems", d.more)})
	}
	return p
}

// Place returns where the value of a dotted key ("delivery.accounts[0]") was
// set; for a key that is not given, where the nearest key above it was.
func (d *Doc) Place(key string) Place {
	for key != "" {
		if p, ok := d.places[key]; ok {
			return p
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return d.root.At
}

// Places returns the place of every value in the document by dotted key.
func (d *Doc) Places() map[string]Place { return maps.Clone(d.places) }

// Problem adds a problem with the value of a dotted key.
func (d *Doc) Problem(key, format string, args ...any) {
	d.Add(d.Place(key).Problem(key, format, args...))
}

// Add adds a problem.
func (d *Doc) Add(p Problem) {
	if len(d.problems) >= maxProblems {
		d.more++
		return
	}
	d.problems = append(d.problems, p)
}

// reportUnknown finds out what was probably meant: another key of the same mapping,
// or else one of the same name that belongs elsewhere.
func (d *Doc) reportUnknown(u unknownKey) {
	key := Join(u.m.key, u.name)
	meant := cmp.Or(Suggest(u.name, u.m.known), Suggest(u.name, u.m.later))
	if meant == "" {
		for _, k := range d.known {
			if strings.HasSuffix(k, "."+u.name) || k == u.name {
				d.Add(u.at.Problem(key, "unknown here, did you mean %s?", k))
				return
			}
		}
	}

	switch {
	case meant != "" && u.at.Env != "":
		tail := strings.TrimPrefix(strings.ToUpper(u.at.Env), EnvName(key))
		d.Add(u.at.Problem(key, "unknown variable, did you mean %s?", EnvName(Join(u.m.key, meant))+tail))
	case meant != "":
		d.Add(u.at.Problem(key, "unknown key, did you mean %s?", meant))
	case u.at.Env != "":
		d.Add(u.at.Problem(key, "unknown variable; there is no key %s", key))
	case len(u.m.known) == 0:
		d.Add(u.at.Problem(key, "unknown key"))
	default:
		d.Add(u.at.Problem(key, "unknown key, expected one of %s", strings.Join(u.m.known, ", ")))
	}
}
