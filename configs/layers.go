package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"broadside/configs/strictyaml"
)

// keyDelimiter separates the levels of a key inside viper. The reader refuses
// control characters in keys, and names of topics may have dots.
const keyDelimiter = "\x1f"

// A layer is one source of settings: nested maps whose leaves are *strictyaml.Node.
// Viper merges layers and lower-cases keys, and carries the leaves, with the
// places where they were set, without looking into them.
type layer map[string]any

// set puts a leaf under a path, which must not run through another leaf.
func (l layer) set(n *strictyaml.Node, path ...string) bool {
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
func (l layer) place() strictyaml.Place {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		switch v := l[name].(type) {
		case layer:
			if at := v.place(); at != (strictyaml.Place{}) {
				return at
			}
		case *strictyaml.Node:
			return v.At
		}
	}
	return strictyaml.Place{}
}

// fileLayer holds what a file sets; empty mappings and nulls set nothing.
func fileLayer(n *strictyaml.Node) layer {
	l := layer{}
	for _, f := range n.Fields {
		switch f.Value.Kind {
		case strictyaml.Mapping:
			if sub := fileLayer(f.Value); len(sub) > 0 {
				l[f.Name] = sub
			}
		case strictyaml.Scalar, strictyaml.List:
			l[f.Name] = f.Value
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
		{"redis.queue_shards", "1"},
		{"allow_volatile_redis", "false"},
		{"listen", ":8080"},
		{"retention.runs", "30d"},
		{"retention.addresses", "7d"},
		{"worker.concurrency", "auto"},
		{"worker.drain", "25s"},
		{"feedback.soft.suppress_after", "5"},
		{"feedback.soft.within", "30d"},
		{"feedback.every", "1m"},
		{"storm.share", "10%"},
		{"storm.of", "200"},
		{"storm.at_least", "10"},
	} {
		l.set(&strictyaml.Node{Kind: strictyaml.Scalar, Text: d.text}, strings.Split(d.key, ".")...)
	}
	return l
}

// A stack merges layers, each over those before it.
type stack struct {
	v        *viper.Viper
	problems strictyaml.Problems
}

func newStack() *stack {
	return &stack{v: viper.NewWithOptions(viper.KeyDelimiter(keyDelimiter))}
}

// settings returns what the layers so far say together.
func (s *stack) settings() *strictyaml.Node { return tree(s.v.AllSettings()) }

// add lays l on top. Where one layer has a value and the other has keys, that
// is reported, and l is left out there.
func (s *stack) add(l layer) error {
	s.clash(s.settings(), l, "")
	if err := s.v.MergeConfigMap(l.plain()); err != nil {
		return fmt.Errorf("merge the layers of the configuration: %w", err)
	}
	return nil
}

func (s *stack) clash(below *strictyaml.Node, l layer, key string) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b, sub := below.Get(name), strictyaml.Join(key, name)
		if b == nil {
			continue
		}
		switch v := l[name].(type) {
		case layer:
			if b.Kind == strictyaml.Mapping {
				s.clash(b, v, sub)
			} else if at := v.place(); at.Env != "" {
				s.problems = append(s.problems, at.Problem("", "found a key below %s, which is one value", sub))
				delete(l, name)
			} // else the file has keys where the default has a value: its reader says so
		case *strictyaml.Node:
			if b.Kind == strictyaml.Mapping {
				s.problems = append(s.problems, noMapping(v, sub))
				delete(l, name)
			}
		}
	}
}

// noMapping is the problem of a value where keys were expected.
func noMapping(n *strictyaml.Node, key string) strictyaml.Problem {
	if n.At.Env != "" {
		return n.At.Problem("", "found a value for %s, expected one of its keys, as in %s__...", key, strings.ToUpper(n.At.Env))
	}
	return n.At.Problem(key, "found %s, expected keys and values below it", n.Found())
}

// tree turns viper's nested maps into nodes, names in alphabetical order.
func tree(settings map[string]any) *strictyaml.Node {
	n := &strictyaml.Node{Kind: strictyaml.Mapping}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value, isLeaf := settings[name].(*strictyaml.Node)
		if !isLeaf {
			value = tree(settings[name].(map[string]any))
		}
		n.Fields = append(n.Fields, strictyaml.Field{Name: name, At: value.At, Value: value})
	}
	// A mapping that only variables make has the place of the first of them.
	if len(n.Fields) > 0 {
		n.At = n.Fields[0].At
	}
	return n
}

// graft gives root the places that mappings and names have in file, and adds
// the fields that set nothing.
func graft(root, file *strictyaml.Node) {
	root.At = file.At
	index := make(map[string]int, len(root.Fields))
	for i, f := range root.Fields {
		index[f.Name] = i
	}
	for _, f := range file.Fields {
		i, known := index[f.Name]
		switch {
		case !known && f.Value.Kind == strictyaml.Mapping:
			empty := &strictyaml.Node{Kind: strictyaml.Mapping}
			graft(empty, f.Value)
			root.Fields = append(root.Fields, strictyaml.Field{Name: f.Name, At: f.At, Value: empty})
		case !known:
			root.Fields = append(root.Fields, f)
		case root.Fields[i].Value.Kind == strictyaml.Mapping && f.Value.Kind == strictyaml.Mapping:
			root.Fields[i].At = f.At
			graft(root.Fields[i].Value, f.Value)
		case root.Fields[i].Value == f.Value:
			root.Fields[i].At = f.At
		}
	}
}

// foldKeys turns the keys of a file into lower case.
func foldKeys(d *strictyaml.Doc, n *strictyaml.Node, key string) {
	first := map[string]int{} // line of each name
	kept := n.Fields[:0]
	for _, f := range n.Fields {
		f.Name = strings.ToLower(f.Name)
		sub := strictyaml.Join(key, f.Name)
		if line, twice := first[f.Name]; twice {
			d.Add(f.At.Problem(sub, "given twice (upper and lower case are one), first on line %d", line))
			continue
		}
		first[f.Name] = f.At.Line
		foldKeys(d, f.Value, sub)
		kept = append(kept, f)
	}
	n.Fields = kept
}
