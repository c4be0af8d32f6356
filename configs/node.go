package configs

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

func (p Place) problem(key, format string, args ...any) Problem {
	q := Problem{File: p.File, Line: p.Line, Column: p.Column, Key: key, Message: fmt.Sprintf(format, args...)}
	if p.Env != "" {
		q.File, q.Key = environment, p.Env
	}
	return q
}

type kind int

const (
	null kind = iota // nothing after the colon, ~ or null
	scalar
	list
	mapping
)

// A node is a value with its place. Scalars are kept as they were written:
// who reads one decides whether it is a number, a duration or text.
type node struct {
	kind   kind
	at     Place
	text   string  // of a scalar, after ${VAR} was replaced
	raw    string  // as written, when ${VAR} was replaced in it
	bad    bool    // already reported: readers pass over it
	hidden bool    // a secret: no message shows it
	after  string  // the comment behind a scalar without quotes, or where its text should be
	items  []*node // of a list
	fields []field // of a mapping, in the order of the file
}

type field struct {
	name  string
	at    Place // of the name
	value *node
}

// get returns the value under name, nil when there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	if i := slices.IndexFunc(n.fields, func(f field) bool { return f.name == name }); i >= 0 {
		return n.fields[i].value
	}
	return nil
}

// hide keeps the node out of messages. It does nothing on nil.
func (n *node) hide() {
	if n == nil {
		return
	}
	n.hidden = true
	for _, item := range n.items {
		item.hide()
	}
}

// found describes the node for "found ..., expected ...". What came out of a
// variable, or looks like a password in a URL, is not shown.
func (n *node) found() string {
	switch n.kind {
	case scalar:
		if n.hidden {
			return "another value (not shown)"
		}
		if n.raw != "" {
			return quote(n.raw)
		}
		return quote(n.text)
	case list:
		return "a list"
	case mapping:
		return "keys and values"
	}
	return "nothing"
}

func quote(text string) string {
	const most = 60 // runes
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return fmt.Sprintf("%q", redactURL(text))
}

var userinfo = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*://)(.*)@`)

// redactURL replaces the user and password of a URL, also of one that does
// not parse, and the values of its query.
func redactURL(text string) string {
	text = userinfo.ReplaceAllString(text, "${1}"+redacted+"@")
	base, query, ok := strings.Cut(text, "?")
	if !ok || !strings.Contains(base, "://") {
		return text
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return base + "?" + redacted
	}
	for k := range values {
		if strings.Contains(strings.ToLower(k), "pass") || strings.Contains(strings.ToLower(k), "user") {
			values.Set(k, redacted)
		}
	}
	return base + "?" + strings.ReplaceAll(values.Encode(), url.QueryEscape(redacted), redacted)
}
