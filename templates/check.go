package templates

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"broadside/configs/strictyaml"
)

// unsubscribeField is the field that every recipient has in addition to the columns.
const unsubscribeField = "unsubscribe_url"

// A checker walks a parse tree and refuses what could fail, or never end, while
// rendering: unknown fields, loops, unknown functions, values of the wrong kind.
type checker struct {
	src      *source
	columns  []string        // nil: any field is allowed
	used     map[string]bool // fields that were found
	feed     feedUse
	inRange  bool // over the items of the feed
	problems Problems
}

// check returns the problems of one source and notes its fields in used.
func check(s *source, columns []string, used map[string]bool) Problems {
	return checkWith(s, columns, used, noFeed)
}

// checkWith is check of a source that may use the items of a feed.
func checkWith(s *source, columns []string, used map[string]bool, feed feedUse) Problems {
	if s.tree == nil {
		return nil
	}
	c := &checker{src: s, columns: columns, used: used, feed: feed}
	c.block(s.tree.Root, kindRoot)
	return c.problems
}

// tooMany reports whether further problems are only counted, because finding their
// places and hints costs time.
func (c *checker) tooMany() bool { return len(c.problems) > maxProblems }

func (c *checker) refuse(n parse.Node, format string, args ...any) kind {
	if c.tooMany() {
		c.problems = append(c.problems, Problem{})
		return kindBad
	}
	c.problems = append(c.problems, c.src.problem(c.offset(n), fmt.Sprintf(format, args...)))
	return kindBad
}

// offset returns where a node begins. The parser gives some nodes a position
// behind their first character.
func (c *checker) offset(n parse.Node) int {
	at := int(n.Position())
	switch n.(type) {
	case *parse.RangeNode, *parse.IfNode, *parse.WithNode, *parse.TemplateNode, *parse.BreakNode, *parse.ContinueNode:
		for _, a := range c.src.actions {
			if a.start <= at && at < a.end {
				return a.start
			}
		}
	}

	return at
}

// block checks a list of nodes; dot is what "." stands for in it.
func (c *checker) block(list *parse.ListNode, dot kind) {
	if list == nil {
		return
	}

	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if c.feed == feedFilled && isItemHTML(n.Pipe) {
				continue
			}
			switch k := c.pipe(n.Pipe, dot); k {
			case kindRoot:
				c.refuse(n.Pipe, "this prints all fields: name one, as in {{.first_name}}")
			case kindItem, kindItems:
				c.refuse(n.Pipe, "this prints %s: write {{range .feed.items}}, and name a field of an item in it, as in {{.title}}", k)
			}
		case *parse.IfNode:
			c.pipe(n.Pipe, dot)
			c.block(n.List, dot)
			c.block(n.ElseList, dot)
		case *parse.WithNode:
			k := c.pipe(n.Pipe, dot)
			if k >= kindItem {
				k = c.refuse(n.Pipe, "with of %s: use if, or range, in its place", k)
			}
			c.block(n.List, k)
			c.block(n.ElseList, dot)
		case *parse.RangeNode:
			c.loop(n, dot)
		case *parse.BreakNode, *parse.ContinueNode:
			c.refuse(n, "%s is refused: use if", strings.Trim(n.String(), "{}"))
		case *parse.TemplateNode:
			c.refuse(n, "template is refused: a template that calls itself may never end; write the text in place")
		}
	}
}

// pipe checks a pipeline and returns the kind of its value.
func (c *checker) pipe(p *parse.PipeNode, dot kind) kind {
	if len(p.Decl) > 0 {
		return c.refuse(p.Decl[0], "variables are refused: use the field itself, or with")
	}

	var value *kind
	for _, cmd := range p.Cmds {
		if value != nil && *value >= kindItem {
			return c.refuse(cmd, "%s cannot go into a function: write len .feed.items for their number, and a field such as .summary for a text", *value)
		}
		k := c.command(cmd, dot, value)
		value = &k
	}

	if value == nil {
		return kindBad
	}

	return *value
}

// command checks one command; piped is the value of the command before it, which
// becomes its last argument.
func (c *checker) command(cmd *parse.CommandNode, dot kind, piped *kind) kind {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(cmd.Args) > 1 || piped != nil {
			return c.refuse(cmd.Args[0], "%s is not a function and takes no argument", cmd.Args[0])
		}
		return c.value(cmd.Args[0], dot)
	}

	var args []kind
	for _, a := range cmd.Args[1:] {
		args = append(args, c.value(a, dot))
	}

	if piped != nil {
		args = append(args, *piped)
	}

	return c.call(name, args)
}

