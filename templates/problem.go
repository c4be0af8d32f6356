package templates

import (
	"fmt"
	"strings"
)

// A Problem is one thing that is wrong with a template.
type Problem struct {
	File      string // Snapshot.BodyFile or TextFile; "subject" or "preheader"
	Line, Col int    // from 1, in characters; 0: not known
	Text      string // what was found, what was expected, what to do
}

func (p Problem) String() string {
	switch {
	case p.Line == 0:
		return p.File + ": " + p.Text
	case p.Col == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text)
}

// Problems is the error of Compile and Fields: everything that is wrong, in
// the order of the sources.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// err returns nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
