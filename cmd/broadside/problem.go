package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"broadside/campaign/audience"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/templates"
)

// A problem is one thing that is wrong, and where.
type problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// problems takes an error apart into its problems.
func problems(err error) []problem {
	switch e := err.(type) {
	case nil:
		return nil
	case strictyaml.Problems:
		var out []problem
		for _, p := range e {
			out = append(out, problem{p.File, p.Line, p.Column, p.Key, p.Message})
		}
		return out
	case templates.Problems:
		var out []problem
		for _, p := range e {
			out = append(out, problem{p.File, p.Line, p.Col, "", p.Text})
		}
		return out
	case *audience.FileError:
		text := e.What
		if e.Fix != "" {
			text += "; " + e.Fix
		}
		return []problem{{e.File, e.Line, 0, "", text}}
	}

	if joined, ok := err.(interface{ Unwrap() []error }); ok && !isKind(err) {
		var out []problem
		for _, e := range joined.Unwrap() {
			out = append(out, problems(e)...)
		}
		return out
	}

	if all := problems(errors.Unwrap(err)); placed(all) {
		return all
	}

	return []problem{{Message: err.Error()}}
}

// placed reports whether any problem has a place.
func placed(all []problem) bool {
	return slices.ContainsFunc(all, func(p problem) bool { return p.File != "" })
}

// isKind reports whether err is one error with a kind rather than several.
func isKind(err error) bool {
	for _, kind := range []error{failure.ErrInvalid, failure.ErrRefused, failure.ErrUnreachable} {
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 && joined.Unwrap()[0] == kind {
			return true
		}
	}
	return false
}

// annotation returns the problem as a workflow command of GitHub Actions, error
// or warning (docs.github.com/actions, "Setting an error message").
func (p problem) annotation(command string) string {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	var where []string
	if p.File != "" {
		where = append(where, "file="+property.Replace(p.File))
	}
	if p.Line > 0 {
		where = append(where, fmt.Sprintf("line=%d", p.Line))
	}
	if p.Column > 0 {
		where = append(where, fmt.Sprintf("col=%d", p.Column))
	}

	text := p.Message
	if p.Key != "" {
		text = p.Key + ": " + text
	}

	return strings.TrimSuffix("::"+command+" "+strings.Join(where, ","), " ") + "::" + data.Replace(text)
}

// An errorDocument is an error as --json prints it: one line, the last one on
// stderr.
type errorDocument struct {
	Error struct {
		Code     int       `json:"code"` // the exit code
		Message  string    `json:"message"`
		Problems []problem `json:"problems,omitempty"` // what is wrong with files, one by one
		Help     string    `json:"help,omitempty"`     // the command that explains the usage
	} `json:"error"`
}

func documentOf(err error, code int) errorDocument {
	var d errorDocument
	d.Error.Code = code
	d.Error.Message = strings.Join(lines(err), "\n")
	d.Error.Help = helpFor(err)
	if all := problems(err); placed(all) {
		d.Error.Problems = all
	}
	return d
}
