package strictyaml

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Place is where a value was set: in a file, or in a variable of the
// environment. The zero Place is that of the defaults.
type Place struct {
	File         string
	Line, Column int    // from 1
	Env          string // name of the variable; File is empty then
}

// String returns the place as Config.Sources has it: "FILE:LINE", "env NAME"
// or "default".
func (p Place) String() string {
	switch {
	case p.Env != "":
		return "env " + p.Env
	case p.File != "":
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return "default"
}

// Problem returns a problem with the value of a dotted key at this place.
func (p Place) Problem(key, format string, args ...any) Problem {
	q := Problem{File: p.File, Line: p.Line, Column: p.Column, Key: key, Message: fmt.Sprintf(format, args...)}
	if p.Env != "" {
		q.File = Environment
		q.Key = p.Env
	}
	return q
}

// EnvPrefix begins the names of variables that set keys.
const EnvPrefix = "BROADSIDE_"

// EnvName returns the variable that sets a dotted key.
func EnvName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "__", "-", "_").Replace(key))
}

// Join returns the dotted key of name below key.
func Join(key, name string) string {
	switch {
	case key == "":
		return name
	case name == "":
		return key
	}
	return key + "." + name
}

// A Kind is the kind of a value.
type Kind int

// The kinds of values.
const (
	Null Kind = iota // nothing after the colon, ~ or null
	Scalar
	List
	Mapping
)

// A Node is a value with its place. Scalars are kept as they were written: the
// method of [Map] that reads one decides whether it is a number, a duration or
// text.
type Node struct {
	Kind   Kind
	At     Place
	Text   string  // of a scalar, after ${VAR} was replaced
	Raw    string  // as written, when ${VAR} was replaced in it
	Bad    bool    // already reported: it is not read
	Hidden bool    // a secret: no message shows it
	Items  []*Node // of a list
	Fields []Field // of a mapping, in the order of the file

	after string // the comment behind a scalar without quotes, or in place of its text
}

// A Field is one key of a mapping with its value.
type Field struct {
	Name  string
	At    Place // of the name
	Value *Node
}

// Get returns the value under name, nil when there is none.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	if i := slices.IndexFunc(n.Fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		return n.Fields[i].Value
	}
	return nil
}

// hide keeps the node out of messages. It does nothing on nil.
func (n *Node) hide() {
	if n == nil {
		return
	}
	n.Hidden = true
	for _, item := range n.Items {
		item.hide()
	}
}

// Found describes the node for "found ..., expected ...". What came out of a
// variable, or looks like a password in a URL, is not shown.
func (n *Node) Found() string {
	switch n.Kind {
	case Scalar:
		if n.Hidden {
			return "another value (not shown)"
		}
		if n.Raw != "" {
			return Quote(n.Raw)
		}
		return Quote(n.Text)
	case List:
		return "a list"
	case Mapping:
		return "keys and values"
	}
	return "nothing"
}

// Quote returns a text for a message: cut when it is long, and without the
// password of a URL.
func Quote(text string) string {
	const most = 60 // runes
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return fmt.Sprintf("%q", RedactURL(text))
}

// Redacted stands in place of what is not shown.
const Redacted = "[redacted]"

var userinfo = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*://)(.*)@`)

// RedactURL replaces the user and password of a URL, also of one that does
// not parse, and the values of its query.
func RedactURL(text string) string {
	text = userinfo.ReplaceAllString(text, "${1}"+Redacted+"@")
	base, query, ok := strings.Cut(text, "?")
	if !ok || !strings.Contains(base, "://") {
		return text
	}

	values, err := url.ParseQuery(query)
	if err != nil {
		return base + "?" + Redacted
	}

	for k := range values {
		if strings.Contains(strings.ToLower(k), "pass") || strings.Contains(strings.ToLower(k), "user") {
			values.Set(k, Redacted)
		}
	}

	return base + "?" + strings.ReplaceAll(values.Encode(), url.QueryEscape(Redacted), Redacted)
}
