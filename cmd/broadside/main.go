// Command broadside sends newsletters in bulk. This package reads the command line,
// calls the parts that broadside/internal/app builds, and prints their results.
// The parts decide what a command does; exit.go decides its exit code.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	_ "time/tzdata" // time zones also where the system has none

	"broadside/internal/input"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())) }

// run executes one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	ctx, stop := untilSignal()
	defer stop()
	c := &cli{
		stdin: stdin, in: input.Stream(ctx, stdin, stdinName), stdout: stdout, stdoutTTY: isTerminal(stdout, env),
		term: newTerminal(stderr, env), env: env,
	}
	c.stderr = c.term
	root := rootCommand(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	c.asJSON = c.asJSON || asksForJSON(args)

	return c.exit(ctx, err)
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. A second
// Ctrl-C ends the process at once. A second SIGTERM changes nothing: platforms send it more
// than once (Heroku says so, and foreman sends it after a Ctrl-C), and a process that
// obeyed would leave what is on the wire uncertain. They send SIGKILL when they mean it.
func untilSignal() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	return ctx, stop
}

// asksForJSON reports whether --json is among the arguments. A command line
// that cannot be parsed is refused before the parser has come to all flags.
func asksForJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}
