package strictyaml

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Environment is the File of problems with environment variables.
const Environment = "environment"

// A Problem is one thing that is wrong with what the user wrote.
type Problem struct {
	File         string // as the user named it, or "environment"
	Line, Column int    // from 1; 0 when the problem is with the whole file
	Key          string // dotted key, or the name of a variable; may be empty
	Message      string // what was found, what was expected, what to do

	cause error
}

// Error returns the problem as one line: FILE:LINE:COLUMN: KEY: MESSAGE.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	b.WriteString(": " + p.Message)
	return b.String()
}

// Unwrap returns the error of the system behind the problem, such as
// [io/fs.ErrNotExist], or nil.
func (p Problem) Unwrap() error { return p.cause }

// Problems are all that is wrong with a file: invalid input, for which the
// command line exits with 3.
type Problems []Problem

// Error returns one line per problem, without a final newline.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one, for errors.Is and errors.As.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errs
}

// sorted orders the problems by place, those at one place as they were found.
// Those of the environment come last, by variable.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		switch aEnv, bEnv := a.File == Environment, b.File == Environment; {
		case aEnv && bEnv:
			return cmp.Compare(a.Key, b.Key)
		case aEnv:
			return 1
		case bEnv:
			return -1
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p
}

// FileProblem returns the problem that the system reported as err when file was
// read, as an error of type [Problems]; errors.Is finds err behind it. The end of a
// context is no problem of the file, and is returned as it is.
func FileProblem(file string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}

	p := Problem{File: file, Message: "cannot be read", cause: err}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}

	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Message = "there is no such file"
	case err != nil:
		p.Message += ": " + err.Error()
	}

	return Problems{p}
}
