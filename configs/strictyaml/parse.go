package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxFile is the largest file that Parse reads, in bytes.
	MaxFile = 1 << 20
	// maxDepth is far more levels than any file of ours has.
	maxDepth = 32
	// maxNodes is far more values than any file of ours has, and keeps the work
	// on a hostile one small.
	maxNodes = 10_000
	// maxKey is the longest key, in bytes.
	maxKey = 128
	// MaxValue is the longest value, in bytes, with its variables filled in.
	MaxValue = 64 << 10
)

// Parse reads the YAML text of a file. The error, of type [Problems], is
// for text that is not YAML at all. What YAML allows and we do not (anchors,
// aliases, tags, a key given twice) is kept with the document and comes with
// [Doc.Err], together with what its reader finds.
func Parse(file string, data []byte) (*Doc, error) {
	if len(data) > MaxFile {
		return nil, Problems{{File: file, Message: fmt.Sprintf("found more than %d bytes: is this the right file?", MaxFile)}}
	}
	if p, bad := badBytes(file, data); bad {
		return nil, Problems{p}
	}

	dec, top, err := firstDocument(data)
	if quoted, found := quoteDash(data, err); found {
		data = quoted
		dec, top, err = firstDocument(data)
	}

	if err != nil {
		return nil, Problems{syntaxProblem(file, data, err)}
	}

	d := NewDoc(file, &Node{Kind: Mapping, At: Place{File: file, Line: 1, Column: 1}})
	var next yaml.Node
	if err := dec.Decode(&next); err == nil {
		d.Add(Problem{File: file, Line: max(next.Line, 1), Column: max(next.Column, 1), Message: "found a second document after ---, expected one"})
	} else if !errors.Is(err, io.EOF) {
		return nil, Problems{syntaxProblem(file, data, err)}
	}

	if len(top.Content) > 0 {
		n := d.convert(top.Content[0], "", 0)
		if d.nodes > maxNodes {
			return nil, Problems{{File: file, Message: fmt.Sprintf("found more than %d values: is this the right file?", maxNodes)}}
		}
		switch n.Kind {
		case Mapping:
			d.root.Fields = n.Fields
		case Null: // a file of comments
		default:
			d.Add(n.At.Problem("", "found %s, expected keys and values such as key: value", n.Found()))
		}
	}

	d.index(d.root, "")
	return d, nil
}

// firstDocument decodes the beginning of a file; an empty one has an empty node.
func firstDocument(data []byte) (*yaml.Decoder, *yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var top yaml.Node
	err := dec.Decode(&top)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return dec, &top, err
}

