package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// keyDelimiter separates the levels of a key inside viper. ParseYAML refuses
// control characters in keys, and names of topics may have dots.
const keyDelimiter = "\x1f"

// A layer is one source of settings: nested maps whose leaves are *node.
// Viper merges layers and lower-cases keys, and carries the leaves, with the
// places where they were set, without looking into them.
type layer map[string]any

// set puts a leaf under a path, which must not run through another leaf.
func (l layer) set(n *node, path ...string) bool {
	for _, name := range path[:len(path)-1] {
		next, ok := l[name]
		if !ok {
			next = layer{}
			l[name] = next
		}
		if l, ok = next.(layer); !ok {
			return false
		}
	}
	last := path[len(path)-1]
	if _, taken := l[last].(layer); taken {
		return false
	}
	l[last] = n
	return true
}

// plain returns the layer as the type that viper merges.
func (l layer) plain() map[string]any {
	out := make(map[string]any, len(l))
	for k, v := range l {
		if sub, ok := v.(layer); ok {
			v = sub.plain()
		}
		out[k] = v
	}
	return out
}

// place returns the place of the layer's first leaf.
func (l layer) place() Place {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		switch v := l[name].(type) {
		case layer:
			if at := v.place(); at != (Place{}) {
				return at
			}
		case *node:
			return v.at
		}
	}
	return Place{}
}

// fileLayer holds what a file sets; empty mappings and nulls set nothing.
func fileLayer(n *node) layer {
	l := layer{}
	for _, f := range n.fields {
		switch f.value.kind {
		case mapping:
			if sub := fileLayer(f.value); len(sub) > 0 {
				l[f.name] = sub
			}
		case scalar, list:
			l[f.name] = f.value
		}
	}
	return l
}

// defaults are the settings that do not depend on others. Those of an account
// are filled in when it is read.
func defaults() layer {
	l := layer{}
	for _, d := range []struct{ key, text string }{
		{"namespace", "bs"},
		{"redis.max_connections", "20"},
		{"redis.tls_insecure", "false"},
		{"allow_volatile_redis", "false"},
		{"listen", ":8080"},
		{"retention.runs", "30d"},
		{"retention.addresses", "7d"},
		{"worker.concurrency", "auto"},
		{"worker.drain", "25s"},
	} {
		l.set(&node{kind: scalar, text: d.text}, strings.Split(d.key, ".")...)
	}
	return l
}

// A stack merges layers, each over those before it.
type stack struct {
	v        *viper.Viper
	problems Problems
}

func newStack() *stack {
	return &stack{v: viper.NewWithOptions(viper.KeyDelimiter(keyDelimiter))}
}

// settings returns what the layers so far say together.
func (s *stack) settings() *node { return tree(s.v.AllSettings()) }

// add lays l on top. Where one layer has a value and the other has keys, that
// is reported, and l is left out there.
func (s *stack) add(l layer) error {
	s.clash(s.settings(), l, "")
	if err := s.v.MergeConfigMap(l.plain()); err != nil {
		return fmt.Errorf("merge the layers of the configuration: %w", err)
	}
	return nil
}

func (s *stack) clash(below *node, l layer, key string) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b, sub := below.get(name), join(key, name)
		if b == nil {
			continue
		}
		switch v := l[name].(type) {
		case layer:
			if b.kind == mapping {
				s.clash(b, v, sub)
			} else if at := v.place(); at.Env != "" {
				s.problems = append(s.problems, at.problem("", "found a key below %s, which is one value", sub))
				delete(l, name)
			} // else the file has keys where the default has a value: its reader says so
		case *node:
			if b.kind == mapping {
				s.problems = append(s.problems, v.noMapping(sub))
				delete(l, name)
			}
		}
	}
}

// noMapping is the problem of a value where keys were expected.
func (n *node) noMapping(key string) Problem {
	if n.at.Env != "" {
		return n.at.problem("", "found a value for %s, expected one of its keys, as in %s__...", key, strings.ToUpper(n.at.Env))
	}
	return n.at.problem(key, "found %s, expected keys and values below it", n.found())
}

// tree turns viper's nested maps into nodes, names in alphabetical order.
func tree(settings map[string]any) *node {
	n := &node{kind: mapping}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		switch v := settings[name].(type) {
		case map[string]any:
			sub := tree(v)
			n.fields = append(n.fields, field{name, sub.at, sub})
		case *node:
			n.fields = append(n.fields, field{name, v.at, v})
		}
	}
	// A mapping that only variables make has the place of the first of them.
	if len(n.fields) > 0 {
		n.at = n.fields[0].at
	}
	return n
}

// graft gives root the places that mappings and names have in file, and adds
// the fields that set nothing.
func graft(root, file *node) {
	root.at = file.at
	index := make(map[string]int, len(root.fields))
	for i, f := range root.fields {
		index[f.name] = i
	}
	for _, f := range file.fields {
		i, known := index[f.name]
		switch {
		case !known && f.value.kind == mapping:
			empty := &node{kind: mapping}
			graft(empty, f.value)
			root.fields = append(root.fields, field{f.name, f.at, empty})
		case !known:
			root.fields = append(root.fields, f)
		case root.fields[i].value.kind == mapping && f.value.kind == mapping:
			root.fields[i].at = f.at
			graft(root.fields[i].value, f.value)
		case root.fields[i].value == f.value:
			root.fields[i].at = f.at
		}
	}
}

// foldKeys turns the keys of a file into lower case.
func (d *Doc) foldKeys(n *node, key string) {
	first := map[string]int{} // line of each name
	kept := n.fields[:0]
	for _, f := range n.fields {
		f.name = strings.ToLower(f.name)
		sub := join(key, f.name)
		if line, twice := first[f.name]; twice {
			d.add(f.at.problem(sub, "given twice (upper and lower case are one), first on line %d", line))
			continue
		}
		first[f.name] = f.at.Line
		d.foldKeys(f.value, sub)
		kept = append(kept, f)
	}
	n.fields = kept
}
