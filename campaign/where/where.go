// Package where decides by an expression over the merge fields which rows of an
// audience are sent to: audience.where in a campaign file.
//
// Fields are texts, as in the file that they come from, and an empty one is "". The
// language is that of expr (https://expr-lang.org/docs/language-definition) with
// comparisons, and, or, not, in, contains, startsWith, endsWith and matches, and these
// functions: lower, upper, trim, len, and number(TEXT), which is NaN for what is no number,
// so that no comparison with it holds. email and domain are those of the address, unless
// a field has that name.
//
// An expression that is accepted decides about every row: it cannot fail on one, and it
// ends.
package where

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"broadside/configs/strictyaml"
)

// MaxLength is how many bytes an expression has at most.
const MaxLength = 4096

// Names of what every row has.
const (
	email  = "email"
	domain = "domain"
)

// A Filter decides about the rows of one audience. It must not be used by two goroutines
// at once.
type Filter struct {
	program *vm.Program
	machine vm.VM
	env     map[string]any
	used    []int // columns that the expression names
	columns []string
	address []string // email and domain, where it names them
}

// Check reports what keeps a text from being an expression, before the fields are known.
func Check(text string) error {
	if len(text) > MaxLength {
		return fmt.Errorf("found %d bytes, expected at most %d", len(text), MaxLength)
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return explain(err, nil)
	}

	var c checker
	ast.Walk(&tree.Node, &c)
	return c.problem
}

// A checker finds what no filter needs: what can fail on a row, or takes long.
type checker struct{ problem error }

// operators are those that cannot fail.
var operators = []string{
	"==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "in", "contains", "startsWith", "endsWith", "matches", "+", "-", "*", "/",
}

// Visit is called with every node of the expression.
func (c *checker) Visit(node *ast.Node) {
	what := ""
	switch n := (*node).(type) {
	case *ast.IdentifierNode, *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.ArrayNode, *ast.UnaryNode, *ast.ConditionalNode:
	case *ast.BinaryNode:
		if !slices.Contains(operators, n.Operator) {
			what = n.Operator
		}
		if _, constant := n.Right.(*ast.StringNode); n.Operator == "matches" && !constant {
			what = "a pattern that is no text in quotes"
		}
	case *ast.BuiltinNode:
		if !slices.Contains(functions, n.Name) {
			what = n.Name
		}
	case *ast.CallNode:
		if name, ok := n.Callee.(*ast.IdentifierNode); !ok {
			what = "this function"
		} else if name.Value != numberName {
			what = "the function " + name.Value
			if meant := strictyaml.Suggest(name.Value, append([]string{numberName}, functions...)); meant != "" {
				what += " (did you mean " + meant + "?)"
			}
		}
	default:
		what = "this"
	}
	if what != "" && c.problem == nil {
		c.problem = fmt.Errorf("found %s, expected comparisons of fields with and, or, not, in, contains, startsWith, endsWith and matches, and the functions number, %s (column %d of the expression)",
			what, strings.Join(functions, ", "), (*node).Location().From+1)
	}
}

// numberName is the function of ours.
const numberName = "number"

// functions are those of the language that can be used.
var functions = []string{"lower", "upper", "trim", "len"}

// Compile makes the filter of an expression for an audience with these columns. The error
// says what is wrong with it, and at which column of it.
func Compile(text string, columns []string) (*Filter, error) {
	if err := Check(text); err != nil {
		return nil, err
	}

	f := &Filter{env: map[string]any{}, columns: columns}
	known := slices.Clone(columns)
	for _, name := range []string{email, domain} {
		if !slices.Contains(columns, name) {
			known = append(known, name)
		}
	}
	for _, name := range known {
		f.env[name] = ""
	}

	var names identifiers
	options := []expr.Option{
		expr.Env(f.env), expr.AsBool(), expr.Patch(&names), expr.DisableAllBuiltins(),
		expr.Function(numberName, func(args ...any) (any, error) { return number(args[0].(string)), nil }, new(func(string) float64)),
	}
	for _, name := range functions {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		return nil, explain(err, known)
	}

	f.program = program
	for i, name := range known {
		switch {
		case !slices.Contains(names, name):
		case i < len(columns):
			f.used = append(f.used, i)
		default:
			f.address = append(f.address, name)
		}
	}
	return f, nil
}

// Match reports whether the row of an address, with a value for each column, is sent to.
func (f *Filter) Match(address string, values []string) (bool, error) {
	for _, i := range f.used {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		f.env[f.columns[i]] = value
	}
	for _, name := range f.address {
		f.env[name] = address
		if name == domain {
			f.env[name] = address[strings.LastIndexByte(address, '@')+1:]
		}
	}

	out, err := f.machine.Run(f.program, f.env)
	if err != nil {
		return false, explain(err, nil)
	}
	return out.(bool), nil
}

// number reads a number; NaN for what is none.
func number(text string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

// identifiers collects the names in an expression.
type identifiers []string

// Visit is called with every node of the expression.
func (names *identifiers) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		*names = append(*names, id.Value)
	}
}

// explain says in one line what is wrong with an expression, and where.
func explain(err error, known []string) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}

	text := at.Message
	if name, ok := strings.CutPrefix(text, "unknown name "); ok {
		text = fmt.Sprintf("no field %s; the fields are %s", name, strings.Join(known, ", "))
		if meant := strictyaml.Suggest(name, known); meant != "" {
			text += "; did you mean " + meant + "?"
		}
	}
	if strings.Contains(text, `Operator("=")`) {
		text += "; write == to compare"
	}
	if strings.Contains(text, "mismatched types string and") || strings.Contains(text, "and string)") {
		text += "; fields are texts: write number(FIELD) for a number"
	}
	return fmt.Errorf("%s (column %d of the expression)", text, at.Column+1)
}