// convert turns a node of the YAML library into one of ours, and reports what
// we do not allow.
func (d *Doc) convert(y *yaml.Node, key string, depth int) *Node {
	n := &Node{Kind: Null, At: Place{File: d.file, Line: y.Line, Column: y.Column}}
	d.nodes++
	switch {
	case d.nodes > maxNodes:
		return n
	case depth > maxDepth:
		d.Add(n.At.Problem(key, "found more than %d levels", maxDepth))
		return n
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		d.Add(n.At.Problem(key, "found an anchor or alias; put a value that begins with & or * in quotes"))
		return n
	case y.Style&yaml.TaggedStyle != 0:
		d.Add(n.At.Problem(key, "found a tag; put a value that begins with ! in quotes"))
		return n
	}

	switch y.Kind {
	case yaml.ScalarNode:
		if y.ShortTag() != "!!null" {
			n.Kind, n.Text = Scalar, y.Value
			n.after = commentAfter(y)
			d.CheckLength(n, key)
		}
	case yaml.SequenceNode:
		n.Kind = List
		for i, item := range y.Content {
			n.Items = append(n.Items, d.convert(item, fmt.Sprintf("%s[%d]", key, i), depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Mapping
		d.convertFields(n, y, key, depth)
	}

	return n
}

func (d *Doc) convertFields(n *Node, y *yaml.Node, key string, depth int) {
	first := map[string]int{} // line of each key
	for i := 0; i+1 < len(y.Content) && d.nodes <= maxNodes; i += 2 {
		k := y.Content[i]
		at := Place{File: d.file, Line: k.Line, Column: k.Column}
		if y.Style&yaml.FlowStyle != 0 && k.Kind == yaml.MappingNode && k.Style&yaml.FlowStyle != 0 {
			d.Add(n.At.Problem(key, "found {{ outside of quotes; put a value that contains {{ }} in quotes"))
			n.Bad = true
			continue
		}
		if k.Kind != yaml.ScalarNode || k.Value == "" || len(k.Value) > maxKey || hasControl(k.Value) || k.Anchor != "" {
			d.Add(at.Problem(key, "found a key that is no plain word of at most %d letters", maxKey))
			continue
		}
		sub := Join(key, k.Value)
		if line, twice := first[k.Value]; twice {
			d.Add(at.Problem(sub, "given twice, first on line %d", line))
			continue
		}
		first[k.Value] = k.Line
		value := d.convert(y.Content[i+1], sub, depth+1)
		if value.Kind == Null {
			value.after = firstLine(k.LineComment)
		}
		n.Fields = append(n.Fields, Field{k.Value, at, value})
	}
}

// badBytes finds the first byte that a text file does not have.
func badBytes(file string, data []byte) (Problem, bool) {
	line, column := 1, 1
	for rest := bytes.TrimPrefix(data, []byte("\ufeff")); len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		at := Place{File: file, Line: line, Column: column}
		switch {
		case r == utf8.RuneError && size == 1:
			return at.Problem("", "found byte 0x%02x, expected UTF-8 text: save the file as UTF-8", rest[0]), true
		case r == '\n':
			line, column = line+1, 0
		case unicode.IsControl(r) && r != '\t' && r != '\r':
			return at.Problem("", "found control character %U, expected text", r), true
		}
		column++
		rest = rest[size:]
	}
	return Problem{}, false
}

var (
	yamlError     = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// behindQuote finds a value that goes on behind its closing quote: its key, what
// is quoted, and the rest.
var behindQuote = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+):\s+("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')[ \t]*([^\s#].*)$`)

// behindMark finds a value that begins with a list, a map or an alias and goes on
// behind it: its key, and all of it.
var behindMark = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+):\s+((?:\[[^\]]*\]|\{[^}]*\}|\*\S+)[ \t]*[^\s#,].*)$`)

// syntaxProblem says in our words, and with a place, what the YAML library
// found. Its messages are not passed on: they may quote values.
func syntaxProblem(file string, data []byte, err error) Problem {
	line, message := 1, "found text that is not YAML"
	inBlock := false
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		inBlock = strings.Contains(m[2], "did not find expected")
		if inBlock {
			line++ // the library's parser counts from 0, its scanner from 1
		}
		message = syntaxMessage(m[2])
		if a := unknownAnchor.FindStringSubmatch(m[2]); a != nil { // comes without a line
			before, _, _ := bytes.Cut(data, []byte("*"+a[1]))
			line = 1 + bytes.Count(before, []byte("\n"))
		}
	}

	lines := bytes.Split(data, []byte("\n"))
	line = min(max(line, 1), len(lines))
	if inBlock {
		line = halfQuoted(lines, line)
	}

	text := lines[line-1]
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	column := 1 + len(indent)
	if bytes.Contains(indent, []byte("\t")) {
		message = "found a tab in the indentation, expected blanks"
	}

	if m := behindQuote.FindSubmatch(text); m != nil {
		message = "found text behind the closing quote; put quotes around the whole value" + rewritten(m[1], string(m[2])+" "+string(bytes.TrimSpace(m[3])))
	}
	if m := behindMark.FindSubmatch(text); m != nil {
		message = fmt.Sprintf("found a value that begins with %c, which has a meaning in YAML; put quotes around the whole value%s",
			m[2][0], rewritten(m[1], string(bytes.TrimSpace(m[2]))))
	}
	if bytes.Contains(text, []byte("{{")) {
		message = "found {{ outside of quotes; put a value that contains {{ }} in quotes"
	}

	return Place{File: file, Line: line, Column: column}.Problem("", "%s", message)
}

// halfQuoted returns the line of a value of which a part alone is in quotes or
// brackets: that one, or the next behind the line before. The library names the line
// where the block begins, or the one behind the value.
func halfQuoted(lines [][]byte, line int) int {
	for i := max(line-2, 0); i < len(lines); i++ {
		if behindQuote.Match(lines[i]) || behindMark.Match(lines[i]) {
			return i + 1
		}
	}
	return line
}

// shownKeys are those whose values are no secrets, and can be repeated in a message.
var shownKeys = []string{"subject", "preheader", "from", "reply_to", "name", "description", "postal_address"}

// rewritten returns ": KEY: VALUE" with the value in quotes; nothing where it may be a secret.
func rewritten(key []byte, value string) string {
	if !slices.Contains(shownKeys, string(key)) {
		return ""
	}
	return fmt.Sprintf(": %s: %s", key, YAMLQuote(value))
}

func syntaxMessage(library string) string {
	for _, m := range []struct{ part, message string }{
		{"mapping values are not allowed", `found a second ": " in one entry; put a value that contains it in quotes, or mend the indentation`},
		{listInLine, `found a list that begins behind its key; begin it on the next line, or put a value that begins with - in quotes: key: "-"`},
		{"tab character", "found a tab, expected blanks"},
		{"cannot start any token", "found a value that begins with a tab, @, % or a backquote; put it in quotes"},
		{"unknown anchor", "found a value that begins with *; put it in quotes"},
		{"unexpected end of stream", "found the end of the file inside quotes: a quote is opened and never closed"},
		{"',' or", "found a [ or { that is not closed; a list is [a, b], and values that begin with a bracket go in quotes"},
		{"expected node content", "found nothing where a value was expected: is a [ or { not closed?"},
		{"could not find expected ':'", "found a line that is neither key: value nor - item"},
		{"did not find expected", "found a line whose indentation fits nothing above it, expected it in line with its neighbours"},
	} {
		if strings.Contains(library, m.part) {
			return m.message
		}
	}
	return "found text that is not YAML"
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
