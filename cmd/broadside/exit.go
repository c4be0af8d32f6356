package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/sender/smtppool"
	"broadside/templates"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1 // while working
	exitUsage       = 2
	exitInvalid     = 3 // campaign, audience, configuration, an id that does not exist
	exitUnreachable = 4 // Redis, SMTP
	exitTooMany     = 5 // finished, but more failed than --max-failed allows
	exitRefused     = 6 // by a guard, a missing confirmation, or it was done before
	exitTimeout     = 7 // still running when --timeout ended
	exitInterrupted = 130
)

// A usageError is a command line that cannot be understood.
type usageError struct {
	command string // the command whose --help explains it; may be empty
	text    string
}

func (e *usageError) Error() string { return e.text }

// usagef returns a wrong use of cmd: exit code 2.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Sprintf(format, args...)}
}

// errInterrupted is what a command returns that has said itself what goes on.
var errInterrupted = errors.New("interrupted")

// exit prints the error, if any, and returns the exit code.
func (c *cli) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}

	code := exitCode(err)
	if (code == exitFailed || code == exitInvalid) && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		err = errInterrupted
		code = exitInterrupted
	}

	if c.asJSON {
		c.printErrorDocument(err, code)
		return code
	}

	name := c.errInk().paint(red, "broadside:")
	for _, line := range lines(err) {
		fmt.Fprintf(c.stderr, "%s %s\n", name, line)
	}

	if help := helpFor(err); help != "" {
		fmt.Fprintf(c.stderr, "see %s\n", help)
	}

	return code
}

// printErrorDocument prints an error for a program. Where it cannot be written
// the exit code is all that is left.
func (c *cli) printErrorDocument(err error, code int) {
	text, encodeErr := marshal(documentOf(err, code))
	if encodeErr != nil {
		text = []byte(err.Error())
	}
	fmt.Fprintf(c.stderr, "%s\n", text)
}

// helpFor returns the command that explains a wrong usage; empty for any other
// error.
func helpFor(err error) string {
	var usage *usageError
	if errors.As(err, &usage) && usage.command != "" {
		return usage.command + " --help"
	}
	return ""
}

// lines splits an error that is a list of problems; a line that explains the
// one before is indented and stays so.
func lines(err error) []string {
	var out []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.HasPrefix(line, " ") && len(out) > 0 {
			out[len(out)-1] += "\n" + line
			continue
		}
		if line != "" {
			out = append(out, line)
		}
	}

	return out
}

func exitCode(err error) int {
	var (
		usage        *usageError
		problems     strictyaml.Problems
		audienceFile *audience.FileError
		template     templates.Problems
		smtp         *smtppool.Error
	)
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, failure.ErrTimeout):
		return exitTimeout
	case errors.Is(err, failure.ErrTooMany):
		return exitTooMany
	case errors.Is(err, store.ErrUnreachable), errors.Is(err, failure.ErrUnreachable), errors.As(err, &smtp):
		return exitUnreachable
	case errors.Is(err, failure.ErrRefused), errors.Is(err, store.ErrUnfit):
		return exitRefused
	case errors.As(err, &problems), errors.As(err, &audienceFile), errors.As(err, &template),
		errors.Is(err, ledger.ErrNoRun), errors.Is(err, audience.ErrNoList), errors.Is(err, failure.ErrInvalid), errors.Is(err, store.ErrOptions):
		return exitInvalid
	}

	return exitFailed
}
