package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign/codes"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

func explainCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "What a code such as BS-GUARD-BOUNCE means, and what to do first",
		Long: `Print what a code means and the first steps. Codes stand at the beginning of reasons:
of a run that is paused, of an account that is closed. Without a code all are listed.`,
		Example: "  broadside explain BS-GUARD-BOUNCE\n  broadside explain",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.listCodes()
			}
			return c.explainCode(args[0])
		},
	}
}

func (c *cli) listCodes() error {
	if c.asJSON {
		return c.json(codes.All())
	}
	var rows [][]string
	for _, e := range codes.All() {
		rows = append(rows, []string{string(e.Code), e.Title})
	}
	return c.table([]string{"CODE", "MEANS"}, rows)
}

func (c *cli) explainCode(word string) error {
	code := strings.ToUpper(strings.TrimSuffix(strings.TrimSpace(word), ":"))
	e, ok := codes.Explain(code)
	if !ok {
		var known []string
		for _, e := range codes.All() {
			known = append(known, string(e.Code))
		}
		meant := "`broadside explain` lists all codes"
		if near := strictyaml.Suggest(code, known); near != "" {
			meant = "did you mean " + near + "?"
		}
		return fmt.Errorf("%w: found %q, expected a code such as BS-GUARD-BOUNCE: %s", failure.ErrInvalid, printable(word), meant)
	}

	if c.asJSON {
		return c.json(e)
	}

	fmt.Fprintf(c.stdout, "%s: %s\n\n%s\n\nfirst steps\n", e.Code, e.Title, wrap(e.Means, 80))
	for _, step := range e.Steps {
		fmt.Fprintf(c.stdout, "  - %s\n", strings.ReplaceAll(wrap(step, 76), "\n", "\n    "))
	}

	return nil
}

// explainHint is the line that leads from a reason to its explanation; empty
// for one that explains itself.
func explainHint(reason string) string {
	if code := codes.Of(reason); code != "" && code != codes.Operator {
		return fmt.Sprintf("\n  broadside explain %s    says what that means", code)
	}
	return ""
}

// wrap breaks text at blanks into lines of at most width bytes, but for words
// that are longer.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}

	return b.String()
}