// call checks the arguments of a function and returns the kind of its result.
func (c *checker) call(n *parse.IdentifierNode, args []kind) kind {
	f, ok := functions[n.Ident]
	if !ok && c.feed.has() && n.Ident == "index" {
		return c.refuse(n, "index stands in parentheses, with a field behind them, as in {{(index .feed.items 0).title}}")
	}
	if !ok {
		if c.tooMany() {
			return c.refuse(n, "unknown function")
		}
		known := slices.Sorted(maps.Keys(functions))
		if near := strictyaml.Suggest(n.Ident, known); near != "" {
			return c.refuse(n, "unknown function %s, did you mean %s", n.Ident, near)
		}
		return c.refuse(n, "unknown function %s: there are %s", n.Ident, strings.Join(known, ", "))
	}

	if len(args) < f.min || f.max > 0 && len(args) > f.max {
		return c.refuse(n, "%s has %d arguments: expected %s", n.Ident, len(args), f.arity())
	}

	if n.Ident == "len" && args[0] == kindItems {
		return kindNumber
	}
	for _, k := range args {
		switch {
		case k == kindBad:
			return f.result
		case k >= kindItem:
			return c.refuse(n, "%s of %s: expected a text, such as .title", n.Ident, k)
		case k == kindRoot:
			return c.refuse(n, "%s of all fields: name one, as in {{%s .first_name}}", n.Ident, n.Ident)
		case f.args != kindBad && k != f.args:
			return c.refuse(n, "%s of %s: expected %s", n.Ident, k, f.args)
		case f.same && (k != args[0] || k == kindMixed):
			return c.refuse(n, `%s compares %s with %s: fields are text, write the other in quotes, as in {{if eq .year "2026"}}`, n.Ident, args[0], k)
		}
	}

	if f.result != kindBad {
		return f.result
	}

	for _, k := range args {
		if k != args[0] {
			return kindMixed
		}
	}

	return args[0]
}

func (f function) arity() string {
	switch {
	case f.max == 0:
		return fmt.Sprintf("%d or more", f.min)
	case f.min == f.max:
		return fmt.Sprint(f.min)
	}
	return fmt.Sprintf("%d to %d", f.min, f.max)
}

// value checks one argument and returns its kind.
func (c *checker) value(n parse.Node, dot kind) kind {
	switch n := n.(type) {
	case *parse.StringNode:
		return kindText
	case *parse.BoolNode:
		return kindTruth
	case *parse.NumberNode:
		if !n.IsInt {
			return c.refuse(n, "number %s: only whole numbers", n)
		}
		return kindNumber
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		switch {
		case dot == kindItem:
			return c.itemField(n, n.Ident)
		case dot != kindRoot && dot != kindBad && c.inRange:
			return c.refuse(n, "%s inside with: there . is the value itself; use if in place of with", n)
		case dot != kindRoot && dot != kindBad:
			return c.refuse(n, "%s inside with: there . is the value itself; write $%s for the field", n, n)
		}
		return c.field(n, n.Ident)
	case *parse.ChainNode:
		if c.feed.has() {
			return c.numberedItem(n, dot)
		}
	case *parse.VariableNode:
		if n.Ident[0] != "$" {
			return c.refuse(n, "unknown variable %s", n.Ident[0])
		}
		if len(n.Ident) == 1 {
			return kindRoot
		}
		return c.field(n, n.Ident[1:])
	case *parse.PipeNode:
		return c.pipe(n, dot)
	case *parse.IdentifierNode:
		return c.call(n, nil)
	}

	return c.refuse(n, "%s cannot be used here: expected a field, a text in quotes or a function in parentheses", n)
}

// field checks a field's name.
func (c *checker) field(n parse.Node, ident []string) kind {
	name := ident[0]
	switch {
	case name == feedField && c.feed.has():
		return c.feedField(n, ident)
	case name == feedField && len(ident) > 1:
		return c.refuse(n, "%s: set content.feed in the campaign file to have the items of a feed", n)
	case len(ident) > 1:
		return c.refuse(n, "%s: a field is one text and has no field .%s", n, ident[1])
	}

	c.used[name] = true
	if c.columns == nil || name == unsubscribeField || slices.Contains(c.columns, name) {
		return kindText
	}

	if c.tooMany() {
		c.refuse(n, "unknown merge field")
		return kindText
	}

	known := append(slices.Clone(c.columns), unsubscribeField)
	if near := strictyaml.Suggest(name, known); near != "" {
		c.refuse(n, "unknown merge field .%s, did you mean .%s", name, near)
	} else {
		c.refuse(n, "unknown merge field .%s: the audience has %s", name, strings.Join(known, ", "))
	}

	return kindText
}
