package templates

import (
	"slices"
	"strings"
	"text/template/parse"

	"broadside/campaign"
)

// A Gap is a place where a template prints a value without saying what to print
// when it is blank: a reader without a value in any of these fields sees "Hi !".
type Gap []string

// Gaps returns the gaps of a snapshot's templates, each set of fields once. A value
// with a default is not a gap, nor is one that a condition around it has tested.
// The error is that of Fields.
func Gaps(s campaign.Snapshot) ([]Gap, error) {
	src, problems := load(s, nil)
	if err := problems.err(); err != nil {
		return nil, err
	}

	f := &gapFinder{}
	for _, one := range []*source{src.subject, src.preheader, src.body, src.text} {
		if one != nil && one.tree != nil {
			f.block(one.tree.Root, nil)
		}
	}

	return f.found, nil
}

type gapFinder struct{ found []Gap }

// block looks through a list of nodes; filled are the fields that cannot be blank
// there.
func (f *gapFinder) block(list *parse.ListNode, filled []string) {
	if list == nil {
		return
	}

	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			for _, g := range gapsOf(n.Pipe) {
				f.add(g, filled)
			}
		case *parse.IfNode:
			f.block(n.List, append(slices.Clone(filled), tested(n.Pipe)...))
			f.block(n.ElseList, filled)
		case *parse.WithNode:
			f.block(n.List, append(slices.Clone(filled), tested(n.Pipe)...))
			f.block(n.ElseList, filled)
		}
	}
}

func (f *gapFinder) add(g Gap, filled []string) {
	if len(g) == 0 || slices.ContainsFunc(g, func(field string) bool { return slices.Contains(filled, field) }) {
		return
	}
	slices.Sort(g)
	g = slices.Compact(g)
	if !slices.ContainsFunc(f.found, func(h Gap) bool { return slices.Equal(g, h) }) {
		f.found = append(f.found, g)
	}
}

// gapsOf returns the gaps of what a node prints. There are none if it is never blank,
// or if the author's own condition decides what is printed.
func gapsOf(n parse.Node) []Gap {
	switch n := n.(type) {
	case *parse.FieldNode:
		return ofField(n.Ident[0])
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			return ofField(n.Ident[1])
		}
	case *parse.StringNode:
		if strings.TrimSpace(n.Text) == "" {
			return []Gap{{}}
		}
	case *parse.PipeNode:
		var piped parse.Node
		var gaps []Gap
		for _, cmd := range n.Cmds {
			gaps = gapsOfCall(cmd, piped, gaps)
			piped = cmd
		}
		return gaps
	}

	return nil
}

func ofField(name string) []Gap {
	if name == unsubscribeField {
		return nil
	}
	return []Gap{{name}}
}

// gapsOfCall returns the gaps of a command; piped is the one before it, whose gaps
// are those of its last argument.
func gapsOfCall(cmd *parse.CommandNode, piped parse.Node, before []Gap) []Gap {
	name := called(cmd)
	if name == "" {
		return gapsOf(cmd.Args[0])
	}

	var args [][]Gap
	for _, arg := range cmd.Args[1:] {
		args = append(args, gapsOf(arg))
	}

	if piped != nil {
		args = append(args, before)
	}

	switch name {
	case "upper", "lower", "title", "trim", "print":
		return slices.Concat(args...)
	case "default", "or":
		return together(args)
	}

	return nil
}

// together returns the gap that appears when all arguments are blank.
func together(args [][]Gap) []Gap {
	all := Gap{}
	for _, gaps := range args {
		if len(gaps) != 1 {
			return nil
		}
		all = append(all, gaps[0]...)
	}
	return []Gap{all}
}

// tested returns the fields that are not blank where a condition holds.
func tested(n parse.Node) []string {
	switch n := n.(type) {
	case *parse.FieldNode:
		return n.Ident[:1]
	case *parse.VariableNode:
		return n.Ident[1:]
	case *parse.PipeNode:
		if len(n.Cmds) == 1 {
			return testedBy(n.Cmds[0])
		}
	}

	return nil
}

func testedBy(cmd *parse.CommandNode) []string {
	switch called(cmd) {
	case "":
		return tested(cmd.Args[0])
	case "and", "eq", "ne", "len", "trim", "upper", "lower", "title":
		var all []string
		for _, arg := range cmd.Args[1:] {
			all = append(all, tested(arg)...)
		}
		return all
	}

	return nil
}
