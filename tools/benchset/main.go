// Command benchset makes a set of measurements, one after another, and shows each
// figure next to its target. With -write it puts figures and plots into a document.
//
//	go run ./tools/benchset [-write FILE] [-sink KIND] [-json] standard|quick
//
// Each figure names the command broadside bench that repeats it. This command is
// for developers and is not part of the program.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"broadside/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchset:", err)
		os.Exit(1)
	}
}

// run measures as its arguments say, or is a child of a measurement.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if len(args) > 0 && args[0] == "agent" {
		return bench.Agent(ctx, args[1:], stdin, stdout, log)
	}
	r, err := parse(args, stderr)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it again: %w", err)
	}
	r.options.Agent = []string{self, "agent"}
	r.options.Stderr, r.options.Log = stderr, log
	r.options.Say = func(text string) { fmt.Fprintln(stderr, "benchset:", text) }
	return r.measure(ctx, stdout)
}

// A request is what the command line asks for.
type request struct {
	options bench.Options
	set     string
	file    string // of the document; empty: none
	asJSON  bool
}

func parse(args []string, stderr io.Writer) (*request, error) {
	r := &request{options: bench.Defaults()}
	flags := flag.NewFlagSet("benchset", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.file, "write", "", "write the figures into a Markdown `FILE`, and its plots beside it")
	flags.StringVar(&r.options.Sink, "sink", "", "the `KIND` of SMTP server to start: smtp-sink (the default where it is installed) or own")
	flags.BoolVar(&r.asJSON, "json", false, "print everything as JSON")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		return nil, fmt.Errorf("found %d arguments, expected one set: %s", flags.NArg(), strings.Join(sets, " or "))
	}
	r.set = flags.Arg(0)
	return r, nil
}

// measure looks first at where the figures go, so that no one measures for
// minutes in vain.
func (r *request) measure(ctx context.Context, stdout io.Writer) error {
	var doc *document
	if r.file != "" {
		var err error
		if doc, err = openDocument(r.file); err != nil {
			return err
		}
	}
	res, err := runSet(ctx, r.options, r.set)
	if err != nil {
		return err
	}
	if doc != nil {
		if err := doc.Write(res); err != nil {
			return err
		}
		r.options.Say(fmt.Sprintf("wrote %s and its plots", r.file))
	}
	if r.asJSON {
		return json.NewEncoder(stdout).Encode(res)
	}
	return res.print(stdout)
}

// print writes the figures as a table.
func (r *setResult) print(w io.Writer) error {
	fmt.Fprintln(w, r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MEASUREMENT\tWHAT\tVALUE\tWANTED")
	for _, row := range r.Rows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}
