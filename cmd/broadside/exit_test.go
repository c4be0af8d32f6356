package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/sender/smtppool"
	"broadside/templates"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return errors.Join(nil, fmt.Errorf("launch: %w", err)) }
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"anything else", wrap(errors.New("disk full")), 1},
		{"a file of ours that cannot be written", wrap(fs.ErrPermission), 1},
		{"usage", wrap(&usageError{"broadside", "no"}), 2},
		{"configuration", wrap(strictyaml.Problems{{Message: "no"}}), 3},
		{"template", wrap(templates.Problems{{Text: "no"}}), 3},
		{"audience", wrap(&audience.FileError{What: "no"}), 3},
		{"no list", wrap(audience.ErrNoList), 3},
		{"no run", wrap(ledger.ErrNoRun), 3},
		{"invalid", wrap(failure.ErrInvalid), 3},
		{"bad redis_url", wrap(store.ErrOptions), 3},
		{"no Redis", wrap(store.ErrUnreachable), 4},
		{"no store configured", wrap(failure.ErrUnreachable), 4},
		{"no SMTP", wrap(&smtppool.Error{}), 4},
		{"too many", wrap(failure.ErrTooMany), 5},
		{"refused", wrap(failure.ErrRefused), 6},
		{"a Redis that is not fit", wrap(store.ErrUnfit), 6},
		{"timeout", wrap(failure.ErrTimeout), 7},
		{"interrupted", wrap(errInterrupted), 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cli{stderr: new(bytes.Buffer)}
			if got := c.exit(t.Context(), tt.err); got != tt.want {
				t.Errorf("exit code of %v is %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestExitOfASignal(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("terminated"))
	for _, err := range []error{context.Canceled, context.Cause(ctx), fmt.Errorf("read: %w", context.Canceled)} {
		var out bytes.Buffer
		c := &cli{stderr: &out}
		if got := c.exit(ctx, err); got != 130 || out.String() != "broadside: interrupted\n" {
			t.Errorf("%v: exit code %d, %q; want 130, interrupted", err, got, out.String())
		}
	}
}

func TestProblemsAreShownOneByOne(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &cli{stderr: &out}
	c.exit(t.Context(), errors.Join(
		strictyaml.Problems{{File: "a.yaml", Line: 1, Column: 2, Message: "one"}, {File: "a.yaml", Message: "two"}},
		errors.New("three\n  and how to mend it"),
	))
	want := "broadside: a.yaml:1:2: one\nbroadside: a.yaml: two\nbroadside: three\n  and how to mend it\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestErrorDocuments: a program that reads the last line of stderr finds the exit
// code, and each problem with its place.
func TestErrorDocuments(t *testing.T) {
	t.Parallel()
	problems := strictyaml.Problems{{File: "a.yaml", Line: 1, Column: 2, Key: "from", Message: "found <nobody>"}, {File: "a.yaml", Message: "two"}}
	const listed = `[{"file":"a.yaml","line":1,"column":2,"key":"from","message":"found <nobody>"},{"file":"a.yaml","message":"two"}]`
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"plain":    {errors.New("disk full"), `{"error":{"code":1,"message":"disk full"}}`},
		"usage":    {&usageError{"broadside run", "found x"}, `{"error":{"code":2,"message":"found x","help":"broadside run --help"}}`},
		"problems": {problems, `{"error":{"code":3,"message":"a.yaml:1:2: from: found <nobody>\na.yaml: two","problems":` + listed + `}}`},
		"wrapped":  {fmt.Errorf("read: %w", problems), `{"error":{"code":3,"message":"read: a.yaml:1:2: from: found <nobody>\na.yaml: two","problems":` + listed + `}}`},
		"joined": {
			errors.Join(templates.Problems{{File: "l.md", Line: 3, Col: 5, Text: "no"}}, &audience.FileError{File: "s.csv", What: "empty", Fix: "fill it"}),
			`{"error":{"code":3,"message":"l.md:3:5: no\ns.csv: empty; fill it","problems":[{"file":"l.md","line":3,"column":5,"message":"no"},{"file":"s.csv","message":"empty; fill it"}]}}`,
		},
		"a hint below": {fmt.Errorf("%w: no\n  broadside run resume x", failure.ErrRefused), `{"error":{"code":6,"message":"refused: no\n  broadside run resume x"}}`},
	} {
		var out bytes.Buffer
		(&cli{stderr: &out, asJSON: true}).exit(t.Context(), c.err)
		if got := out.String(); got != c.want+"\n" {
			t.Errorf("%s: got\n%swant\n%s", name, got, c.want)
		}
	}
}

// Every command explains itself with an example that names it.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Name() == "help" || sub.Name() == "completion" || sub.Hidden {
				continue
			}
			if sub.HasSubCommands() {
				walk(sub)
				continue
			}
			seen++
			if sub.Short == "" || !strings.Contains(sub.Example, sub.CommandPath()) {
				t.Errorf("%s: found the example %q, expected one with the command in it", sub.CommandPath(), sub.Example)
			}
		}
	}
	walk(rootCommand(&cli{}))
	if seen < 20 {
		t.Errorf("found %d commands, expected all of them", seen)
	}
}
