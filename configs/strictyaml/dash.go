package strictyaml

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// loneDash finds a value that is - alone, as in source: - for the standard input.
// YAML takes it for the first entry of a list, which cannot begin there.
var loneDash = regexp.MustCompile(`^(\s*[A-Za-z0-9_-]+:[ \t]+)-([ \t]*(?:[ \t]#.*)?\r?)$`)

const listInLine = "block sequence entries are not allowed"

// quoteDash puts quotes around the - that YAML stumbled over with err, if it was one.
// It is asked once for a file: no campaign has a second one.
func quoteDash(data []byte, err error) (quoted []byte, found bool) {
	if err == nil {
		return nil, false
	}

	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil || !strings.Contains(m[2], listInLine) {
		return nil, false
	}

	line, _ := strconv.Atoi(m[1]) // none is the first
	lines := bytes.Split(data, []byte("\n"))
	at := max(line, 1) - 1
	if at >= len(lines) || !loneDash.Match(lines[at]) {
		return nil, false
	}

	lines = slices.Clone(lines)
	lines[at] = loneDash.ReplaceAll(lines[at], []byte(`${1}"-"${2}`))
	return bytes.Join(lines, []byte("\n")), true
}
