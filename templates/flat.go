package templates

import (
	"slices"
	"strings"
	"text/template/parse"

	"broadside/templates/message"
)

// The template packages look up fields and functions by reflection for every
// recipient. Most templates do not need that, because all their values are text.
// After html/template has put its escapers into such a tree, flatten turns it into
// a program of plain function calls that writes the same bytes. A tree with
// anything else in it is executed by its package.

// A program is a flattened tree. It is nil if the tree cannot be flattened.
type program []step

// A step prints, or runs one of two programs.
type step struct {
	fixed       *message.Fixed
	print       textFunc
	escape      appendFunc // for what print returns; nil: none
	test        truthFunc  // of an if
	with        textFunc   // of a with
	then, other program
}

// flatData is what a program reads. dot is the value of the innermost with.
type flatData struct {
	values []string // in the order of Template.fields
	dot    string
}

type (
	textFunc   func(*flatData) string
	truthFunc  func(*flatData) bool
	appendFunc func(dst []byte, s string) []byte
)

// run writes what the program prints; its only error is ErrTooLarge.
func (p program) run(e *message.Encoder, d *flatData) error {
	for i := range p {
		s := &p[i]
		outer := d.dot
		var err error
		switch {
		case s.fixed != nil:
			err = e.Fixed(s.fixed)
		case s.print != nil:
			err = e.Value(s.print(d), s.escape)
		default:
			err = s.choose(d).run(e, d)
			d.dot = outer
		}

		if err != nil {
			return err
		}
	}

	return nil
}

// choose returns the program of the branch to take, and sets d.dot to what "." is
// in it.
func (s *step) choose(d *flatData) program {
	if s.test != nil {
		if s.test(d) {
			return s.then
		}
		return s.other
	}

	if v := s.with(d); v != "" {
		d.dot = v
		return s.then
	}

	return s.other
}

// flatten returns the program of a tree, or nil. fields are those that have a value, in
// the order of the values; tidy says how its output is encoded. A tree of html/template must have been executed once, because it is
// escaped only then.
func flatten(tree *parse.Tree, fields []string, tidy bool) program {
	if tree == nil {
		return nil
	}
	f := flattener{fields: fields, tidy: tidy, reads: new(int)}
	return f.block(tree.Root)
}

// A flattener turns nodes into functions. It returns nil for a node that it does
// not know.
type flattener struct {
	fields []string
	tidy   bool
	inWith bool // "." is the value of a with, not all fields
	reads  *int // how many fields and dots were read
}

func (f flattener) block(list *parse.ListNode) program {
	p := program{}
	if list == nil {
		return p
	}

	var fixed strings.Builder // the text of neighbouring nodes
	endFixed := func() {
		if fixed.Len() > 0 {
			p = append(p, step{fixed: message.NewFixed(fixed.String(), f.tidy)})
			fixed.Reset()
		}
	}
	for _, n := range list.Nodes {
		if n, ok := n.(*parse.TextNode); ok {
			fixed.Write(n.Text)
			continue
		}

		before := *f.reads
		s, ok := f.step(n)
		if !ok {
			return nil
		}

		if s.print != nil && *f.reads == before { // the same for all recipients
			text := s.print(&flatData{})
			if s.escape != nil {
				text = string(s.escape(nil, text))
			}
			fixed.WriteString(text)
			continue
		}

		endFixed()
		p = append(p, s)
	}

	endFixed()
	return p
}

// step returns the step of an action or a choice.
func (f flattener) step(n parse.Node) (s step, ok bool) {
	switch n := n.(type) {
	case *parse.ActionNode:
		s.print, s.escape = f.action(n.Pipe)
		return s, s.print != nil
	case *parse.IfNode:
		s.test = f.truth(n.Pipe)
		s.then = f.block(n.List)
		s.other = f.block(n.ElseList)
	case *parse.WithNode:
		inner := f
		inner.inWith = true
		s.with = f.pipe(n.Pipe)
		s.then = inner.block(n.List)
		s.other = f.block(n.ElseList)
	}

	return s, (s.test != nil || s.with != nil) && s.then != nil && s.other != nil
}

// action returns what an action prints, and the escaper that is its last
// command.
func (f flattener) action(p *parse.PipeNode) (textFunc, appendFunc) {
	last := len(p.Cmds) - 1
	escape := escapers[called(p.Cmds[last])]
	if escape == nil {
		return f.pipe(p), nil
	}

	// HTML in text is the one value that htmlescaper leaves alone.
	if raw := p.Cmds[0]; last == 1 && called(raw) == rawFunc && called(p.Cmds[1]) == htmlEscaper && len(raw.Args) == 2 {
		return f.value(raw.Args[1]), nil
	}
	if last == 0 { // without a pipe: html/template does not write that
		return nil, nil
	}

	rest := *p
	rest.Cmds = p.Cmds[:last]
	if len(p.Cmds[last].Args) != 1 {
		return nil, nil
	}

	return f.pipe(&rest), escape
}

