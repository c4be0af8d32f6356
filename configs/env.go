package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"broadside/configs/strictyaml"
)

// secretVar is the one variable with our prefix that is no key: files refer to it
// as ${BROADSIDE_SECRET}.
const secretVar = "BROADSIDE_SECRET"

// variables turns os.Environ() into a map; empty variables count as unset, as
// platforms and compose files leave them.
func variables(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" && value != "" {
			vars[name] = value
		}
	}
	return vars
}

// envLayer reads the BROADSIDE_ variables. below is what the other layers say:
// its names tell where _ stands for -.
func envLayer(vars map[string]string, below *strictyaml.Node) (layer, strictyaml.Problems) {
	l := layer{}
	var problems strictyaml.Problems
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, strictyaml.EnvPrefix) || upper == secretVar {
			continue
		}
		path := resolve(strings.Split(strings.ToLower(upper[len(strictyaml.EnvPrefix):]), "__"), below)
		n := &strictyaml.Node{Kind: strictyaml.Scalar, At: strictyaml.Place{Env: name}, Text: vars[name]}
		switch {
		case slices.Contains(path, ""):
			problems = append(problems, n.At.Problem("", "unknown variable, expected %sKEY or %sKEY__SUBKEY", strictyaml.EnvPrefix, strictyaml.EnvPrefix))
		case !l.set(n, path...):
			problems = append(problems, n.At.Problem("", "found a value for %s and one for a key below it, expected one of the two", strings.Join(path, ".")))
		}
	}
	return l, problems
}

// resolve finds the key that the segments of a variable's name mean. A name
// that is free, and that no other layer has, is written with -.
func resolve(segments []string, at *strictyaml.Node) (path []string) {
	for i, s := range segments {
		name := s
		if i == 1 && (path[0] == "accounts" || path[0] == "topics" || path[0] == "subscribe") {
			name = strings.ReplaceAll(s, "_", "-")
		}
		var next *strictyaml.Node
		if at != nil {
			for _, f := range at.Fields {
				if strings.ReplaceAll(f.Name, "-", "_") == s {
					name, next = f.Name, f.Value
					break
				}
			}
		}
		path, at = append(path, name), next
	}
	return path
}

// expand replaces ${VAR} in the values that a file sets, and $${ by ${. Values
// of variables are not expanded again.
func expand(d *strictyaml.Doc, n *strictyaml.Node, key string, environ []string) {
	for _, f := range n.Fields {
		expand(d, f.Value, strictyaml.Join(key, f.Name), environ)
	}
	for i, item := range n.Items {
		expand(d, item, fmt.Sprintf("%s[%d]", key, i), environ)
	}
	if n.Kind == strictyaml.Scalar && n.At.File == "" {
		d.CheckLength(n, key)
	}
	if n.Kind != strictyaml.Scalar || n.At.File == "" || !strings.Contains(n.Text, "${") {
		return
	}
	text, problem := expandText(n.Text, environ)
	if problem != "" {
		n.Bad = true
		d.Add(n.At.Problem(key, "%s", problem))
	}
	n.Raw, n.Text = n.Text, text
}

func expandText(text string, environ []string) (out, problem string) {
	size := len(text)
	return strictyaml.Expand(text, func(name string) (value, problem string) {
		value, ok := lookup(environ, name)
		size += len(value) - len("${}") - len(name)
		switch {
		case !ok && name == secretVar:
			return "", fmt.Sprintf("the variable %s is not set; make a value once and keep it: %s", name, makeSecret)
		case !ok:
			return "", fmt.Sprintf("the variable %s is not set", name)
		case size > strictyaml.MaxValue:
			return "", fmt.Sprintf("found more than %d bytes with the variables filled in: is %s the right one?", strictyaml.MaxValue, name)
		}
		return value, ""
	})
}

// lookup finds a variable, also an empty one. The last of a name wins, as in
// the environment of a process.
func lookup(environ []string, name string) (string, bool) {
	for _, kv := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
