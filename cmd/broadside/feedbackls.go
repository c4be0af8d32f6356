package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"broadside/internal/app"
)

func feedbackListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "What came back, by which road, and what nobody understood",
		Long: `List what came back about messages, by the road it came by and what it was: bounces,
complaints, unsubscribes, deliveries. "untrusted" is what had no token of ours and no
signature of a provider: it is counted, and changes nothing.

Below are the last 200 that were not trusted, not understood or put aside, each with
the reason, the newest first.`,
		Example: "  broadside feedback ls\n  broadside feedback ls --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, c.printFeedback)
		},
	}
}

func (c *cli) printFeedback(ctx context.Context, a *app.App) error {
	all, err := a.Feedback.Overview(ctx)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.json(all)
	}
	if len(all.Roads) == 0 {
		c.note("nothing has come back yet")
		return nil
	}

	var roads [][]string
	for _, r := range all.Roads {
		roads = append(roads, []string{r.Source, r.Class, strconv.FormatInt(r.Today, 10), strconv.FormatInt(r.Total, 10)})
	}
	if err := c.table([]string{"ROAD", "CLASS", "TODAY", "TOTAL"}, roads); err != nil || len(all.Recent) == 0 {
		return err
	}

	fmt.Fprintln(c.stdout)
	var recent [][]string
	for _, r := range all.Recent {
		recent = append(recent, []string{r.At.UTC().Format(time.RFC3339), r.Source, r.Class, r.Reason})
	}
	return c.table([]string{"AT", "ROAD", "CLASS", "REASON"}, recent)
}
