package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"broadside/internal/app"
	"broadside/internal/report"
)

// A reportRequest is how a report is wanted.
type reportRequest struct {
	format, out string
	open        bool // in a browser
}

func runReportCommand(c *cli) *cobra.Command {
	var want reportRequest
	cmd := &cobra.Command{
		Use:   "report RUN...",
		Short: "What people forward: no addresses, several runs compared",
		Long: `Print the report of a run, or compare several. html is one self-contained page.
Without --format the ending of --out decides, and text is printed where there is
no --out. The subject is shown with the names of its merge fields in brackets, as
in "Hello [first_name]", so that the page has no recipient's data.

--open shows the page in a browser, or prints its path where there is none.`,
		Example: `  broadside run report october --out october.html
  broadside run report october --open
  broadside run report october september --format csv`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := want.check(cmd, c.asJSON); err != nil {
				return err
			}
			runs, err := c.reports(cmd.Context(), args)
			if err != nil {
				return err
			}
			return c.report(cmd.Context(), want, runs)
		},
	}
	cmd.Flags().StringVar(&want.format, "format", "", "`FORMAT`: text, html, csv or md")
	cmd.Flags().StringVarP(&want.out, "out", "o", "", "write to `FILE`")
	cmd.Flags().BoolVar(&want.open, "open", false, "show the page in a browser")

	return cmd
}

// reportFormats are the values of --format.
var reportFormats = []string{"text", "html", "csv", "md"}

// check completes a request, or says what is wrong with it.
func (w *reportRequest) check(cmd *cobra.Command, asJSON bool) error {
	switch {
	case w.format != "":
	case w.open && w.out == "":
		w.format = "html"
	default:
		w.format = formatOf(w.out)
	}

	switch {
	case !slices.Contains(reportFormats, w.format):
		return usagef(cmd, "--format: found %q, expected %s", w.format, strings.Join(reportFormats, ", "))
	case w.open && asJSON:
		return usagef(cmd, "found --open and --json, expected one of them")
	case w.open && w.format != "html":
		return usagef(cmd, "--open: found the format %s, expected html", w.format)
	case w.open && w.out == "-":
		return usagef(cmd, "--open: found --out -, expected a file")
	}

	return nil
}

// formatOf returns the format that a file's ending asks for.
func formatOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		return "csv"
	case ".md":
		return "md"
	case "", ".txt":
		return "text"
	}
	return "html"
}

func (c *cli) reports(ctx context.Context, names []string) ([]report.Run, error) {
	var runs []report.Run
	err := c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		for _, name := range names {
			id, err := c.findRun(ctx, a, name)
			if err != nil {
				return err
			}
			r, err := a.Runs.Report(ctx, id)
			if err != nil {
				return err
			}
			runs = append(runs, r)
		}

		return nil
	})
	return runs, err
}

// report writes a report to where it is wanted.
func (c *cli) report(ctx context.Context, want reportRequest, runs []report.Run) error {
	toStdout := !want.open && (want.out == "" || want.out == "-")
	if toStdout {
		return c.writeReport(c.stdout, want.format, runs, c.ink().word)
	}

	var b bytes.Buffer
	if err := c.writeReport(&b, want.format, runs, nil); err != nil {
		return err
	}

	file := want.out
	if file == "" {
		dir, err := os.MkdirTemp("", "broadside-report-")
		if err != nil {
			return fmt.Errorf("make a directory for the report: %w", err)
		}
		file = filepath.Join(dir, runs[0].Run+".html")
	}

	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if want.open {
		return c.openFile(ctx, file)
	}

	c.note("%s written", file)
	return nil
}

func (c *cli) writeReport(w io.Writer, format string, runs []report.Run, paint report.Paint) error {
	inner := *c
	inner.stdout = w
	switch {
	case c.asJSON && len(runs) == 1:
		return inner.json(runs[0])
	case c.asJSON:
		return inner.json(runs)
	case format == "html":
		return report.HTML(w, runs...)
	case format == "csv":
		return report.CSV(w, runs...)
	case format == "md":
		return report.Markdown(w, runs...)
	}

	for i, r := range runs {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := report.Text(w, r, paint); err != nil {
			return err
		}
	}

	return nil
}
