// Command broadside sends newsletters in bulk. This package only reads the
// command line, calls broadside/internal/app and prints: what a command does
// is decided there, and its exit code in exit.go.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones also where the system has none

	"broadside/internal/input"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())) }

// run executes one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	c := &cli{stdin: stdin, in: input.Stream(ctx, stdin, stdinName), stdout: stdout, term: newTerminal(stderr, env), env: env}
	c.stderr = c.term
	root := rootCommand(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(c.stderr)
	return c.exit(ctx, root.ExecuteContext(ctx))
}
