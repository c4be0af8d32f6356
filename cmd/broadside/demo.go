package main

import (
	"context"

	"github.com/spf13/cobra"

	"broadside/internal/demo"
)

func demoCommand(c *cli) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A whole campaign, here and now; needs nothing",
		Long: `Send a campaign from a generated list to a mail server within this process, and
report. Some of its rows are invalid, duplicate or suppressed, and some people's
server says no, for now or for good.`,
		Example: "  broadside demo\n  broadside demo --recipients 10000 --out messages",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), o) },
	}
	cmd.Flags().IntVar(&o.Recipients, "recipients", 1000, "`N` rows")
	cmd.Flags().StringVar(&o.Out, "out", "", "keep every accepted message in `DIR`, one .eml each")

	return cmd
}

func (c *cli) demo(ctx context.Context, o demo.Options) error {
	log, err := c.logger(false)
	if err != nil {
		return err
	}

	o.Log = log
	progress := c.progress()
	o.Started = func(run string) {
		c.note("run %s: %d rows, sent to a mail server within this process", run, o.Recipients)
	}
	o.Seen = progress.see
	a, run, err := demo.Run(ctx, o)
	progress.end()
	if err != nil {
		return err
	}
	defer c.close(a)
	r, err := a.Runs.Report(ctx, run)
	if err != nil {
		return err
	}

	if err := c.printRun(r); err != nil {
		return err
	}
	if o.Out != "" {
		c.note("the messages are in %s", o.Out)
	}

	c.note("next: broadside init, then broadside campaign launch campaign.yaml")
	return nil
}
