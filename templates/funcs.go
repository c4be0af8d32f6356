package templates

import (
	"strings"
	"unicode"
)

// The kinds that a value in a template can have.
type kind int

const (
	kindBad    kind = iota // already reported
	kindRoot               // all fields: "." outside with
	kindText               // fields are always text
	kindNumber             // a whole number
	kindTruth              // true or false
	kindMixed              // text, number or truth, depending on the recipient

	kindItem  // "." inside range: an item of the feed
	kindItems // all items of the feed
	kindHTML  // the content of an item
)

func (k kind) String() string {
	return [...]string{"nothing", "all fields", "text", "a number", "true or false", "different things", "an item of the feed", "all items of the feed", "the HTML of an item"}[k]
}

// A function is one that templates may call.
type function struct {
	min, max int  // number of arguments; max 0: any number
	args     kind // what every argument must be; kindBad: anything
	result   kind // kindBad: what the arguments are
	same     bool // all arguments must be of one kind
}

// functions is the whole function set; docs/templates.md lists it.
var functions = map[string]function{
	"default": {min: 2, max: 2, args: kindText, result: kindText},
	"upper":   {min: 1, max: 1, args: kindText, result: kindText},
	"lower":   {min: 1, max: 1, args: kindText, result: kindText},
	"title":   {min: 1, max: 1, args: kindText, result: kindText},
	"trim":    {min: 1, max: 1, args: kindText, result: kindText},
	"len":     {min: 1, max: 1, args: kindText, result: kindNumber},
	"print":   {min: 1, result: kindText},
	"eq":      {min: 2, result: kindTruth, same: true},
	"ne":      {min: 2, max: 2, result: kindTruth, same: true},
	"not":     {min: 1, max: 1, result: kindTruth},
	"and":     {min: 1},
	"or":      {min: 1},
}

// funcs are those that are not text/template's own.
var funcs = map[string]any{
	"default": func(fallback, s string) string {
		if strings.TrimSpace(s) == "" {
			return fallback
		}
		return s
	},
	"upper": strings.ToUpper,
	"lower": strings.ToLower,
	"title": title,
	"trim":  strings.TrimSpace,
}

// title makes the first letter of each word a capital and leaves the others
// alone: "anne-marie o'neill" becomes "Anne-Marie O'neill".
func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || r == '\'' || r == '’'
		if letter && !inWord {
			r = unicode.ToTitle(r)
		}
		inWord = letter
		return r
	}, s)
}
