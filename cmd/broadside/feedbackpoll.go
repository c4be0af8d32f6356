package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/mailbox"
)

func pollCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "poll",
		Short: "Read the mailboxes to which bounces come, now",
		Long: `Read all mailboxes of feedback.mailbox now, once, and say what came. A scheduler
does so by itself, every feedback.every.

Exit codes: 0 all were read; 4 one of them could not be read to its end.`,
		Example: "  broadside feedback poll\n  broadside feedback poll --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				if len(a.Config.Feedback.Mailbox) == 0 {
					return failure.Invalid("there is no mailbox to read: set feedback.mailbox in " + a.Config.Where())
				}
				return c.printPoll(a.PollMailboxes(ctx))
			})
		},
	}
}

// A pollRow is a mailbox in `feedback poll --json`.
type pollRow struct {
	Mailbox     string  `json:"mailbox"`
	Stored      int     `json:"stored"`
	Quarantined int     `json:"quarantined"`
	Error       *string `json:"error"`
}

func (c *cli) printPoll(results []mailbox.Result) error {
	rows := make([]pollRow, len(results))
	var cells [][]string
	failed := 0
	for i, r := range results {
		rows[i] = pollRow{Mailbox: r.Mailbox, Stored: r.Stored, Quarantined: r.Quarantined}
		if r.Err != nil {
			failed++
			text := r.Err.Error()
			rows[i].Error = &text
			c.note("%s: %s", r.Mailbox, text)
		}
		cells = append(cells, []string{r.Mailbox, strconv.Itoa(r.Stored), strconv.Itoa(r.Quarantined)})
	}

	print := func() error { return c.table([]string{"MAILBOX", "STORED", "QUARANTINED"}, cells) }
	if c.asJSON {
		print = func() error { return c.json(rows) }
	}
	if err := print(); err != nil {
		return err
	}
	if failed > 0 {
		return failure.Unreachable(fmt.Sprintf("%d of %d mailboxes could not be read to the end", failed, len(results)))
	}
	return nil
}
