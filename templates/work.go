package templates

import (
	"fmt"
	"text/template/parse"
)

// Nothing in a template repeats, but a text can grow without being printed:
//
//	{{with print .x .x}}{{with print . .}}{{with print . .}}...
//
// doubles it with each level, and the limit of the output does not notice. So the
// work of a template is added up from its tree, for values of any length.

const (
	// maxWork is how many bytes the functions of one letter may read and make:
	// less than a second's work.
	maxWork = 256 << 20
	// usualValue is the length of a merge value for which every template must
	// work, in bytes.
	usualValue = 100
	// boundless is more than any limit, and far from an overflow.
	boundless = 1 << 40
)

// A bound is the greatest number of bytes that a text can have, or that a template
// handles: a constant, and a multiple of the longest merge value. Functions that
// change letters may need up to three bytes for one; that is not counted.
type bound struct{ own, values int64 }

func (b bound) plus(c bound) bound {
	return bound{min(b.own+c.own, boundless), min(b.values+c.values, boundless)}
}

// of returns the bound for values of a length.
func (b bound) of(longest int) int64 {
	if int64(longest) > 0 && b.values > boundless/int64(longest) {
		return boundless
	}
	return b.own + b.values*int64(longest)
}

// A workCounter adds up the work of a tree.
type workCounter struct {
	total bound
	// grown, if set, is called with the first value that can be longer than a
	// part may be although merge values are of the usual length.
	grown func(n parse.Node)
}

// workOf returns what executing the trees handles at most.
func workOf(trees ...*parse.Tree) bound {
	var w workCounter
	for _, t := range trees {
		w.block(t.Root, bound{})
	}
	return w.total
}

// oversized returns a problem when a value of a source can grow too long.
func oversized(s *source) (problems Problems) {
	if s.tree == nil {
		return nil
	}
	w := workCounter{grown: func(n parse.Node) {
		problems = append(problems, s.problem(int(n.Position()),
			fmt.Sprintf("this text can be longer than %d MiB: print of the same text inside with makes it longer each time", maxOutput>>20)))
	}}
	w.block(s.tree.Root, bound{})
	return problems
}

// block adds the work of both branches of every choice; dot is the size of
// ".".
func (w *workCounter) block(list *parse.ListNode, dot bound) {
	if list == nil {
		return
	}

	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			w.total = w.total.plus(bound{own: int64(len(n.Text))})
		case *parse.ActionNode:
			w.value(n.Pipe, dot)
		case *parse.IfNode:
			w.value(n.Pipe, dot)
			w.block(n.List, dot)
			w.block(n.ElseList, dot)
		case *parse.WithNode:
			w.block(n.List, w.value(n.Pipe, dot))
			w.block(n.ElseList, dot)
		}
	}
}

// value returns the size of a value, and adds the work of making it.
func (w *workCounter) value(n parse.Node, dot bound) bound {
	var size bound
	switch n := n.(type) {
	case *parse.StringNode:
		size.own = int64(len(n.Text))
	case *parse.DotNode:
		size = dot
	case *parse.FieldNode, *parse.VariableNode:
		size.values = 1
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			size = w.command(cmd, dot, size)
		}
		return size
	default:
		size.own = 20 // a number, true or false
	}

	w.total = w.total.plus(size)
	return size
}

// command returns the size of what a command yields; piped is that of the one
// before it.
func (w *workCounter) command(cmd *parse.CommandNode, dot, piped bound) bound {
	name := called(cmd)
	args := cmd.Args
	if name != "" {
		args = args[1:]
	}

	size := piped
	for _, a := range args {
		size = size.plus(w.value(a, dot)).plus(bound{own: 1}) // print puts blanks between
	}

	if size.of(usualValue) > maxOutput && w.grown != nil {
		w.grown(cmd)
		w.grown = nil // the values that are made from it are longer still
	}

	w.total = w.total.plus(size)
	if f, ok := functions[name]; ok && (f.result == kindTruth || f.result == kindNumber) {
		return bound{own: 20}
	}

	return size
}