func (f flattener) pipe(p *parse.PipeNode) textFunc {
	if len(p.Decl) > 0 {
		return nil
	}

	var v textFunc
	for i, cmd := range p.Cmds {
		if v = f.command(cmd, v); v == nil {
			return nil
		}
		if i > 0 && called(cmd) == "" {
			return nil
		}
	}

	return v
}

// called is the name of the function that a command calls, if it does.
func called(cmd *parse.CommandNode) string {
	if n, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
		return n.Ident
	}
	return ""
}

// command returns what a command yields; piped is its last argument, if any.
func (f flattener) command(cmd *parse.CommandNode, piped textFunc) textFunc {
	name := called(cmd)
	if name == "" {
		if len(cmd.Args) > 1 {
			return nil
		}
		return f.value(cmd.Args[0])
	}

	var args []textFunc
	for _, a := range cmd.Args[1:] {
		v := f.value(a)
		if v == nil {
			return nil
		}
		args = append(args, v)
	}

	if piped != nil {
		args = append(args, piped)
	}

	switch call := flatFuncs[name].(type) {
	case func(string) string:
		if len(args) == 1 {
			a := args[0]
			return func(d *flatData) string { return call(a(d)) }
		}
	case func(string, string) string:
		if len(args) == 2 {
			a := args[0]
			b := args[1]
			return func(d *flatData) string { return call(a(d), b(d)) }
		}
	}

	return nil
}

// value returns an argument that is text.
func (f flattener) value(n parse.Node) textFunc {
	switch n := n.(type) {
	case *parse.StringNode:
		return func(*flatData) string { return n.Text }
	case *parse.DotNode:
		if f.inWith {
			*f.reads++
			return func(d *flatData) string { return d.dot }
		}
	case *parse.FieldNode:
		if !f.inWith {
			return f.field(n.Ident)
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return f.field(n.Ident[1:])
		}
	case *parse.PipeNode:
		return f.pipe(n)
	}

	return nil
}

func (f flattener) field(ident []string) textFunc {
	if len(ident) != 1 {
		return nil
	}

	// As in the map for the slow path, the last of two equal names counts.
	for i, name := range slices.Backward(f.fields) {
		if name == ident[0] {
			*f.reads++
			return func(d *flatData) string { return d.values[i] }
		}
	}

	return nil
}

// truth returns a condition: a text that is not blank, or a comparison.
func (f flattener) truth(n parse.Node) truthFunc {
	if p, ok := n.(*parse.PipeNode); ok && len(p.Decl) == 0 && len(p.Cmds) == 1 {
		args := p.Cmds[0].Args[1:]
		switch name := called(p.Cmds[0]); name {
		case "not", "and", "or":
			return f.logic(name, args)
		case "eq", "ne":
			return f.compare(name, args)
		}
	}

	v := f.value(n)
	if v == nil {
		return nil
	}

	return func(d *flatData) bool { return v(d) != "" }
}

func (f flattener) logic(name string, args []parse.Node) truthFunc {
	var all []truthFunc
	for _, a := range args {
		t := f.truth(a)
		if t == nil {
			return nil
		}
		all = append(all, t)
	}

	switch {
	case name == "not" && len(all) == 1:
		return func(d *flatData) bool { return !all[0](d) }
	case name == "and" && len(all) > 0:
		return func(d *flatData) bool {
			return !slices.ContainsFunc(all, func(t truthFunc) bool { return !t(d) })
		}
	case name == "or" && len(all) > 0:
		return func(d *flatData) bool {
			return slices.ContainsFunc(all, func(t truthFunc) bool { return t(d) })
		}
	}

	return nil
}

func (f flattener) compare(name string, args []parse.Node) truthFunc {
	var all []textFunc
	for _, a := range args {
		v := f.value(a)
		if v == nil {
			return nil
		}
		all = append(all, v)
	}

	switch {
	case name == "ne" && len(all) == 2:
		return func(d *flatData) bool { return all[0](d) != all[1](d) }
	case name == "eq" && len(all) > 1:
		return func(d *flatData) bool {
			first := all[0](d)
			return slices.ContainsFunc(all[1:], func(v textFunc) bool { return v(d) == first })
		}
	}

	return nil
}
