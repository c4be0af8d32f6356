package main

import (
	"context"

	"github.com/spf13/cobra"

	"broadside/internal/app"
)

func processesCommand(c *cli) *cobra.Command {
	return noun("process", "Processes that are alive", processListCommand(c))
}

// A processRow is a process in `process list --json`. What is not known of it is
// null or empty.
type processRow struct {
	Role    string  `json:"role"`
	ID      string  `json:"id"`
	Host    string  `json:"host"`
	Since   *string `json:"since"`
	Version string  `json:"version"`
}

func processListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "Workers, schedulers and web processes that are alive",
		Long: `List the processes that are alive: those that gave a sign of life in Redis within
the last 15 seconds. One that ends in order is gone at once, one that is killed
after that time.`,
		Example: "  broadside process list\n  broadside process list --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.printProcesses(ctx, a)
			})
		},
	}
}

func (c *cli) printProcesses(ctx context.Context, a *app.App) error {
	all, err := a.Processes.List(ctx)
	if err != nil {
		return err
	}

	rows := make([]processRow, len(all))
	for i, p := range all {
		rows[i] = processRow{p.Role, p.ID, p.Host, stamp(p.Since), p.Version}
	}

	if c.asJSON {
		return c.json(rows)
	}

	if len(rows) == 0 {
		c.note("no process is alive: start `broadside worker`, `broadside scheduler` and `broadside web`, or `broadside all`")
		return nil
	}

	cells := make([][]string, len(rows))
	for i, r := range rows {
		since := ""
		if r.Since != nil {
			since = *r.Since
		}
		cells[i] = []string{r.Role, r.ID, r.Host, since, r.Version}
	}

	return c.table([]string{"ROLE", "ID", "HOST", "SINCE", "VERSION"}, cells)
}
