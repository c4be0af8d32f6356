package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	envPrefix = "BROADSIDE_"
	// secretVar is the one variable with our prefix that is no key: files
	// refer to it as ${BROADSIDE_SECRET}.
	secretVar = "BROADSIDE_SECRET"
)

// envName returns the variable that sets a dotted key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "__", "-", "_").Replace(key))
}

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
func envLayer(vars map[string]string, below *node) (layer, Problems) {
	l := layer{}
	var problems Problems
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, envPrefix) || upper == secretVar {
			continue
		}
		path := resolve(strings.Split(strings.ToLower(upper[len(envPrefix):]), "__"), below)
		n := &node{kind: scalar, at: Place{Env: name}, text: vars[name]}
		switch {
		case slices.Contains(path, ""):
			problems = append(problems, n.at.problem("", "unknown variable, expected %sKEY or %sKEY__SUBKEY", envPrefix, envPrefix))
		case !l.set(n, path...):
			problems = append(problems, n.at.problem("", "found a value for %s and one for a key below it, expected one of the two", strings.Join(path, ".")))
		}
	}
	return l, problems
}

// resolve finds the key that the segments of a variable's name mean. A name
// that is free, and that no other layer has, is written with -.
func resolve(segments []string, at *node) (path []string) {
	for i, s := range segments {
		name := s
		if i == 1 && (path[0] == "accounts" || path[0] == "topics") {
			name = strings.ReplaceAll(s, "_", "-")
		}
		var next *node
		if at != nil {
			for _, f := range at.fields {
				if strings.ReplaceAll(f.name, "-", "_") == s {
					name, next = f.name, f.value
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
func (d *Doc) expand(n *node, key string, environ []string) {
	for _, f := range n.fields {
		d.expand(f.value, join(key, f.name), environ)
	}
	for i, item := range n.items {
		d.expand(item, fmt.Sprintf("%s[%d]", key, i), environ)
	}
	if n.kind == scalar && n.at.File == "" {
		d.bound(n, key)
	}
	if n.kind != scalar || n.at.File == "" || !strings.Contains(n.text, "${") {
		return
	}
	text, problem := expandText(n.text, environ)
	if problem != "" {
		n.bad = true
		d.add(n.at.problem(key, "%s", problem))
	}
	n.raw, n.text = n.text, text
}

func expandText(text string, environ []string) (out, problem string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		if strings.HasSuffix(before, "$") { // $${ is a literal ${
			b.WriteString("{")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !isVariable(name) {
			return "", "found ${ without a name and }, expected ${NAME}; write $${ for the two characters themselves"
		}
		value, ok := lookup(environ, name)
		if !ok {
			problem = fmt.Sprintf("the variable %s is not set", name)
			if name == secretVar {
				problem += "; make a value once and keep it: " + makeSecret
			}
			return "", problem
		}
		if b.WriteString(value); b.Len() > maxValue {
			return "", fmt.Sprintf("found more than %d bytes with the variables filled in: is %s the right one?", maxValue, name)
		}
		text = after
	}
}

// bound reports a value that is too long, and takes it away.
func (d *Doc) bound(n *node, key string) {
	if len(n.text) > maxValue {
		d.add(n.at.problem(key, "found %d bytes, expected at most %d: is this the right value?", len(n.text), maxValue))
		n.bad, n.text = true, ""
	}
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
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
